-- `linked`: a record of people names the device, so that its participants can still be told.
ALTER TABLE devices ADD COLUMN linked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX devices_seen ON devices (last_seen);
CREATE INDEX devices_linked ON devices (last_seen) WHERE linked = 1;

-- Devices that took part and never told of themselves. When they were seen last is not known better than by the
-- rooms that they were in.
INSERT INTO devices (id, first_seen, last_seen, linked)
    SELECT substr(p.subject, 3), min(r.created_at), max(r.last_at), 1
    FROM people p JOIN rooms r ON r.key = p.room
    WHERE p.subject >= 'd:' AND p.subject < 'd;'
    GROUP BY p.subject
    ON CONFLICT (id) DO UPDATE SET linked = 1, last_seen = max(last_seen, excluded.last_seen);

-- When people in rooms gave a sign of life last, as far as deadlines need it after a restart.
CREATE TABLE presence (
    room        INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    PRIMARY KEY (room, participant)
) STRICT, WITHOUT ROWID;

-- Pseudonyms that point nowhere any more. What was still on its way when they were erased finds them here and is
-- not written. `cleared`: their positions are gone, too.
CREATE TABLE erased (
    room        INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    cleared     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (room, participant)
) STRICT, WITHOUT ROWID;
CREATE INDEX erased_at ON erased (cleared, at);
