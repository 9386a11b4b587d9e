-- Statements that open a database, copy a store, measure it and look for damage.

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
    text, type, stability, importance, emotion, emotion_intensity, tags, version
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

-- name: copy_fragments
SELECT seq, stamp, name AS fragment, body
FROM aspen.memory_fragment
WHERE tenant_id = %(tenant)s
ORDER BY seq, stamp, name

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
SELECT 'text', coalesce(sum(pg_column_size(text) + pg_column_size(id)), 0)
FROM aspen.memory
WHERE tenant_id = %(tenant)s
UNION ALL
SELECT 'keys', (
    SELECT coalesce(sum(pg_column_size(body)), 0) FROM aspen.memory_key WHERE tenant_id = %(tenant)s
) + (
    SELECT coalesce(sum(pg_column_size(body)), 0) FROM aspen.memory_head_key WHERE tenant_id = %(tenant)s
)
UNION ALL
SELECT 'fragments', coalesce(sum(pg_column_size(body)), 0) FROM aspen.memory_fragment WHERE tenant_id = %(tenant)s
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

-- name: check_stale_fragments
SELECT count(*)
FROM aspen.memory_fragment JOIN aspen.key_stamp ON
    key_stamp.tenant_id = %(tenant)s AND key_stamp.number = memory_fragment.stamp
WHERE memory_fragment.tenant_id = %(tenant)s AND NOT key_stamp.current

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
    AND NOT EXISTS (
        SELECT 1 FROM aspen.trace_mention WHERE trace_mention.tenant_id = %(tenant)s AND trace = trace.number
    )

-- name: check_forgotten_but_there
SELECT count(*) FROM aspen.forgotten JOIN aspen.memory USING (tenant_id, seq) WHERE tenant_id = %(tenant)s

-- name: check_last_seq
SELECT count(*)
FROM aspen.memory
WHERE
    tenant_id = %(tenant)s
    AND seq > coalesce((SELECT last_seq FROM aspen.store WHERE tenant_id = %(tenant)s), 0)
