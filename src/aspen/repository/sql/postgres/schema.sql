-- The whole schema as one script: the sum of migrations/, held equal by a test.
--
-- Every table holds the stores of many tenants. `tenant_id` stands first in each primary key, foreign key and index, so
-- that the tables can be distributed by it, and so that no row can refer to one of another tenant. Row-level security
-- shows and takes only rows of the tenant that is named in the setting `aspen.tenant`, to the owner of the tables too.
-- Text that is compared or ordered has the collation "C": by code point, as Python does it, and the same after an
-- upgrade of the system's collations. Times are microseconds since 1970 in UTC.

-- Which migrations were applied. Of the whole database, not of a tenant.
CREATE TABLE aspen.migration (
    number INTEGER PRIMARY KEY,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- One row for each tenant, locked by every transaction that writes: so the revisions, which count those transactions,
-- become visible in their order. `last_seq` is the last one that was given away; `unrelated` is the revision that last
-- removed an edge otherwise than with a memory.
CREATE TABLE aspen.store (
    tenant_id TEXT COLLATE "C" PRIMARY KEY CHECK (tenant_id <> ''),
    revision BIGINT NOT NULL DEFAULT 0,
    last_seq BIGINT NOT NULL DEFAULT 0,
    unrelated BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Whose keys the store holds. `activated` is the revision at which the stamp became the current one: who read the store
-- before that needs every key again.
CREATE TABLE aspen.key_stamp (
    tenant_id TEXT COLLATE "C" NOT NULL,
    number INTEGER NOT NULL,
    model_id TEXT COLLATE "C" NOT NULL,
    model_name TEXT NOT NULL,
    key_version TEXT COLLATE "C" NOT NULL,
    current BOOLEAN NOT NULL,
    activated BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, number),
    UNIQUE (tenant_id, model_id, key_version)
);

CREATE UNIQUE INDEX key_stamp_current ON aspen.key_stamp (tenant_id) WHERE current;

-- `number` is the revision at which the trace was stored, one in each.
CREATE TABLE aspen.trace (
    tenant_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    conversation TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    seed BIGINT NOT NULL,
    level TEXT NOT NULL,
    size BIGINT NOT NULL CHECK (size = length(body)),
    body BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, number),
    UNIQUE (tenant_id, id)
);

CREATE INDEX trace_by_conversation ON aspen.trace (tenant_id, conversation, number);

-- `tags` is a JSON array, NULL for none; `version` counts, from 1, amendments, and edges to what holds in
-- its place that come or go.
CREATE TABLE aspen.memory (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    conversation TEXT COLLATE "C",
    speaker TEXT COLLATE "C",
    subject TEXT COLLATE "C",
    said_at BIGINT,
    source TEXT,
    provenance TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    token_count INTEGER NOT NULL CHECK (token_count >= 0),
    term_count INTEGER NOT NULL CHECK (term_count >= 0),
    trace_id TEXT COLLATE "C",
    text TEXT NOT NULL,
    type TEXT NOT NULL,
    stability TEXT NOT NULL,
    importance DOUBLE PRECISION NOT NULL CHECK (importance BETWEEN 0 AND 1),
    emotion TEXT,
    emotion_intensity DOUBLE PRECISION CHECK (emotion_intensity BETWEEN 0 AND 1),
    tags TEXT,
    version BIGINT NOT NULL DEFAULT 1 CHECK (version > 0),
    PRIMARY KEY (tenant_id, seq),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, trace_id) REFERENCES aspen.trace (tenant_id, id) ON DELETE SET NULL (trace_id)
);

CREATE INDEX memory_by_conversation ON aspen.memory (tenant_id, conversation, seq);
CREATE INDEX memory_by_subject ON aspen.memory (tenant_id, subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX memory_by_subject_within ON aspen.memory (tenant_id, conversation, subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX memory_by_trace ON aspen.memory (tenant_id, trace_id) WHERE trace_id IS NOT NULL;

-- How often a memory was used, and when last; no row before the first time. Beside the memory: changing a row writes all
-- of it anew, and the old one stays for a while.
CREATE TABLE aspen.access (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    count BIGINT NOT NULL CHECK (count > 0),
    at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, seq),
    FOREIGN KEY (tenant_id, seq) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE
);

CREATE INDEX access_by_revision ON aspen.access (tenant_id, revision);

-- Memories whose text stands in a trace, beside those that refer to it.
CREATE TABLE aspen.trace_mention (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    trace BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, seq, trace),
    FOREIGN KEY (tenant_id, seq) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, trace) REFERENCES aspen.trace (tenant_id, number) ON DELETE CASCADE
);

CREATE INDEX trace_mention_by_trace ON aspen.trace_mention (tenant_id, trace);

CREATE TABLE aspen.memory_key (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    stamp INTEGER NOT NULL,
    revision BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq, stamp),
    FOREIGN KEY (tenant_id, seq) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, stamp) REFERENCES aspen.key_stamp (tenant_id, number) ON DELETE CASCADE
);

CREATE INDEX memory_key_by_revision ON aspen.memory_key (tenant_id, stamp, revision);

-- Keys of single tokens, of a few attention heads. Large, and read for the best candidates only.
CREATE TABLE aspen.memory_head_key (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    stamp INTEGER NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq, stamp),
    FOREIGN KEY (tenant_id, seq) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, stamp) REFERENCES aspen.key_stamp (tenant_id, number) ON DELETE CASCADE
);

-- KV fragments: what the text of a memory left in the cache of the stamp's model, encoded. `name` tells how it was made.
CREATE TABLE aspen.memory_fragment (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    stamp INTEGER NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq, stamp, name),
    FOREIGN KEY (tenant_id, seq) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, stamp) REFERENCES aspen.key_stamp (tenant_id, number) ON DELETE CASCADE
);

-- A name in a memory, and the terms [start, stop) of the sentence it stands in.
CREATE TABLE aspen.mention (
    tenant_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    start INTEGER NOT NULL CHECK (start >= 0),
    stop INTEGER NOT NULL CHECK (stop >= start),
    PRIMARY KEY (tenant_id, name, seq, start) INCLUDE (stop),
    FOREIGN KEY (tenant_id, seq) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE
);

CREATE INDEX mention_by_memory ON aspen.mention (tenant_id, seq, start, name);

-- What a memory is, as the model of the stamp sees it.
CREATE TABLE aspen.trait (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    stamp INTEGER NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value REAL NOT NULL CHECK (value > 0 AND value <= 1),
    PRIMARY KEY (tenant_id, seq, stamp, name),
    FOREIGN KEY (tenant_id, seq) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, stamp) REFERENCES aspen.key_stamp (tenant_id, number) ON DELETE CASCADE
);

-- One row for each occurrence of a term: the primary key is the index of words, and holds all that a look-up reads.
-- Not a GIN index over tsvector or arrays: beside row-level security the planner uses an index only for operators that
-- are leakproof, which `=` is and `@@` and `@>` are not, so every look-up would read the whole table; and a tsvector
-- keeps no more than 256 places of a word. No foreign key: it would take as long again as the rows themselves.
CREATE TABLE aspen.posting (
    tenant_id TEXT COLLATE "C" NOT NULL,
    term TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    PRIMARY KEY (tenant_id, term, seq, position)
);

CREATE INDEX posting_by_memory ON aspen.posting (tenant_id, seq);

-- The type of the target, which seldom changes, lies in the edge: activation asks for it at each step, and so reads
-- nothing but one index.
CREATE TABLE aspen.edge (
    tenant_id TEXT COLLATE "C" NOT NULL,
    source BIGINT NOT NULL,
    target BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    weight DOUBLE PRECISION NOT NULL CHECK (weight BETWEEN 0 AND 1),
    revision BIGINT NOT NULL,
    provenance TEXT NOT NULL,
    target_type TEXT NOT NULL,
    PRIMARY KEY (tenant_id, source, target, type),
    FOREIGN KEY (tenant_id, source) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, target) REFERENCES aspen.memory (tenant_id, seq) ON DELETE CASCADE,
    CHECK (source <> target)
);

CREATE INDEX edge_by_weight ON aspen.edge (tenant_id, source, weight DESC, target, type) INCLUDE (target_type);
CREATE INDEX edge_by_weight_into ON aspen.edge (tenant_id, target, weight DESC, source, type);
CREATE INDEX edge_by_revision ON aspen.edge (tenant_id, revision);

CREATE TABLE aspen.statistics (
    tenant_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE aspen.forgotten (
    tenant_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);

CREATE INDEX forgotten_by_revision ON aspen.forgotten (tenant_id, revision);

-- Bodies are compressed already, or random to a compressor.
ALTER TABLE aspen.trace ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE aspen.memory_key ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE aspen.memory_head_key ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE aspen.memory_fragment ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE aspen.statistics ALTER COLUMN body SET STORAGE EXTERNAL;

-- No statistics of tenants. With them the planner takes a tenant whom it does not know yet for one row, so that any index
-- seems as good as any other: measured, one that begins with the tenant alone, read whole at each step. Without them it
-- takes every tenant for a small share of the table, and an index that tells more is always better.
ALTER TABLE aspen.store ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.key_stamp ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.trace ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.memory ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.access ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.trace_mention ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.memory_key ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.memory_head_key ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.memory_fragment ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.mention ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.trait ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.posting ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.edge ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.statistics ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.forgotten ALTER COLUMN tenant_id SET STATISTICS 0;

ALTER TABLE aspen.store ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.key_stamp ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.trace ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.memory ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.access ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.trace_mention ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.memory_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.memory_head_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.memory_fragment ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.mention ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.trait ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.posting ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.edge ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.statistics ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE aspen.forgotten ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- Where the setting is missing or empty, no row is seen.
CREATE POLICY tenant ON aspen.store USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.key_stamp USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.trace USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.memory USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.access USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.trace_mention USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.memory_key USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.memory_head_key USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.memory_fragment USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.mention USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.trait USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.posting USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.edge USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.statistics USING (tenant_id = current_setting('aspen.tenant', true));
CREATE POLICY tenant ON aspen.forgotten USING (tenant_id = current_setting('aspen.tenant', true));
