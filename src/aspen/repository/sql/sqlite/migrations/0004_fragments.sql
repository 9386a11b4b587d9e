-- KV fragments: what the text of a memory left in the cache of the stamp's model, encoded. `name` tells how it was made.
CREATE TABLE memory_fragment (
    seq INTEGER NOT NULL REFERENCES memory (seq) ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES key_stamp (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, stamp, name)
) STRICT;
