-- Work that is to be done whatever happens. `due`: when it may be begun, as it was last said; `at`: when it may be claimed,
-- which is the end of the lease while somebody has it in hand. `token`: by which it was claimed; 0: it was given back, or
-- never was. `hastened`: somebody wants it at once, and it was in hand then. Times in Unix milliseconds, lanes by name.
CREATE TABLE jobs (
    id       INTEGER PRIMARY KEY,
    key      TEXT    NOT NULL UNIQUE,
    lane     TEXT    NOT NULL,
    room     TEXT,
    whose    TEXT,
    since    INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    token    INTEGER NOT NULL DEFAULT 0,
    hastened INTEGER NOT NULL DEFAULT 0,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX jobs_at ON jobs (lane, at);
CREATE INDEX jobs_whose ON jobs (whose, key) WHERE whose IS NOT NULL;

-- By which vendors name messages that they took.
CREATE TABLE receipts (
    reference    TEXT    PRIMARY KEY,
    room         TEXT,
    notification INTEGER NOT NULL,
    job          INTEGER NOT NULL,
    at           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_at ON receipts (at);
