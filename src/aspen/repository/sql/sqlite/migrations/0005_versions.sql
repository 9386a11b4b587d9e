-- How often a memory was amended, and 1: so that who changes what another has changed meanwhile is told.
ALTER TABLE memory ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0);
