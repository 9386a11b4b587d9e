-- Every statement that the SQLite repository runs, by name. Parameters are named.

-- name: begin_read
BEGIN DEFERRED

-- name: begin_write
BEGIN IMMEDIATE

-- name: commit
COMMIT

-- name: rollback
ROLLBACK

-- name: revision
SELECT value FROM meta WHERE name = 'revision'

-- name: next_revision
UPDATE meta SET value = value + 1 WHERE name = 'revision' RETURNING value

-- Counters of a copy, so that it goes on where the other store stood. SQLite keeps one row for each table that counts.

-- name: set_revision
UPDATE meta SET value = :revision WHERE name = 'revision'

-- name: forget_last_seq
DELETE FROM sqlite_sequence WHERE name = 'memory'

-- name: set_last_seq
INSERT INTO sqlite_sequence (name, seq) VALUES ('memory', :seq)

-- Memories

-- As `memory_of` reads them.
-- part: memory_columns
id, seq, text, speaker, said_at, conversation, source, provenance, created_at, token_count, trace_id, type, stability,
importance, emotion, emotion_intensity, tags, accessed_at, access_count, version

-- name: last_seq
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'memory'

-- name: last_of_conversation
SELECT max(seq) FROM memory WHERE conversation = :conversation

-- name: add_memory
INSERT INTO memory (
    seq, id, conversation, speaker, subject, said_at, source, provenance, created_at, token_count, term_count,
    trace_id, text, type, stability, importance, emotion, emotion_intensity, tags, version
) VALUES (
    :seq, :id, :conversation, :speaker, :subject, :said_at, :source, :provenance, :created_at, :token_count,
    :term_count, :trace_id, :text, :type, :stability, :importance, :emotion, :emotion_intensity, :tags, :version
)

-- name: add_keywords
INSERT INTO keyword (rowid, terms) VALUES (:seq, :terms)

-- Not OR IGNORE, which would drop what a CHECK forbids as well.
-- name: add_mention
INSERT INTO mention (name, seq, start, stop) VALUES (:name, :seq, :start, :stop)
ON CONFLICT (name, seq, start) DO NOTHING

-- name: add_trait
INSERT INTO trait (seq, stamp, name, value) VALUES (:seq, :stamp, :name, :value)

-- name: delete_traits
DELETE FROM trait WHERE seq = :seq AND stamp = :stamp

-- name: memories_by_id
SELECT
    -- include: memory_columns
FROM memory
WHERE id IN (SELECT value FROM json_each(:ids))

-- name: seqs_by_id
SELECT id, seq FROM memory WHERE id IN (SELECT value FROM json_each(:ids))

-- name: memories_by_seq
SELECT
    -- include: memory_columns
FROM memory
WHERE seq IN (SELECT value FROM json_each(:seqs))

-- name: existing_seqs
SELECT seq FROM memory WHERE seq IN (SELECT value FROM json_each(:seqs))

-- name: list_memories
SELECT
    -- include: memory_columns
FROM memory
WHERE seq < :before AND (:speaker IS NULL OR speaker = :speaker)
ORDER BY seq DESC
LIMIT :limit

-- name: list_conversation
SELECT
    -- include: memory_columns
FROM memory
WHERE conversation = :conversation AND seq < :before AND (:speaker IS NULL OR speaker = :speaker)
ORDER BY seq DESC
LIMIT :limit

-- name: conversations
SELECT conversation, count(*), min(seq), max(seq)
FROM memory
WHERE conversation IS NOT NULL
GROUP BY conversation
ORDER BY max(seq) DESC

-- Forgetting: keys, fragments, names, traits and edges go with their memory by ON DELETE CASCADE; a memory that stays
-- loses a deleted trace by ON DELETE SET NULL.

-- Traces in which some memories stand.
-- part: in_which_stand
id IN (SELECT trace_id FROM memory WHERE seq IN (SELECT value FROM json_each(:seqs)))
OR number IN (SELECT trace FROM trace_mention WHERE seq IN (SELECT value FROM json_each(:seqs)))

-- name: forget_traces
DELETE FROM trace
WHERE
    -- include: in_which_stand
RETURNING number

-- name: forget_keywords
DELETE FROM keyword WHERE rowid = :seq

-- name: terms_of
SELECT terms FROM keyword WHERE rowid IN (SELECT value FROM json_each(:seqs))

-- Whether FTS5 still holds the beginning of a forgotten word that no memory has any more. It finds its pages by the
-- beginning of their first word (in keyword_idx, after the digit 0), and 'secure-delete' leaves that where it is.
-- Beginnings are bytes, and may end within a character: :beginnings has them in hex.
-- name: words_left
SELECT EXISTS (
    SELECT 1
    FROM (
        SELECT CAST(substr(term, 2) AS TEXT) AS beginning
        FROM keyword_idx
        WHERE length(term) > 1 AND hex(substr(term, 2)) IN (SELECT value FROM json_each(:beginnings))
    )
    WHERE NOT EXISTS (
        SELECT 1 FROM keyword_posting WHERE term >= beginning AND term < beginning || char(0x10FFFF)
    )
)

-- name: rebuild_keywords
INSERT INTO keyword (keyword) VALUES ('rebuild')

-- name: places_of
SELECT seq, conversation
FROM memory
WHERE seq IN (SELECT value FROM json_each(:seqs)) AND conversation IS NOT NULL

-- name: forget_memory
DELETE FROM memory WHERE seq = :seq

-- Joins the memories around a forgotten one, so that its conversation stays one chain.
-- name: close_gap
INSERT INTO edge (source, target, type, weight, provenance, revision)
SELECT before, after, :type, 1.0, :provenance, :revision
FROM (
    SELECT
        (SELECT max(seq) FROM memory WHERE conversation = :conversation AND seq < :seq) AS before,
        (SELECT min(seq) FROM memory WHERE conversation = :conversation AND seq > :seq) AS after
)
WHERE before IS NOT NULL AND after IS NOT NULL
ON CONFLICT (source, target, type)
DO UPDATE SET weight = excluded.weight, provenance = excluded.provenance, revision = excluded.revision

-- name: add_forgotten
INSERT INTO forgotten (seq, revision) VALUES (:seq, :revision)

-- Keywords. A term is a bound value, compared byte by byte: there is no MATCH, whose query language a memory or a
-- prompt could speak.

-- FTS5 keeps the occurrences of a term in the order of doc and offset, and so they come. SQLite does not know that:
-- an ORDER BY would sort them again.
-- name: postings
SELECT doc, "offset" FROM keyword_posting WHERE term = :term

-- Names. One short index scan for each name, which ends at the limit: rows come in the order of the index, so that
-- nothing is sorted, and a name of many memories costs no more than a rare one.

-- name: mentions
SELECT seq, name, start, stop
FROM mention
WHERE seq IN (SELECT value FROM json_each(:seqs))
ORDER BY seq, start, name

-- The bare column `stop` is that of the row with the smallest `start`: so SQLite does it for a single min() or max()
-- (https://www.sqlite.org/lang_select.html#bareagg).
-- name: mentioning
SELECT seq, name, min(start), stop FROM mention WHERE name = :name GROUP BY seq ORDER BY seq LIMIT :limit

-- Two subqueries, each of which reads one row: min() and max() beside each other would read them all.
-- name: span_of_conversation
SELECT
    (SELECT min(seq) FROM memory WHERE conversation = :conversation),
    (SELECT max(seq) FROM memory WHERE conversation = :conversation)

-- Whether a memory is of the conversation, its index tells. Memories of a conversation mostly lie close together: the
-- mentions outside its span are not read (of a BETWEEN, SQLite would take the lower end alone). CROSS JOIN keeps the
-- order of the tables, by which the rows come in the order of the result.
-- name: mentioning_in_conversation
SELECT mention.seq, name, min(start), stop
FROM mention CROSS JOIN memory ON memory.seq = mention.seq
WHERE name = :name AND mention.seq >= :first AND mention.seq <= :last AND conversation = :conversation
GROUP BY mention.seq
ORDER BY mention.seq
LIMIT :limit

-- name: about
SELECT seq, subject, 0, 0 FROM memory WHERE subject = :name ORDER BY seq LIMIT :limit

-- name: about_in_conversation
SELECT seq, subject, 0, 0
FROM memory
WHERE subject = :name AND conversation = :conversation
ORDER BY seq
LIMIT :limit

-- Edges

-- name: put_edge
INSERT INTO edge (source, target, type, weight, provenance, revision)
VALUES (:source, :target, :type, :weight, :provenance, :revision)
ON CONFLICT (source, target, type)
DO UPDATE SET weight = excluded.weight, provenance = excluded.provenance, revision = excluded.revision

-- name: edge_exists
SELECT 1 FROM edge WHERE source = :source AND target = :target AND type = :type

-- name: remove_edge
DELETE FROM edge WHERE source = :source AND target = :target AND type = :type RETURNING 1

-- name: note_unrelated
UPDATE meta SET value = :revision WHERE name = 'unrelated'

-- name: unrelated
SELECT value FROM meta WHERE name = 'unrelated'

-- name: out_edges
SELECT source, target, type, weight, provenance
FROM edge
WHERE
    source = :source
    AND weight >= :min_weight
    AND (:types IS NULL OR type IN (SELECT value FROM json_each(:types)))
ORDER BY weight DESC, target, type
LIMIT :fan

-- name: in_edges
SELECT source, target, type, weight, provenance
FROM edge
WHERE target = :target
ORDER BY weight DESC, source, type
LIMIT :fan

-- name: corrected_by
SELECT DISTINCT source FROM edge WHERE target IN (SELECT value FROM json_each(:seqs)) AND type = :type

-- name: count_version
UPDATE memory SET version = version + 1 WHERE seq = :seq

-- name: memory_types
SELECT seq, type FROM memory WHERE seq IN (SELECT value FROM json_each(:seqs))

-- name: touch
UPDATE memory
SET
    accessed_at = max(coalesce(accessed_at, :at), :at),
    access_count = access_count + :count,
    access_revision = :revision
WHERE seq = :seq

-- Traces

-- name: trace_exists
SELECT 1 FROM trace WHERE id = :trace_id

-- name: add_trace
INSERT INTO trace (id, conversation, created_at, seed, level, size, body)
VALUES (:id, :conversation, :created_at, :seed, :level, :size, :body)

-- name: add_trace_mentions
INSERT OR IGNORE INTO trace_mention (seq, trace)
SELECT memory.seq, trace.number
FROM trace JOIN memory ON memory.id IN (SELECT value FROM json_each(:ids))
WHERE trace.id = :trace_id

-- name: trace_body
SELECT body FROM trace WHERE id = :trace_id

-- name: trace_memories
SELECT id FROM memory
WHERE seq IN (
    SELECT seq FROM memory WHERE trace_id = :trace_id
    UNION
    SELECT trace_mention.seq FROM trace JOIN trace_mention ON trace_mention.trace = trace.number WHERE trace.id = :trace_id
)
ORDER BY seq

-- name: list_traces
SELECT id, conversation, created_at, seed, level, size FROM trace ORDER BY number DESC LIMIT :limit

-- name: list_traces_of_conversation
SELECT id, conversation, created_at, seed, level, size
FROM trace
WHERE conversation = :conversation
ORDER BY number DESC
LIMIT :limit

-- Without an index of seeds: the rows are few beside their bodies, which are not read.
-- name: list_traces_of_seed
SELECT id, conversation, created_at, seed, level, size
FROM trace
WHERE seed = :seed AND (:conversation IS NULL OR conversation = :conversation)
ORDER BY number DESC
LIMIT :limit

-- name: memories_from_traces
SELECT
    -- include: memory_columns
FROM memory
WHERE trace_id IN (SELECT value FROM json_each(:ids))
ORDER BY seq

-- Keys

-- name: current_stamp
SELECT number, model_id, model_name, key_version, activated FROM key_stamp WHERE current = 1

-- name: find_stamp
SELECT number FROM key_stamp WHERE model_id = :model_id AND key_version = :key_version

-- name: add_stamp
INSERT INTO key_stamp (model_id, model_name, key_version, current, activated)
VALUES (:model_id, :model_name, :key_version, 0, 0)
RETURNING number

-- name: retire_stamp
UPDATE key_stamp SET current = 0 WHERE current = 1

-- name: make_stamp_current
UPDATE key_stamp SET current = 1, activated = :revision WHERE number = :stamp

-- name: other_keys
SELECT 1 FROM memory_key WHERE stamp IN (SELECT number FROM key_stamp WHERE number <> :stamp) LIMIT 1

-- Keys, head keys, traits and fragments go with their stamp by ON DELETE CASCADE.
-- name: delete_other_stamps
DELETE FROM key_stamp WHERE number <> :stamp

-- name: key_size
SELECT length(body) FROM memory_key WHERE stamp = :stamp LIMIT 1

-- name: put_key
INSERT INTO memory_key (seq, stamp, revision, body)
VALUES (:seq, :stamp, :revision, :body)
ON CONFLICT (seq, stamp) DO UPDATE SET body = excluded.body, revision = excluded.revision

-- name: put_head_key
INSERT INTO memory_head_key (seq, stamp, body)
VALUES (:seq, :stamp, :body)
ON CONFLICT (seq, stamp) DO UPDATE SET body = excluded.body

-- name: head_keys
SELECT seq, body
FROM memory_head_key
WHERE stamp = :stamp AND seq IN (SELECT value FROM json_each(:seqs))

-- name: fragment
SELECT body FROM memory_fragment WHERE seq = :seq AND stamp = :stamp AND name = :fragment

-- name: put_fragment
INSERT INTO memory_fragment (seq, stamp, name, body)
VALUES (:seq, :stamp, :fragment, :body)
ON CONFLICT (seq, stamp, name) DO UPDATE SET body = excluded.body

-- The plus keeps SQLite from the index by stamp and revision, whose rows it would have to sort, keys and all.
-- name: keys_after
SELECT seq, body FROM memory_key WHERE +stamp = :stamp AND seq > :after ORDER BY seq

-- name: missing_keys
SELECT
    -- include: memory_columns
FROM memory
WHERE NOT EXISTS (SELECT 1 FROM memory_key WHERE memory_key.seq = memory.seq AND memory_key.stamp = :stamp)
ORDER BY seq
LIMIT :limit

-- Statistics

-- name: statistics
SELECT body FROM statistics WHERE name = :name

-- Whether statistics were deleted after a revision: what was fitted on the store as it was then may hold what is gone.
-- name: statistics_outdated
SELECT
    EXISTS (SELECT 1 FROM forgotten WHERE revision > :as_of)
    OR EXISTS (SELECT 1 FROM key_stamp WHERE current = 1 AND activated > :as_of)

-- name: save_statistics
INSERT INTO statistics (name, body) VALUES (:name, :body)
ON CONFLICT (name) DO UPDATE SET body = excluded.body

-- name: delete_statistics
DELETE FROM statistics

-- Changes: one query for everything, in the order of the table, and one that starts from an index.

-- name: count_all_rows
SELECT count(*) FROM memory_key WHERE stamp = :stamp

-- name: all_rows
SELECT
    memory.seq, conversation, speaker, subject, provenance, type, stability, importance, emotion_intensity, tags,
    created_at, said_at, token_count, term_count, body
FROM memory CROSS JOIN memory_key ON memory_key.seq = memory.seq AND memory_key.stamp = :stamp
ORDER BY memory.seq

-- name: count_new_rows
SELECT count(*) FROM memory_key WHERE stamp = :stamp AND revision > :since

-- name: new_rows
SELECT
    memory.seq, conversation, speaker, subject, provenance, type, stability, importance, emotion_intensity, tags,
    created_at, said_at, token_count, term_count, body
FROM memory_key JOIN memory ON memory.seq = memory_key.seq
WHERE memory_key.stamp = :stamp AND memory_key.revision > :since
ORDER BY memory.seq

-- name: all_traits
SELECT seq, name, value FROM trait WHERE stamp = :stamp ORDER BY seq, name

-- name: traits_of_new_rows
SELECT trait.seq, name, value
FROM memory_key CROSS JOIN trait ON trait.seq = memory_key.seq AND trait.stamp = memory_key.stamp
WHERE memory_key.stamp = :stamp AND memory_key.revision > :since
ORDER BY trait.seq, name

-- name: all_edges
SELECT source, target, type, weight, provenance FROM edge ORDER BY source, target, type

-- The plus keeps SQLite from reading all edges in the order of the table, to be spared the sorting of a few.
-- name: new_edges
SELECT source, target, type, weight, provenance FROM edge WHERE revision > :since ORDER BY +source, target, type

-- name: all_accesses
SELECT seq, access_count, accessed_at FROM memory WHERE access_revision > 0 ORDER BY seq

-- name: new_accesses
SELECT seq, access_count, accessed_at
FROM memory
WHERE access_revision > 0 AND access_revision > :since
ORDER BY +seq

-- name: new_forgotten
SELECT seq FROM forgotten WHERE revision > :since ORDER BY seq

-- Sizes: the pages that each table and index fills, in bytes.

-- name: counts
SELECT
    (SELECT count(*) FROM memory),
    (SELECT count(*) FROM trace),
    (SELECT count(*) FROM edge),
    (SELECT count(DISTINCT conversation) FROM memory)

-- name: sizes
SELECT schema.tbl_name, sum(pages.pgsize)
FROM dbstat AS pages JOIN sqlite_schema AS schema ON schema.name = pages.name
WHERE pages.aggregate = TRUE
GROUP BY schema.tbl_name

-- name: file_size
SELECT page_count * page_size FROM pragma_page_count, pragma_page_size

-- Checks: each returns how many are wrong.

-- It holds the index of FTS5 against the terms, too.
-- name: integrity_check
PRAGMA integrity_check(10)

-- name: foreign_key_check
SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY "table", parent

-- name: check_missing_keys
SELECT count(*)
FROM memory
WHERE NOT EXISTS (
    SELECT 1
    FROM memory_key JOIN key_stamp ON key_stamp.number = memory_key.stamp
    WHERE memory_key.seq = memory.seq AND key_stamp.current = 1
)

-- name: check_key_sizes
SELECT count(*) FROM (SELECT 1 FROM memory_key GROUP BY stamp HAVING min(length(body)) <> max(length(body)))

-- name: check_stale_fragments
SELECT count(*) FROM memory_fragment JOIN key_stamp ON key_stamp.number = memory_fragment.stamp WHERE current = 0

-- name: check_keywords_without_memory
SELECT count(*) FROM (SELECT rowid FROM keyword EXCEPT SELECT seq FROM memory)

-- name: check_term_counts
SELECT count(*)
FROM memory LEFT JOIN keyword ON keyword.rowid = memory.seq
WHERE term_count IS NOT length(terms) - length(replace(terms, ' ', '')) + (terms <> '')

-- name: check_traces_without_memory
SELECT count(*)
FROM trace
WHERE
    NOT EXISTS (SELECT 1 FROM memory WHERE memory.trace_id = trace.id)
    AND NOT EXISTS (SELECT 1 FROM trace_mention WHERE trace_mention.trace = trace.number)

-- name: check_forgotten_but_there
SELECT count(*) FROM forgotten JOIN memory USING (seq)
