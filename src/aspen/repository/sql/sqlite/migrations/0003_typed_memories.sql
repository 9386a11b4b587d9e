-- Memories have a kind, and are counted as they are used; relations say where they come from.
ALTER TABLE memory ADD COLUMN type TEXT NOT NULL DEFAULT 'episodic';
ALTER TABLE memory ADD COLUMN stability TEXT NOT NULL DEFAULT 'tentative';
ALTER TABLE memory ADD COLUMN importance REAL NOT NULL DEFAULT 0.6 CHECK (importance BETWEEN 0 AND 1);
ALTER TABLE memory ADD COLUMN emotion TEXT;
ALTER TABLE memory ADD COLUMN emotion_intensity REAL CHECK (emotion_intensity BETWEEN 0 AND 1);
ALTER TABLE memory ADD COLUMN tags TEXT;
ALTER TABLE memory ADD COLUMN accessed_at INTEGER;
ALTER TABLE memory ADD COLUMN access_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memory ADD COLUMN access_revision INTEGER NOT NULL DEFAULT 0;

CREATE INDEX memory_by_access ON memory (access_revision) WHERE access_revision > 0;

ALTER TABLE edge RENAME TO edge_before;
DROP INDEX edge_by_weight;
DROP INDEX edge_by_target;
DROP INDEX edge_by_revision;

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

INSERT INTO edge (source, target, type, weight, revision, provenance)
SELECT source, target, type, weight, revision, 'inferred' FROM edge_before;

DROP TABLE edge_before;

INSERT INTO meta (name, value) VALUES ('unrelated', 0);
