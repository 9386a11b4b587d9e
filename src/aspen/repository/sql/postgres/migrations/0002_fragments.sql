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

ALTER TABLE aspen.memory_fragment ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE aspen.memory_fragment ALTER COLUMN tenant_id SET STATISTICS 0;
ALTER TABLE aspen.memory_fragment ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON aspen.memory_fragment USING (tenant_id = current_setting('aspen.tenant', true));
