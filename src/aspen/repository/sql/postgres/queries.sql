-- Statements that the Postgres repository runs, by name: here and in the files beside this one. Parameters are named;
-- %(tenant)s is given to all. Row-level security lets superusers and roles with BYPASSRLS see everything, so each
-- statement names the tenant as well.
--
-- Columns of many rows come packed: integers as the bytes of all rows one after another (int8send: big-endian), because
-- a million Python objects take longer than the query.

-- Settings hold for one transaction, so that nothing is left on a connection that a pooler gives to others. Compiling a
-- query would take longer than any query here runs, and the planner cannot tell for recursive ones. And where it does not
-- know how many rows a tenant has, it thinks that there are few, and would read and sort all of them: it should take
-- them from an index in their order, and stop at the limit.
-- name: begin_read
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL aspen.tenant = {tenant};
SET LOCAL jit = off;
SET LOCAL enable_sort = off

-- A writer waits for the row of its store first, and sees in every statement after that what others have committed.
-- name: begin_write
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL aspen.tenant = {tenant};
SET LOCAL lock_timeout = {patience};
SET LOCAL jit = off;
SET LOCAL enable_sort = off

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

-- Memories

-- As `memory_of` reads them: of a row `own`, beside how it was used.
-- part: memory_columns
own.id, own.seq, text, speaker, said_at, conversation, source, provenance, created_at, token_count, trace_id, type,
stability, importance, emotion, emotion_intensity, tags, at, coalesce(count, 0), version

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

-- One look-up for each id or seq, by LATERAL and LIMIT: of a join, or = ANY, the planner might make one pass over all.
-- name: memories_by_id
SELECT
    -- include: memory_columns
FROM unnest(%(ids)s::text[]) AS sought (id)
CROSS JOIN LATERAL (
    SELECT * FROM aspen.memory WHERE tenant_id = %(tenant)s AND memory.id = sought.id LIMIT 1
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true

-- name: seqs_by_id
SELECT own.*
FROM unnest(%(ids)s::text[]) AS sought (id)
CROSS JOIN LATERAL (
    SELECT id, seq FROM aspen.memory WHERE tenant_id = %(tenant)s AND memory.id = sought.id LIMIT 1
) AS own

-- name: memories_by_seq
SELECT
    -- include: memory_columns
FROM unnest(%(seqs)s::bigint[]) AS sought (seq)
CROSS JOIN LATERAL (
    SELECT * FROM aspen.memory WHERE tenant_id = %(tenant)s AND memory.seq = sought.seq LIMIT 1
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true

-- name: existing_seqs
SELECT own.*
FROM unnest(%(seqs)s::bigint[]) AS sought (seq)
CROSS JOIN LATERAL (
    SELECT seq FROM aspen.memory WHERE tenant_id = %(tenant)s AND memory.seq = sought.seq LIMIT 1
) AS own

-- name: list_memories
SELECT
    -- include: memory_columns
FROM (
    SELECT *
    FROM aspen.memory
    WHERE tenant_id = %(tenant)s AND seq < %(before)s AND (%(speaker)s::text IS NULL OR speaker = %(speaker)s)
    ORDER BY seq DESC
    LIMIT %(limit)s
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true
ORDER BY own.seq DESC

-- name: list_conversation
SELECT
    -- include: memory_columns
FROM (
    SELECT *
    FROM aspen.memory
    WHERE
        tenant_id = %(tenant)s
        AND conversation = %(conversation)s
        AND seq < %(before)s
        AND (%(speaker)s::text IS NULL OR speaker = %(speaker)s)
    ORDER BY seq DESC
    LIMIT %(limit)s
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true
ORDER BY own.seq DESC

-- name: conversations
SELECT conversation, count(*), min(seq), max(seq)
FROM aspen.memory
WHERE tenant_id = %(tenant)s AND conversation IS NOT NULL
GROUP BY conversation
ORDER BY max(seq) DESC

-- Forgetting: keys, head keys, names, traits and edges go with their memory by ON DELETE CASCADE; a memory that
-- stays loses a deleted trace by ON DELETE SET NULL.

-- Traces in which some memories stand.
-- part: traces_of
SELECT own.number
FROM aspen.memory JOIN aspen.trace AS own USING (tenant_id)
WHERE tenant_id = %(tenant)s AND memory.seq = ANY(%(seqs)s::bigint[]) AND own.id = memory.trace_id
UNION
SELECT trace FROM aspen.trace_mention WHERE tenant_id = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])

-- name: forget_traces
DELETE FROM aspen.trace
WHERE
    tenant_id = %(tenant)s
    AND number IN (
        -- include: traces_of
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
INSERT INTO aspen.edge (tenant_id, source, target, type, weight, provenance, revision, target_type)
SELECT DISTINCT
    %(tenant)s,
    before,
    after,
    %(type)s,
    1.0,
    %(provenance)s,
    %(revision)s::bigint,
    (SELECT memory.type FROM aspen.memory WHERE tenant_id = %(tenant)s AND memory.seq = after)
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
FROM (SELECT DISTINCT seq FROM unnest(%(seqs)s::bigint[]) AS seq) AS sought
CROSS JOIN LATERAL (
    SELECT name, start, stop
    FROM aspen.mention
    WHERE tenant_id = %(tenant)s AND mention.seq = sought.seq
    ORDER BY start, name
) AS own
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

-- Traces

-- name: known_traces
SELECT own.*
FROM unnest(%(ids)s::text[]) AS sought (id)
CROSS JOIN LATERAL (
    SELECT id FROM aspen.trace WHERE tenant_id = %(tenant)s AND trace.id = sought.id LIMIT 1
) AS own

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

-- name: trace_memories
SELECT id
FROM aspen.memory
WHERE tenant_id = %(tenant)s AND seq IN (
    SELECT seq FROM aspen.memory WHERE tenant_id = %(tenant)s AND trace_id = %(id)s
    UNION
    SELECT trace_mention.seq
    FROM aspen.trace JOIN aspen.trace_mention USING (tenant_id)
    WHERE tenant_id = %(tenant)s AND trace.id = %(id)s AND trace_mention.trace = trace.number
)
ORDER BY seq

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

-- Without an index of seeds: the rows are few beside their bodies, which are not read.
-- name: list_traces_of_seed
SELECT id, conversation, created_at, seed, level, size
FROM aspen.trace
WHERE
    tenant_id = %(tenant)s
    AND seed = %(seed)s
    AND (%(conversation)s::text IS NULL OR conversation = %(conversation)s)
ORDER BY number DESC
LIMIT %(limit)s

-- name: memories_from_traces
SELECT
    -- include: memory_columns
FROM unnest(%(ids)s::text[]) AS sought (id)
CROSS JOIN LATERAL (
    SELECT * FROM aspen.memory WHERE tenant_id = %(tenant)s AND memory.trace_id = sought.id LIMIT 10000
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true
ORDER BY own.seq

-- Changes: one query for everything, in the order of the table, and one that starts from the index of revisions: what
-- that finds is put together before it is sorted, so that the planner does not take the order from another index and
-- read everything. Memories come in blocks.

-- The keys come first, in the order of their primary key: `stamp + 0` is no condition for the other index.
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
    FROM (
        SELECT seq, body
        FROM aspen.memory_key
        WHERE tenant_id = %(tenant)s AND stamp + 0 = %(stamp)s AND seq > %(after)s
        ORDER BY seq
        LIMIT %(limit)s
    ) AS next_key
    JOIN aspen.memory USING (seq)
    WHERE memory.tenant_id = %(tenant)s
    ORDER BY seq
) AS sorted

-- name: new_rows
WITH new_key AS MATERIALIZED (
    SELECT seq, body
    FROM aspen.memory_key
    WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s AND revision > %(since)s
)
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
        next_key.seq, conversation, speaker, subject, provenance, type, stability, tags, importance, emotion_intensity,
        created_at, said_at, token_count, term_count, body
    FROM (SELECT seq, body FROM new_key WHERE seq > %(after)s ORDER BY seq LIMIT %(limit)s) AS next_key
    CROSS JOIN LATERAL (
        SELECT *
        FROM aspen.memory
        WHERE memory.tenant_id = %(tenant)s AND memory.seq = next_key.seq
        LIMIT 1
    ) AS own
    ORDER BY next_key.seq
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
WITH new_key AS MATERIALIZED (
    SELECT seq
    FROM aspen.memory_key
    WHERE tenant_id = %(tenant)s AND stamp = %(stamp)s AND revision > %(since)s
)
SELECT string_agg(int8send(seq), ''), array_agg(name), string_agg(float4send(value), '')
FROM (
    SELECT seq, name, value
    FROM new_key CROSS JOIN LATERAL (
        SELECT name, value
        FROM aspen.trait
        WHERE tenant_id = %(tenant)s AND trait.seq = new_key.seq AND stamp = %(stamp)s
        ORDER BY name
    ) AS own
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
WITH new_edge AS MATERIALIZED (
    SELECT source, target, type, weight, provenance
    FROM aspen.edge
    WHERE tenant_id = %(tenant)s AND revision > %(since)s
)
SELECT
    string_agg(int8send(source), ''), string_agg(int8send(target), ''), array_agg(type),
    string_agg(float8send(weight), ''), array_agg(provenance)
FROM (SELECT * FROM new_edge ORDER BY source, target, type) AS sorted

-- name: all_accesses
SELECT string_agg(int8send(seq), ''), string_agg(int8send(count), ''), string_agg(int8send(at), '')
FROM (SELECT seq, count, at FROM aspen.access WHERE tenant_id = %(tenant)s ORDER BY seq) AS sorted

-- name: new_accesses
WITH new_access AS MATERIALIZED (
    SELECT seq, count, at FROM aspen.access WHERE tenant_id = %(tenant)s AND revision > %(since)s
)
SELECT string_agg(int8send(seq), ''), string_agg(int8send(count), ''), string_agg(int8send(at), '')
FROM (SELECT * FROM new_access ORDER BY seq) AS sorted

-- name: new_forgotten
WITH new_forgotten AS MATERIALIZED (
    SELECT seq FROM aspen.forgotten WHERE tenant_id = %(tenant)s AND revision > %(since)s
)
SELECT seq FROM new_forgotten ORDER BY seq
