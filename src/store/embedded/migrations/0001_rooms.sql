-- A room's text id stands here once; everything else names it by `key`. The other columns are a
-- projection of its log. A row with head 0 names a room that has no log (positions of a trip).
CREATE TABLE rooms (
    key        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    kind       TEXT,
    owner      INTEGER,
    active     INTEGER NOT NULL DEFAULT 0,
    asleep     INTEGER NOT NULL DEFAULT 0,
    live       INTEGER NOT NULL DEFAULT 0,
    open       INTEGER NOT NULL DEFAULT 0,
    members    INTEGER NOT NULL DEFAULT 0,
    head       INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL DEFAULT 0,
    last_at    INTEGER NOT NULL DEFAULT 0,
    links      TEXT
) STRICT;
CREATE INDEX rooms_live ON rooms (key) WHERE live = 1;

-- The log. `actor` is null when it was the engine itself; `message` marks what message lists read.
CREATE TABLE events (
    room    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    actor   INTEGER,
    message INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

-- Records that can be erased: whom a pseudonym stands for.
CREATE TABLE people (
    room        INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    subject     TEXT    NOT NULL,
    name        TEXT,
    phone       TEXT,
    role        TEXT    NOT NULL,
    PRIMARY KEY (room, participant)
) STRICT, WITHOUT ROWID;
CREATE INDEX people_subject ON people (subject);

-- list 0: emergency contacts, 1: people who look to the owner.
CREATE TABLE contacts (
    owner TEXT    NOT NULL,
    list  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name  TEXT    NOT NULL,
    phone TEXT    NOT NULL,
    PRIMARY KEY (owner, list, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX contacts_phone ON contacts (phone) WHERE list = 0;

CREATE TABLE devices (
    id          TEXT PRIMARY KEY,
    os          TEXT,
    app_version TEXT,
    locale      TEXT,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    subject TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    room    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (subject, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);

-- Projections of the log.
CREATE TABLE participants (
    room        INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    user_type   TEXT    NOT NULL,
    joined_at   INTEGER NOT NULL,
    left_at     INTEGER,
    PRIMARY KEY (room, participant)
) STRICT, WITHOUT ROWID;

-- `origin` is the event that holds the report.
CREATE TABLE incidents (
    room       INTEGER PRIMARY KEY,
    origin     INTEGER NOT NULL,
    creator    INTEGER,
    status     TEXT    NOT NULL,
    open       INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    public     INTEGER NOT NULL,
    city       TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at   INTEGER,
    band       INTEGER,
    lat        REAL,
    lon        REAL
) STRICT;
CREATE INDEX incidents_time ON incidents (open, created_at, room);
CREATE INDEX incidents_city ON incidents (city, open, created_at, room) WHERE city IS NOT NULL;

-- Where incidents are, in bands of latitude: a search by radius reads a stretch of longitudes in each
-- band that it touches, and never another table for what the filters need.
CREATE TABLE geo (
    open   INTEGER NOT NULL,
    band   INTEGER NOT NULL,
    lon    REAL    NOT NULL,
    room   INTEGER NOT NULL,
    lat    REAL    NOT NULL,
    status TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    public INTEGER NOT NULL,
    city   TEXT,
    PRIMARY KEY (open, band, lon, room)
) STRICT, WITHOUT ROWID;

-- Positions worth keeping.
CREATE TABLE fixes (
    room        INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    lat         REAL    NOT NULL,
    lon         REAL    NOT NULL,
    accuracy    REAL,
    speed       REAL,
    heading     REAL,
    PRIMARY KEY (room, participant, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX fixes_at ON fixes (at);

-- One row that a health check writes.
CREATE TABLE pulse (
    key   INTEGER PRIMARY KEY CHECK (key = 1),
    beats INTEGER NOT NULL
) STRICT;
INSERT INTO pulse (key, beats) VALUES (1, 0);
