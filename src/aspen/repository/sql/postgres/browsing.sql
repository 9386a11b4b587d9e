-- Looking through memories, and amending them.

-- Everything that a memory must be to be wanted; NULL asks for nothing. Words are ranges of terms, of each of which a
-- term has to occur: what they find is put together once, and only where there are any.
-- part: wanted
tenant_id = %(tenant)s
AND seq > %(after)s
AND seq < %(before)s
AND (%(type)s::text IS NULL OR type = %(type)s)
AND (%(speaker)s::text IS NULL OR speaker = %(speaker)s)
AND (%(conversation)s::text IS NULL OR conversation = %(conversation)s)
AND (%(provenance)s::text IS NULL OR provenance = %(provenance)s)
AND (%(stability)s::text IS NULL OR stability = %(stability)s)
AND (%(since)s::bigint IS NULL OR coalesce(said_at, created_at) >= %(since)s)
AND (%(until)s::bigint IS NULL OR coalesce(said_at, created_at) < %(until)s)
AND (%(tag)s::text IS NULL OR tags::jsonb @> to_jsonb(%(tag)s::text))
AND (
    %(firsts)s::text[] IS NULL
    OR seq IN (
        SELECT found.seq
        FROM unnest(%(firsts)s::text[], %(lasts)s::text[]) WITH ORDINALITY AS word (first, last, place)
        CROSS JOIN LATERAL (
            SELECT posting.seq
            FROM aspen.posting
            WHERE tenant_id = %(tenant)s AND term >= word.first COLLATE "C" AND term <= word.last COLLATE "C"
        ) AS found
        GROUP BY found.seq
        HAVING count(DISTINCT place) = cardinality(%(firsts)s::text[])
    )
)

-- name: page_newest
SELECT
    -- include: memory_columns
FROM (
    SELECT *
    FROM aspen.memory
    WHERE
        -- include: wanted
    ORDER BY seq DESC
    LIMIT %(limit)s
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true
ORDER BY own.seq DESC

-- name: page_oldest
SELECT
    -- include: memory_columns
FROM (
    SELECT *
    FROM aspen.memory
    WHERE
        -- include: wanted
    ORDER BY seq
    LIMIT %(limit)s
) AS own
LEFT JOIN LATERAL (
    SELECT at, count FROM aspen.access WHERE tenant_id = %(tenant)s AND access.seq = own.seq LIMIT 1
) AS used ON true
ORDER BY own.seq

-- name: count_memories
SELECT count(*) FROM aspen.memory WHERE tenant_id = %(tenant)s

-- name: count_wanted
SELECT count(*)
FROM aspen.memory
WHERE
    -- include: wanted

-- name: priority_rows
SELECT
    string_agg(int8send(own.seq), ''),
    array_agg(type),
    array_agg(stability),
    string_agg(float8send(importance), ''),
    string_agg(float8send(coalesce(emotion_intensity, 0)), ''),
    string_agg(int8send(coalesce(count, 0)), ''),
    string_agg(int8send(coalesce(at, created_at)), '')
FROM (
    SELECT seq, type, stability, importance, emotion_intensity, created_at
    FROM aspen.memory
    WHERE
        -- include: wanted
    ORDER BY seq
) AS own
LEFT JOIN (SELECT seq, at, count FROM aspen.access WHERE tenant_id = %(tenant)s) AS used USING (seq)

-- Days are counted from the first day of the year 1, so that the division rounds down.
-- name: growth
SELECT day, sum(memories)::bigint, sum(traces)::bigint
FROM (
    SELECT (created_at - %(first_day)s::bigint) / %(microseconds)s::bigint AS day, 1 AS memories, 0 AS traces
    FROM aspen.memory
    WHERE tenant_id = %(tenant)s
    UNION ALL
    SELECT (created_at - %(first_day)s::bigint) / %(microseconds)s::bigint, 0, 1
    FROM aspen.trace
    WHERE tenant_id = %(tenant)s
) AS stored
GROUP BY day
ORDER BY day

-- name: amend_memory
UPDATE aspen.memory
SET
    type = %(type)s,
    stability = %(stability)s,
    importance = %(importance)s,
    emotion = %(emotion)s,
    emotion_intensity = %(emotion_intensity)s,
    tags = %(tags)s,
    version = %(version)s
WHERE tenant_id = %(tenant)s AND seq = %(seq)s

-- name: amend_edges
UPDATE aspen.edge SET target_type = %(type)s WHERE tenant_id = %(tenant)s AND target = %(seq)s

-- Its row is handed over again to those who follow the changes.
-- name: hand_over_again
UPDATE aspen.memory_key
SET revision = %(revision)s
WHERE
    tenant_id = %(tenant)s
    AND seq = %(seq)s
    AND stamp = (SELECT number FROM aspen.key_stamp WHERE tenant_id = %(tenant)s AND current)

-- name: attached_traces
SELECT id, conversation, created_at, seed, level, size
FROM aspen.trace
WHERE
    tenant_id = %(tenant)s
    AND number IN (
        -- include: traces_of
    )
ORDER BY number DESC

-- name: count_attached_edges
SELECT count(*)
FROM (
    SELECT source, target, type
    FROM aspen.edge
    WHERE tenant_id = %(tenant)s AND source = ANY(%(seqs)s::bigint[])
    UNION
    SELECT source, target, type
    FROM aspen.edge
    WHERE tenant_id = %(tenant)s AND target = ANY(%(seqs)s::bigint[])
) AS attached
