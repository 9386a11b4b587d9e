-- How often a memory was amended, and 1: so that who changes what another has changed meanwhile is told.
ALTER TABLE aspen.memory ADD COLUMN version BIGINT NOT NULL DEFAULT 1 CHECK (version > 0);
