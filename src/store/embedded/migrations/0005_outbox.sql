-- Incidents of which the service that keeps incidents has not taken every event. The log has the events; here is how far
-- each was taken. `taken` to `head`: what waits; `since`: when the first of that happened; `attempts` and `refusals`: of the
-- event after `taken`; `due`: not before; `token`, `until`: whose it is, and until when. Times in Unix milliseconds.
-- No index beside the key: an SOS writes one row at its end, and those who look for what is due go through it in order.
CREATE TABLE outbox (
    room     INTEGER PRIMARY KEY,
    taken    INTEGER NOT NULL,
    head     INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    due      INTEGER NOT NULL DEFAULT 0,
    token    INTEGER NOT NULL DEFAULT 0,
    until    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Events that it refused for good. `status` is the last refusal's.
CREATE TABLE dead_letters (
    room     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    status   INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_letters_at ON dead_letters (at);
