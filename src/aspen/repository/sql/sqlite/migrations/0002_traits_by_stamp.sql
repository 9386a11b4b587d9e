-- Traits belong to a stamp, as keys do: those of a coming stamp do not show before it is activated.
ALTER TABLE trait RENAME TO trait_before;

CREATE TABLE trait (
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES key_stamp (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL NOT NULL CHECK (value > 0 AND value <= 1),
    PRIMARY KEY (seq, stamp, name)
) STRICT, WITHOUT ROWID;

-- In a store that is being re-keyed nobody knows whose they are: they go to every stamp that has a key of the memory.
INSERT INTO trait (seq, stamp, name, value)
SELECT seq, stamp, name, value FROM trait_before JOIN memory_key USING (seq);

DROP TABLE trait_before;
