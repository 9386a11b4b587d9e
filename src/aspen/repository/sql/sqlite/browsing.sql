-- Looking through memories, and amending them.

-- Everything that a memory must be to be wanted; NULL asks for nothing. Words are ranges of terms, [first, last] as
-- JSON, of each of which a term has to occur: what they find is put together once, and only where there are any.
-- part: wanted
seq > :after
AND seq < :before
AND (:type IS NULL OR type = :type)
AND (:speaker IS NULL OR speaker = :speaker)
AND (:conversation IS NULL OR conversation = :conversation)
AND (:provenance IS NULL OR provenance = :provenance)
AND (:stability IS NULL OR stability = :stability)
AND (:since IS NULL OR coalesce(said_at, created_at) >= :since)
AND (:until IS NULL OR coalesce(said_at, created_at) < :until)
AND (:tag IS NULL OR (tags IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag)))
AND (
    :words IS NULL
    OR seq IN (
        SELECT doc
        FROM json_each(:words) AS word CROSS JOIN keyword_posting
        WHERE term >= word.value ->> 0 AND term <= word.value ->> 1
        GROUP BY doc
        HAVING count(DISTINCT word.key) = json_array_length(:words)
    )
)

-- name: page_newest
SELECT
    -- include: memory_columns
FROM memory
WHERE
    -- include: wanted
ORDER BY seq DESC
LIMIT :limit

-- name: page_oldest
SELECT
    -- include: memory_columns
FROM memory
WHERE
    -- include: wanted
ORDER BY seq
LIMIT :limit

-- name: count_memories
SELECT count(*) FROM memory

-- name: count_wanted
SELECT count(*)
FROM memory
WHERE
    -- include: wanted

-- name: priority_rows
SELECT
    seq, type, stability, importance, coalesce(emotion_intensity, 0.0), access_count, coalesce(accessed_at, created_at)
FROM memory
WHERE
    -- include: wanted
ORDER BY seq

-- Days are counted from the first day of the year 1, so that the division rounds down.
-- name: growth
SELECT day, sum(memories), sum(traces)
FROM (
    SELECT (created_at - :first_day) / :microseconds AS day, 1 AS memories, 0 AS traces FROM memory
    UNION ALL
    SELECT (created_at - :first_day) / :microseconds, 0, 1 FROM trace
)
GROUP BY day
ORDER BY day

-- name: amend_memory
UPDATE memory
SET
    type = :type,
    stability = :stability,
    importance = :importance,
    emotion = :emotion,
    emotion_intensity = :emotion_intensity,
    tags = :tags,
    version = :version
WHERE seq = :seq

-- Its row is handed over again to those who follow the changes.
-- name: hand_over_again
UPDATE memory_key
SET revision = :revision
WHERE seq = :seq AND stamp = (SELECT number FROM key_stamp WHERE current = 1)

-- name: attached_traces
SELECT id, conversation, created_at, seed, level, size
FROM trace
WHERE
    -- include: in_which_stand
ORDER BY number DESC

-- name: count_attached_edges
SELECT count(*)
FROM (
    SELECT source, target, type FROM edge WHERE source IN (SELECT value FROM json_each(:seqs))
    UNION
    SELECT source, target, type FROM edge WHERE target IN (SELECT value FROM json_each(:seqs))
)
