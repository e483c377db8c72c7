-- Small records by name, each replaced by whoever saw its last version: codes that wait to be typed in, PINs, where devices
-- are pushed to. `shelf`: where it is found with others; `until`: when it may go, in Unix milliseconds.
CREATE TABLE cards (
    key     TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    shelf   TEXT,
    whose   TEXT,
    until   INTEGER,
    body    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cards_shelf ON cards (shelf, key) WHERE shelf IS NOT NULL;
CREATE INDEX cards_whose ON cards (whose, key) WHERE whose IS NOT NULL;
CREATE INDEX cards_until ON cards (until) WHERE until IS NOT NULL;

-- How a contact wants to be told, as JSON; null: nothing was said.
ALTER TABLE contacts ADD COLUMN reach TEXT;
