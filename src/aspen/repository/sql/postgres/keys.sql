-- Statements about stamps, keys and what is fitted on them.

-- name: current_stamp
SELECT number, model_id, model_name, key_version, activated
FROM aspen.key_stamp
WHERE tenant_id = %(tenant)s AND current

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

-- Keys, head keys, traits and fragments go with their stamp by ON DELETE CASCADE.
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
SELECT own.*
FROM unnest(%(seqs)s::bigint[]) AS sought (seq)
CROSS JOIN LATERAL (
    SELECT seq, body
    FROM aspen.memory_head_key
    WHERE tenant_id = %(tenant)s AND memory_head_key.seq = sought.seq AND stamp = %(stamp)s
    LIMIT 1
) AS own

-- name: fragments
SELECT own.*
FROM unnest(%(seqs)s::bigint[], %(names)s::text[]) AS sought (seq, name)
CROSS JOIN LATERAL (
    SELECT seq, name, body
    FROM aspen.memory_fragment
    WHERE
        tenant_id = %(tenant)s
        AND memory_fragment.seq = sought.seq
        AND stamp = %(stamp)s
        AND memory_fragment.name = sought.name COLLATE "C"
    LIMIT 1
) AS own

-- name: put_fragments
INSERT INTO aspen.memory_fragment (tenant_id, seq, stamp, name, body)
SELECT %(tenant)s, seq, %(stamp)s, name, body
FROM unnest(%(seq)s::bigint[], %(fragment)s::text[], %(body)s::bytea[]) AS new (seq, name, body)
ON CONFLICT (tenant_id, seq, stamp, name) DO UPDATE SET body = excluded.body

-- `stamp + 0` keeps the planner from the index by stamp and revision, whose rows it would have to sort, keys and all.
-- name: keys_after
SELECT string_agg(int8send(seq), ''), string_agg(body, '')
FROM (
    SELECT seq, body
    FROM aspen.memory_key
    WHERE tenant_id = %(tenant)s AND stamp + 0 = %(stamp)s AND seq > %(after)s
    ORDER BY seq
    LIMIT %(limit)s
) AS sorted

-- name: missing_keys
SELECT
    -- include: memory_columns
FROM (
    SELECT *
    FROM aspen.memory
    WHERE
        tenant_id = %(tenant)s
        AND NOT EXISTS (
            SELECT 1
            FROM aspen.memory_key
            WHERE tenant_id = %(tenant)s AND memory_key.seq = memory.seq AND memory_key.stamp = %(stamp)s
        )
    ORDER BY seq
    LIMIT %(limit)s
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true
ORDER BY own.seq

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
