-- Every statement that the Postgres repository runs, by name. Parameters are named; %(tenant)s is given to all. Row-level
-- security lets superusers and roles with BYPASSRLS see everything, so each statement names the tenant as well.
--
-- Columns of many rows come packed: integers as the bytes of all rows one after another (int8send: big-endian), because a
-- million Python objects take longer than the query.

-- name: begin_read
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL aspen.tenant = {tenant}

-- A writer waits for the row of its store first, and sees in every statement after that what others have committed.
-- name: begin_write
BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL aspen.tenant = {tenant}; SET LOCAL lock_timeout = {patience}

-- name: commit
COMMIT

-- name: lock_store
SELECT last_seq, pg_current_xact_id()::text, current_setting('synchronous_commit')
FROM aspen.store
WHERE tenant_id = %(tenant)s
FOR UPDATE

-- name: add_store
INSERT INTO aspen.store (tenant_id) VALUES (%(tenant)s) ON CONFLICT (tenant_id) DO NOTHING

-- name: transaction_status
SELECT pg_xact_status(%(number)s::xid8)

-- name: commit_durably
SET LOCAL synchronous_commit = on

-- name: revision
SELECT coalesce((SELECT revision FROM aspen.store WHERE tenant_id = %(tenant)s), 0)

-- name: unrelated
SELECT coalesce((SELECT unrelated FROM aspen.store WHERE tenant_id = %(tenant)s), 0)

-- name: next_revision
UPDATE aspen.store SET revision = revision + 1 WHERE tenant_id = %(tenant)s RETURNING revision

-- name: keep_last_seq
UPDATE aspen.store SET last_seq = %(seq)s WHERE tenant_id = %(tenant)s

-- Opening

-- name: server
SELECT
    current_setting('server_version_num')::integer,
    current_setting('server_version'),
    current_setting('server_encoding'),
    current_setting('transaction_read_only')::boolean

-- name: tables
SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'aspen'

-- name: schema_exists
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'aspen')

-- name: create_schema
CREATE SCHEMA aspen

-- name: version
SELECT coalesce(max(number), 0) FROM aspen.migration

-- name: add_migration
INSERT INTO aspen.migration (number) VALUES (%(number)s)

-- Of several rights in one string, any would do.
-- name: may_write
SELECT bool_and(has_table_privilege(format('aspen.%%I', name), allowed))
FROM unnest(%(tables)s::text[]) AS name
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS allowed

-- name: wait_at_most
SELECT set_config('lock_timeout', %(patience)s, true)

-- The number is that of the letters "aspen", and means nothing else. It is let go when the transaction ends.
-- name: lock_schema
SELECT pg_advisory_xact_lock(418548573550)

-- name: settle
SELECT set_config('jit', 'off', false)

-- Memories

-- name: last_of_conversations
SELECT name, seq
FROM unnest(%(conversations)s::text[]) AS name
CROSS JOIN LATERAL (
    SELECT max(seq) AS seq FROM aspen.memory WHERE tenant_id = %(tenant)s AND conversation = name
) AS newest
WHERE seq IS NOT NULL

-- name: add_memories
INSERT INTO aspen.memory (
    tenant_id, seq, id, conversation, speaker, subject, said_at, source, provenance, created_at, token_count,
    term_count, trace_id, text, type, stability, importance, emotion, emotion_intensity, tags
)
SELECT %(tenant)s, *
FROM unnest(
    %(seq)s::bigint[], %(id)s::text[], %(conversation)s::text[], %(speaker)s::text[], %(subject)s::text[],
    %(said_at)s::bigint[], %(source)s::text[], %(provenance)s::text[], %(created_at)s::bigint[],
    %(token_count)s::integer[], %(term_count)s::integer[], %(trace_id)s::text[], %(text)s::text[], %(type)s::text[],
    %(stability)s::text[], %(importance)s::double precision[], %(emotion)s::text[],
    %(emotion_intensity)s::double precision[], %(tags)s::text[]
)

-- Sorted, so that a page of the index that is changed twice is still at hand.
-- name: add_postings
INSERT INTO aspen.posting (tenant_id, seq, term, position)
SELECT %(tenant)s, seq, term, position
FROM unnest(%(seq)s::bigint[], %(term)s::text[], %(position)s::integer[]) AS new (seq, term, position)
ORDER BY term COLLATE "C", seq, position

-- name: add_mentions
INSERT INTO aspen.mention (tenant_id, name, seq, start, stop)
SELECT %(tenant)s, *
FROM unnest(%(name)s::text[], %(seq)s::bigint[], %(start)s::integer[], %(stop)s::integer[])
ON CONFLICT (tenant_id, name, seq, start) DO NOTHING

-- name: add_traits
INSERT INTO aspen.trait (tenant_id, seq, stamp, name, value)
SELECT %(tenant)s, * FROM unnest(%(seq)s::bigint[], %(stamp)s::integer[], %(name)s::text[], %(value)s::real[])

-- name: delete_traits
DELETE FROM aspen.trait WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[]) AND stamp = %(stamp)s

-- name: memories_by_id
SELECT
    id, seq, text, speaker, said_at, conversation, source, provenance, created_at, token_count, trace_id, type,
    stability, importance, emotion, emotion_intensity, tags, at, coalesce(count, 0)
FROM aspen.memory LEFT JOIN aspen.access USING (tenant_id, seq)
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::text[])

-- name: seqs_by_id
SELECT id, seq FROM aspen.memory WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::text[])

-- name: memories_by_seq
SELECT
    id, seq, text, speaker, said_at, conversation, source, provenance, created_at, token_count, trace_id, type,
    stability, importance, emotion, emotion_intensity, tags, at, coalesce(count, 0)
FROM aspen.memory LEFT JOIN aspen.access USING (tenant_id, seq)
WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])

-- name: existing_seqs
SELECT seq FROM aspen.memory WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])

-- name: list_memories
SELECT
    id, seq, text, speaker, said_at, conversation, source, provenance, created_at, token_count, trace_id, type,
    stability, importance, emotion, emotion_intensity, tags, at, coalesce(count, 0)
FROM aspen.memory LEFT JOIN aspen.access USING (tenant_id, seq)
WHERE tenant_id = %(tenant)s AND seq < %(before)s AND (%(speaker)s::text IS NULL OR speaker = %(speaker)s)
ORDER BY seq DESC
LIMIT %(limit)s

-- name: list_conversation
SELECT
    id, seq, text, speaker, said_at, conversation, source, provenance, created_at, token_count, trace_id, type,
    stability, importance, emotion, emotion_intensity, tags, at, coalesce(count, 0)
FROM aspen.memory LEFT JOIN aspen.access USING (tenant_id, seq)
WHERE
    tenant_id = %(tenant)s
    AND conversation = %(conversation)s
    AND seq < %(before)s
    AND (%(speaker)s::text IS NULL OR speaker = %(speaker)s)
ORDER BY seq DESC
LIMIT %(limit)s

-- name: conversations
SELECT conversation, count(*), min(seq), max(seq)
FROM aspen.memory
WHERE tenant_id = %(tenant)s AND conversation IS NOT NULL
GROUP BY conversation
ORDER BY max(seq) DESC

-- Forgetting: keys, head keys, names, traits and edges go with their memory by ON DELETE CASCADE; a memory that
-- stays loses a deleted trace by ON DELETE SET NULL.

-- name: forget_traces
DELETE FROM aspen.trace
WHERE
    tenant_id = %(tenant)s
    AND number IN (
        SELECT own.number
        FROM aspen.memory JOIN aspen.trace AS own USING (tenant_id)
        WHERE tenant_id = %(tenant)s AND memory.seq = ANY(%(seqs)s::bigint[]) AND own.id = memory.trace_id
        UNION
        SELECT trace FROM aspen.trace_mention WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])
    )
RETURNING number

-- name: forget_postings
DELETE FROM aspen.posting WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])

-- name: forget_memories
DELETE FROM aspen.memory
WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])
RETURNING seq, conversation

-- Joins the memories around those that were forgotten, so that each conversation stays one chain.
-- name: close_gaps
INSERT INTO aspen.edge (tenant_id, source, target, type, weight, provenance, revision)
SELECT DISTINCT %(tenant)s, before, after, %(type)s, 1.0, %(provenance)s, %(revision)s::bigint
FROM unnest(%(seqs)s::bigint[], %(conversations)s::text[]) AS gone (seq, conversation)
CROSS JOIN LATERAL (
    SELECT max(seq) AS before
    FROM aspen.memory
    WHERE tenant_id = %(tenant)s AND conversation = gone.conversation AND seq < gone.seq
) AS earlier
CROSS JOIN LATERAL (
    SELECT min(seq) AS after
    FROM aspen.memory
    WHERE tenant_id = %(tenant)s AND conversation = gone.conversation AND seq > gone.seq
) AS later
WHERE before IS NOT NULL AND after IS NOT NULL
ON CONFLICT (tenant_id, source, target, type)
DO UPDATE SET weight = excluded.weight, provenance = excluded.provenance, revision = excluded.revision

-- name: add_forgotten
INSERT INTO aspen.forgotten (tenant_id, seq, revision)
SELECT %(tenant)s, seq, %(revision)s FROM unnest(%(seqs)s::bigint[]) AS seq

-- SKIP_LOCKED: it never waits for another vacuum. TRUNCATE FALSE: it never locks readers out to cut the file.
-- name: vacuum
VACUUM (SKIP_LOCKED, TRUNCATE FALSE)
    aspen.memory, aspen.posting, aspen.mention, aspen.trait, aspen.access, aspen.edge, aspen.memory_key,
    aspen.memory_head_key, aspen.trace, aspen.trace_mention, aspen.statistics

-- Keywords. A term is a bound value, compared byte by byte: no query language that a memory or a prompt could speak.

-- name: postings
SELECT seqs, positions
FROM unnest(%(terms)s::text[]) WITH ORDINALITY AS sought (term, place)
CROSS JOIN LATERAL (
    SELECT string_agg(int8send(seq), '') AS seqs, string_agg(int4send(position), '') AS positions
    FROM (
        SELECT seq, position
        FROM aspen.posting
        WHERE tenant_id = %(tenant)s AND posting.term = sought.term
        ORDER BY seq, position
    ) AS sorted
) AS found
ORDER BY place

-- Names. One short index scan for each name, which ends at the limit.

-- name: mentions
SELECT seq, name, start, stop
FROM aspen.mention
WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])
ORDER BY seq, start, name

-- name: mentioning
SELECT seq, name, start, stop
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS sought (name, place)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (seq) seq, start, stop
    FROM aspen.mention
    WHERE tenant_id = %(tenant)s AND mention.name = sought.name
    ORDER BY seq, start
    LIMIT %(limit)s
) AS found
ORDER BY place, seq

-- Memories of a conversation mostly lie close together: mentions outside its span are not read.
-- name: mentioning_in_conversation
WITH span AS MATERIALIZED (
    SELECT
        (SELECT min(seq) FROM aspen.memory WHERE tenant_id = %(tenant)s AND conversation = %(conversation)s) AS first,
        (SELECT max(seq) FROM aspen.memory WHERE tenant_id = %(tenant)s AND conversation = %(conversation)s) AS last
)
SELECT seq, name, start, stop
FROM span CROSS JOIN unnest(%(names)s::text[]) WITH ORDINALITY AS sought (name, place)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (seq) seq, start, stop
    FROM aspen.mention JOIN aspen.memory USING (tenant_id, seq)
    WHERE
        tenant_id = %(tenant)s
        AND mention.name = sought.name
        AND seq BETWEEN span.first AND span.last
        AND conversation = %(conversation)s
    ORDER BY seq, start
    LIMIT %(limit)s
) AS found
ORDER BY place, seq

-- name: about
SELECT seq, name, 0, 0
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS sought (name, place)
CROSS JOIN LATERAL (
    SELECT seq
    FROM aspen.memory
    WHERE tenant_id = %(tenant)s AND subject = sought.name
    ORDER BY seq
    LIMIT %(limit)s
) AS found
ORDER BY place, seq

-- name: about_in_conversation
SELECT seq, name, 0, 0
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS sought (name, place)
CROSS JOIN LATERAL (
    SELECT seq
    FROM aspen.memory
    WHERE tenant_id = %(tenant)s AND subject = sought.name AND conversation = %(conversation)s
    ORDER BY seq
    LIMIT %(limit)s
) AS found
ORDER BY place, seq

-- Edges

-- name: put_edges
INSERT INTO aspen.edge (tenant_id, source, target, type, weight, provenance, revision)
SELECT %(tenant)s, *, %(revision)s
FROM unnest(
    %(source)s::bigint[], %(target)s::bigint[], %(type)s::text[], %(weight)s::double precision[],
    %(provenance)s::text[]
)
ON CONFLICT (tenant_id, source, target, type)
DO UPDATE SET weight = excluded.weight, provenance = excluded.provenance, revision = excluded.revision

-- name: remove_edges
DELETE FROM aspen.edge
USING unnest(%(sources)s::bigint[], %(targets)s::bigint[], %(types)s::text[]) AS gone (source, target, type)
WHERE
    edge.tenant_id = %(tenant)s
    AND edge.source = gone.source
    AND edge.target = gone.target
    AND edge.type = gone.type
RETURNING 1

-- name: note_unrelated
UPDATE aspen.store SET unrelated = revision WHERE tenant_id = %(tenant)s

-- One short index scan for each source: a join would read all edges of a hub to keep some of them.
-- name: out_edges
SELECT
    string_agg(int8send(source), ''), string_agg(int8send(target), ''), array_agg(type),
    string_agg(float8send(weight), ''), array_agg(provenance)
FROM (
    SELECT heaviest.*
    FROM unnest(%(seqs)s::bigint[]) WITH ORDINALITY AS sought (seq, place)
    CROSS JOIN LATERAL (
        SELECT source, target, type, weight, provenance
        FROM aspen.edge
        WHERE
            tenant_id = %(tenant)s
            AND source = sought.seq
            AND weight >= %(min_weight)s
            AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s::text[]))
        ORDER BY weight DESC, target, type
        LIMIT %(fan)s
    ) AS heaviest
    ORDER BY place, weight DESC, target, type
) AS sorted

-- name: in_edges
SELECT
    string_agg(int8send(source), ''), string_agg(int8send(target), ''), array_agg(type),
    string_agg(float8send(weight), ''), array_agg(provenance)
FROM (
    SELECT heaviest.*
    FROM unnest(%(seqs)s::bigint[]) WITH ORDINALITY AS sought (seq, place)
    CROSS JOIN LATERAL (
        SELECT source, target, type, weight, provenance
        FROM aspen.edge
        WHERE tenant_id = %(tenant)s AND target = sought.seq
        ORDER BY weight DESC, source, type
        LIMIT %(fan)s
    ) AS heaviest
    ORDER BY place, weight DESC, source, type
) AS sorted

-- name: memory_types
SELECT seq, type FROM aspen.memory WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])

-- name: touch
INSERT INTO aspen.access (tenant_id, seq, count, at, revision)
SELECT %(tenant)s, seq, count, %(at)s, %(revision)s
FROM unnest(%(seqs)s::bigint[], %(counts)s::bigint[]) AS used (seq, count)
ON CONFLICT (tenant_id, seq) DO UPDATE SET
    count = access.count + excluded.count,
    at = greatest(access.at, excluded.at),
    revision = excluded.revision

-- Traces

-- name: known_traces
SELECT id FROM aspen.trace WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::text[])

-- name: add_trace
INSERT INTO aspen.trace (tenant_id, number, id, conversation, created_at, seed, level, size, body)
VALUES (
    %(tenant)s, %(number)s, %(id)s, %(conversation)s, %(created_at)s, %(seed)s, %(level)s, %(size)s, %(body)s
)

-- name: add_trace_mentions
INSERT INTO aspen.trace_mention (tenant_id, seq, trace)
SELECT tenant_id, seq, %(number)s FROM aspen.memory WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::text[])

-- name: trace_body
SELECT body FROM aspen.trace WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: list_traces
SELECT id, conversation, created_at, seed, level, size
FROM aspen.trace
WHERE tenant_id = %(tenant)s
ORDER BY number DESC
LIMIT %(limit)s

-- name: list_traces_of_conversation
SELECT id, conversation, created_at, seed, level, size
FROM aspen.trace
WHERE tenant_id = %(tenant)s AND conversation = %(conversation)s
ORDER BY number DESC
LIMIT %(limit)s

-- Keys

-- name: current_stamp
SELECT number, model_id, model_name, key_version, activated FROM aspen.key_stamp WHERE tenant_id = %(tenant)s AND current

-- name: find_stamp
SELECT number
FROM aspen.key_stamp
WHERE tenant_id = %(tenant)s AND model_id = %(model_id)s AND key_version = %(key_version)s

-- name: add_stamp
INSERT INTO aspen.key_stamp (tenant_id, number, model_id, model_name, key_version, current, activated)
SELECT %(tenant)s, coalesce(max(number), 0) + 1, %(model_id)s, %(model_name)s, %(key_version)s, false, 0
FROM aspen.key_stamp
WHERE tenant_id = %(tenant)s
RETURNING number

-- name: retire_stamp
UPDATE aspen.key_stamp SET current = false WHERE tenant_id = %(tenant)s AND current

-- name: make_stamp_current
UPDATE aspen.key_stamp
SET current = true, activated = %(revision)s
WHERE tenant_id = %(tenant)s AND number = %(stamp)s

-- name: other_keys
SELECT 1 FROM aspen.memory_key WHERE tenant_id = %(tenant)s AND stamp <> %(stamp)s LIMIT 1

-- Keys, head keys and traits go with their stamp by ON DELETE CASCADE.
-- name: delete_other_stamps
DELETE FROM aspen.key_stamp WHERE tenant_id = %(tenant)s AND number <> %(stamp)s

-- name: key_size
SELECT length(body) FROM aspen.memory_key WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s LIMIT 1

-- name: put_keys
INSERT INTO aspen.memory_key (tenant_id, seq, stamp, revision, body)
SELECT %(tenant)s, seq, %(stamp)s, %(revision)s, body
FROM unnest(%(seq)s::bigint[], %(body)s::bytea[]) AS new (seq, body)
ON CONFLICT (tenant_id, seq, stamp) DO UPDATE SET body = excluded.body, revision = excluded.revision

-- name: put_head_keys
INSERT INTO aspen.memory_head_key (tenant_id, seq, stamp, body)
SELECT %(tenant)s, seq, %(stamp)s, body
FROM unnest(%(seq)s::bigint[], %(body)s::bytea[]) AS new (seq, body)
ON CONFLICT (tenant_id, seq, stamp) DO UPDATE SET body = excluded.body

-- name: head_keys
SELECT seq, body
FROM aspen.memory_head_key
WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s AND seq = ANY(%(seqs)s::bigint[])

-- name: keys_after
SELECT string_agg(int8send(seq), ''), string_agg(body, '')
FROM (
    SELECT seq, body
    FROM aspen.memory_key
    WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s AND seq > %(after)s
    ORDER BY seq
    LIMIT %(limit)s
) AS sorted

-- name: missing_keys
SELECT
    id, seq, text, speaker, said_at, conversation, source, provenance, created_at, token_count, trace_id, type,
    stability, importance, emotion, emotion_intensity, tags, at, coalesce(count, 0)
FROM aspen.memory LEFT JOIN aspen.access USING (tenant_id, seq)
WHERE
    tenant_id = %(tenant)s
    AND NOT EXISTS (
        SELECT 1
        FROM aspen.memory_key
        WHERE tenant_id = %(tenant)s AND memory_key.seq = memory.seq AND memory_key.stamp = %(stamp)s
    )
ORDER BY seq
LIMIT %(limit)s

-- Statistics

-- name: statistics
SELECT body FROM aspen.statistics WHERE tenant_id = %(tenant)s AND name = %(name)s

-- Whether statistics were deleted after a revision: what was fitted on the store as it was then may hold what is gone.
-- name: statistics_outdated
SELECT
    EXISTS (SELECT 1 FROM aspen.forgotten WHERE tenant_id = %(tenant)s AND revision > %(as_of)s)
    OR EXISTS (SELECT 1 FROM aspen.key_stamp WHERE tenant_id = %(tenant)s AND current AND activated > %(as_of)s)

-- name: save_statistics
INSERT INTO aspen.statistics (tenant_id, name, body) VALUES (%(tenant)s, %(name)s, %(body)s)
ON CONFLICT (tenant_id, name) DO UPDATE SET body = excluded.body

-- name: delete_statistics
DELETE FROM aspen.statistics WHERE tenant_id = %(tenant)s

-- Changes: one query for everything, in the order of the table, and one that starts from an index. Both in blocks.

-- name: all_rows
SELECT
    count(*)::integer,
    string_agg(int8send(seq), ''),
    array_agg(conversation),
    array_agg(speaker),
    array_agg(subject),
    array_agg(provenance),
    array_agg(type),
    array_agg(stability),
    array_agg(tags),
    string_agg(float8send(importance), ''),
    string_agg(float8send(coalesce(emotion_intensity, 0)), ''),
    string_agg(int8send(created_at), ''),
    string_agg(int8send(coalesce(said_at, %(no_time)s::bigint)), ''),
    string_agg(int4send(token_count), ''),
    string_agg(int4send(term_count), ''),
    string_agg(body, '')
FROM (
    SELECT
        seq, conversation, speaker, subject, provenance, type, stability, tags, importance, emotion_intensity,
        created_at, said_at, token_count, term_count, body
    FROM aspen.memory JOIN aspen.memory_key USING (tenant_id, seq)
    WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s AND seq > %(after)s
    ORDER BY seq
    LIMIT %(limit)s
) AS sorted

-- name: new_rows
SELECT
    count(*)::integer,
    string_agg(int8send(seq), ''),
    array_agg(conversation),
    array_agg(speaker),
    array_agg(subject),
    array_agg(provenance),
    array_agg(type),
    array_agg(stability),
    array_agg(tags),
    string_agg(float8send(importance), ''),
    string_agg(float8send(coalesce(emotion_intensity, 0)), ''),
    string_agg(int8send(created_at), ''),
    string_agg(int8send(coalesce(said_at, %(no_time)s::bigint)), ''),
    string_agg(int4send(token_count), ''),
    string_agg(int4send(term_count), ''),
    string_agg(body, '')
FROM (
    SELECT
        seq, conversation, speaker, subject, provenance, type, stability, tags, importance, emotion_intensity,
        created_at, said_at, token_count, term_count, body
    FROM aspen.memory JOIN aspen.memory_key USING (tenant_id, seq)
    WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s AND seq > %(after)s AND revision > %(since)s
    ORDER BY seq
    LIMIT %(limit)s
) AS sorted

-- name: all_traits
SELECT string_agg(int8send(seq), ''), array_agg(name), string_agg(float4send(value), '')
FROM (
    SELECT seq, name, value
    FROM aspen.trait
    WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s
    ORDER BY seq, name
) AS sorted

-- name: traits_of_new_rows
SELECT string_agg(int8send(seq), ''), array_agg(name), string_agg(float4send(value), '')
FROM (
    SELECT seq, name, value
    FROM aspen.memory_key JOIN aspen.trait USING (tenant_id, seq, stamp)
    WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s AND revision > %(since)s
    ORDER BY seq, name
) AS sorted

-- name: all_edges
SELECT
    string_agg(int8send(source), ''), string_agg(int8send(target), ''), array_agg(type),
    string_agg(float8send(weight), ''), array_agg(provenance)
FROM (
    SELECT source, target, type, weight, provenance
    FROM aspen.edge
    WHERE tenant_id = %(tenant)s
    ORDER BY source, target, type
) AS sorted

-- name: new_edges
SELECT
    string_agg(int8send(source), ''), string_agg(int8send(target), ''), array_agg(type),
    string_agg(float8send(weight), ''), array_agg(provenance)
FROM (
    SELECT source, target, type, weight, provenance
    FROM aspen.edge
    WHERE tenant_id = %(tenant)s AND revision > %(since)s
    ORDER BY source, target, type
) AS sorted

-- name: all_accesses
SELECT string_agg(int8send(seq), ''), string_agg(int8send(count), ''), string_agg(int8send(at), '')
FROM (SELECT seq, count, at FROM aspen.access WHERE tenant_id = %(tenant)s ORDER BY seq) AS sorted

-- name: new_accesses
SELECT string_agg(int8send(seq), ''), string_agg(int8send(count), ''), string_agg(int8send(at), '')
FROM (
    SELECT seq, count, at
    FROM aspen.access
    WHERE tenant_id = %(tenant)s AND revision > %(since)s
    ORDER BY seq
) AS sorted

-- name: new_forgotten
SELECT seq FROM aspen.forgotten WHERE tenant_id = %(tenant)s AND revision > %(since)s ORDER BY seq

-- Copies. The names of the columns are the parameters of the statements that take them in a store of SQLite.

-- name: counters
SELECT revision, last_seq, unrelated FROM aspen.store WHERE tenant_id = %(tenant)s

-- name: copy_stamps
SELECT number, model_id, model_name, key_version, current, activated
FROM aspen.key_stamp
WHERE tenant_id = %(tenant)s
ORDER BY number

-- name: copy_traces
SELECT id, conversation, created_at, seed, level, size, body
FROM aspen.trace
WHERE tenant_id = %(tenant)s
ORDER BY number

-- name: copy_trace_mentions
SELECT trace.id, json_agg(memory.id)::text
FROM aspen.trace_mention
JOIN aspen.memory ON memory.tenant_id = %(tenant)s AND memory.seq = trace_mention.seq
JOIN aspen.trace ON trace.tenant_id = %(tenant)s AND trace.number = trace_mention.trace
WHERE trace_mention.tenant_id = %(tenant)s
GROUP BY trace.id

-- name: copy_memories
SELECT
    seq, id, conversation, speaker, subject, said_at, source, provenance, created_at, token_count, term_count, trace_id,
    text, type, stability, importance, emotion, emotion_intensity, tags
FROM aspen.memory
WHERE tenant_id = %(tenant)s
ORDER BY seq

-- name: copy_terms
SELECT seq, coalesce(terms, '') AS terms
FROM aspen.memory LEFT JOIN (
    SELECT seq, string_agg(term, ' ' ORDER BY position) AS terms
    FROM aspen.posting
    WHERE tenant_id = %(tenant)s
    GROUP BY seq
) AS joined USING (seq)
WHERE tenant_id = %(tenant)s
ORDER BY seq

-- name: copy_mentions
SELECT name, seq, start, stop FROM aspen.mention WHERE tenant_id = %(tenant)s ORDER BY name, seq, start

-- name: copy_accesses
SELECT seq, at, count, revision FROM aspen.access WHERE tenant_id = %(tenant)s ORDER BY seq

-- name: copy_edges
SELECT source, target, type, weight, provenance, revision
FROM aspen.edge
WHERE tenant_id = %(tenant)s
ORDER BY source, target, type

-- name: copy_keys
SELECT seq, stamp, revision, body FROM aspen.memory_key WHERE tenant_id = %(tenant)s ORDER BY seq, stamp

-- name: copy_head_keys
SELECT seq, stamp, body FROM aspen.memory_head_key WHERE tenant_id = %(tenant)s ORDER BY seq, stamp

-- name: copy_traits
SELECT seq, stamp, name, value FROM aspen.trait WHERE tenant_id = %(tenant)s ORDER BY seq, stamp, name

-- name: copy_statistics
SELECT name, body FROM aspen.statistics WHERE tenant_id = %(tenant)s

-- name: copy_forgotten
SELECT seq, revision FROM aspen.forgotten WHERE tenant_id = %(tenant)s ORDER BY seq

-- Sizes: the values of this tenant in bytes, as they are stored; of `file`, all tables and indexes of all tenants.

-- name: counts
SELECT
    (SELECT count(*) FROM aspen.memory WHERE tenant_id = %(tenant)s),
    (SELECT count(*) FROM aspen.trace WHERE tenant_id = %(tenant)s),
    (SELECT count(*) FROM aspen.edge WHERE tenant_id = %(tenant)s),
    (SELECT count(DISTINCT conversation) FROM aspen.memory WHERE tenant_id = %(tenant)s)

-- name: sizes
SELECT 'text', coalesce(sum(pg_column_size(text) + pg_column_size(id)), 0) FROM aspen.memory WHERE tenant_id = %(tenant)s
UNION ALL
SELECT 'keys', (
    SELECT coalesce(sum(pg_column_size(body)), 0) FROM aspen.memory_key WHERE tenant_id = %(tenant)s
) + (
    SELECT coalesce(sum(pg_column_size(body)), 0) FROM aspen.memory_head_key WHERE tenant_id = %(tenant)s
)
UNION ALL
SELECT 'traces', coalesce(sum(pg_column_size(body)), 0) FROM aspen.trace WHERE tenant_id = %(tenant)s
UNION ALL
SELECT 'edges', coalesce(sum(pg_column_size(edge)), 0) FROM aspen.edge WHERE tenant_id = %(tenant)s
UNION ALL
SELECT 'keywords', coalesce(sum(pg_column_size(posting)), 0) FROM aspen.posting WHERE tenant_id = %(tenant)s
UNION ALL
SELECT 'names', (
    SELECT coalesce(sum(pg_column_size(mention)), 0) FROM aspen.mention WHERE tenant_id = %(tenant)s
) + (
    SELECT coalesce(sum(pg_column_size(trait)), 0) FROM aspen.trait WHERE tenant_id = %(tenant)s
)

-- name: file_size
SELECT sum(pg_total_relation_size(format('%%I.%%I', schemaname, tablename)))
FROM pg_catalog.pg_tables
WHERE schemaname = 'aspen'

-- Checks: each returns how many are wrong.

-- name: check_missing_keys
SELECT count(*)
FROM aspen.memory
WHERE
    tenant_id = %(tenant)s
    AND NOT EXISTS (
        SELECT 1
        FROM aspen.memory_key JOIN aspen.key_stamp ON
            key_stamp.tenant_id = %(tenant)s AND key_stamp.number = memory_key.stamp
        WHERE memory_key.tenant_id = %(tenant)s AND memory_key.seq = memory.seq AND key_stamp.current
    )

-- name: check_key_sizes
SELECT count(*)
FROM (
    SELECT 1
    FROM aspen.memory_key
    WHERE tenant_id = %(tenant)s
    GROUP BY stamp
    HAVING min(length(body)) <> max(length(body))
) AS uneven

-- name: check_postings_without_memory
SELECT count(*)
FROM (
    SELECT seq FROM aspen.posting WHERE tenant_id = %(tenant)s
    EXCEPT
    SELECT seq FROM aspen.memory WHERE tenant_id = %(tenant)s
) AS orphans

-- name: check_term_counts
SELECT count(*)
FROM aspen.memory LEFT JOIN (
    SELECT seq, count(*) AS terms FROM aspen.posting WHERE tenant_id = %(tenant)s GROUP BY seq
) AS counted USING (seq)
WHERE tenant_id = %(tenant)s AND term_count <> coalesce(terms, 0)

-- name: check_traces_without_memory
SELECT count(*)
FROM aspen.trace
WHERE
    tenant_id = %(tenant)s
    AND NOT EXISTS (
        SELECT 1 FROM aspen.memory WHERE memory.tenant_id = %(tenant)s AND memory.trace_id = trace.id
    )

-- name: check_forgotten_but_there
SELECT count(*) FROM aspen.forgotten JOIN aspen.memory USING (tenant_id, seq) WHERE tenant_id = %(tenant)s

-- name: check_last_seq
SELECT count(*)
FROM aspen.memory
WHERE
    tenant_id = %(tenant)s
    AND seq > coalesce((SELECT last_seq FROM aspen.store WHERE tenant_id = %(tenant)s), 0)
