-- What people report of each other, and whom staff keep out: records beside the logs, which participants read.
CREATE TABLE reports (
    room        INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    reporter    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    PRIMARY KEY (room, participant, reporter)
) STRICT, WITHOUT ROWID;
CREATE INDEX reports_at ON reports (at, participant, reporter);

-- `key` is a keyed hash of a subject; `participant` is who they were where staff met them.
CREATE TABLE blocks (
    key         BLOB PRIMARY KEY,
    participant INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    until       INTEGER,
    reason      TEXT,
    staff       TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_participant ON blocks (participant);
CREATE INDEX blocks_until ON blocks (until) WHERE until IS NOT NULL;
CREATE INDEX blocks_staff ON blocks (staff) WHERE staff IS NOT NULL;

-- Staff name whom they block by who they are in an incident.
CREATE INDEX people_participant ON people (participant);
