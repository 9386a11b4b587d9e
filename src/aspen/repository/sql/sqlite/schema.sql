-- The whole schema: the sum of migrations/, held equal by a test.

-- Counters of the whole store. `revision` counts the transactions that wrote something; `unrelated` is the one that
-- last removed an edge otherwise than with a memory.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('revision', 0), ('unrelated', 0);

-- Whose keys the store holds. `activated` is the revision at which the stamp became the current one: who read
-- the store before that needs every key again.
CREATE TABLE key_stamp (
    number INTEGER PRIMARY KEY,
    model_id TEXT NOT NULL,
    model_name TEXT NOT NULL,
    key_version TEXT NOT NULL,
    current INTEGER NOT NULL CHECK (current IN (0, 1)),
    activated INTEGER NOT NULL,
    UNIQUE (model_id, key_version)
) STRICT;

CREATE UNIQUE INDEX key_stamp_current ON key_stamp (current) WHERE current = 1;

-- Times are microseconds since 1970 in UTC. The body stands last, so that listing never reads it.
CREATE TABLE trace (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    conversation TEXT,
    created_at INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    level TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size = length(body)),
    body BLOB NOT NULL
) STRICT;

CREATE INDEX trace_by_conversation ON trace (conversation, number);

-- `tags` is a JSON array, NULL for none; `access_revision` is that of the last access, 0 before the first; `version`
-- counts, from 1, amendments, and edges to what holds in its place that come or go.
CREATE TABLE memory (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    conversation TEXT,
    speaker TEXT,
    subject TEXT,
    said_at INTEGER,
    source TEXT,
    provenance TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    token_count INTEGER NOT NULL CHECK (token_count >= 0),
    term_count INTEGER NOT NULL CHECK (term_count >= 0),
    trace_id TEXT REFERENCES trace (id) ON DELETE SET NULL,
    text TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT 'episodic',
    stability TEXT NOT NULL DEFAULT 'tentative',
    importance REAL NOT NULL DEFAULT 0.6 CHECK (importance BETWEEN 0 AND 1),
    emotion TEXT,
    emotion_intensity REAL CHECK (emotion_intensity BETWEEN 0 AND 1),
    tags TEXT,
    accessed_at INTEGER,
    access_count INTEGER NOT NULL DEFAULT 0,
    access_revision INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0)
) STRICT;

CREATE INDEX memory_by_conversation ON memory (conversation, seq);
CREATE INDEX memory_by_subject ON memory (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX memory_by_subject_within ON memory (conversation, subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX memory_by_access ON memory (access_revision) WHERE access_revision > 0;
CREATE INDEX memory_by_trace ON memory (trace_id) WHERE trace_id IS NOT NULL;

-- Memories whose text stands in a trace, beside those that refer to it.
CREATE TABLE trace_mention (
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    trace INTEGER NOT NULL REFERENCES trace (number) ON DELETE CASCADE,
    PRIMARY KEY (seq, trace)
) STRICT, WITHOUT ROWID;

CREATE INDEX trace_mention_by_trace ON trace_mention (trace);

CREATE TABLE memory_key (
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES key_stamp (number) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, stamp)
) STRICT;

CREATE INDEX memory_key_by_revision ON memory_key (stamp, revision);

-- Keys of single tokens, of a few attention heads. Large, and read for the best candidates only.
CREATE TABLE memory_head_key (
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES key_stamp (number) ON DELETE CASCADE,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, stamp)
) STRICT;

-- KV fragments: what the text of a memory left in the cache of the stamp's model, encoded. `name` tells how it was made.
CREATE TABLE memory_fragment (
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES key_stamp (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, stamp, name)
) STRICT;

-- A name in a memory, and the terms [start, stop) of the sentence it stands in.
CREATE TABLE mention (
    name TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    start INTEGER NOT NULL CHECK (start >= 0),
    stop INTEGER NOT NULL CHECK (stop >= start),
    PRIMARY KEY (name, seq, start)
) STRICT, WITHOUT ROWID;

CREATE INDEX mention_by_memory ON mention (seq, start, name);

-- What a memory is, as the model of the stamp sees it.
CREATE TABLE trait (
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES key_stamp (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL NOT NULL CHECK (value > 0 AND value <= 1),
    PRIMARY KEY (seq, stamp, name)
) STRICT, WITHOUT ROWID;

-- The terms of each memory, in order and joined by blanks; rowid is memory.seq. A virtual table can have no foreign
-- key: check() looks for orphans instead. Terms come analysed from Python. The `ascii` tokenizer takes every
-- character beyond ASCII for part of a word and folds A-Z alone, which no term has: with "_" as a part of words,
-- exactly the terms come back, and no second opinion about Unicode.
CREATE VIRTUAL TABLE keyword USING fts5(terms, tokenize = "ascii tokenchars '_'");

-- Without this, FTS5 only marks a deleted word as deleted. The option is kept in the table keyword_config.
INSERT INTO keyword (keyword, rank) VALUES ('secure-delete', 1);

-- One row per occurrence of a term: the postings.
CREATE VIRTUAL TABLE keyword_posting USING fts5vocab(keyword, instance);

CREATE TABLE edge (
    source INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    target INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    type TEXT NOT NULL,
    weight REAL NOT NULL CHECK (weight BETWEEN 0 AND 1),
    revision INTEGER NOT NULL,
    provenance TEXT NOT NULL,
    PRIMARY KEY (source, target, type),
    CHECK (source <> target)
) STRICT, WITHOUT ROWID;

CREATE INDEX edge_by_weight ON edge (source, weight DESC, target, type);
CREATE INDEX edge_by_weight_into ON edge (target, weight DESC, source, type);
CREATE INDEX edge_by_revision ON edge (revision);

CREATE TABLE statistics (
    name TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE forgotten (
    seq INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;

CREATE INDEX forgotten_by_revision ON forgotten (revision);
