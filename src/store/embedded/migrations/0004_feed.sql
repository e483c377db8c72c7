-- The order in which events of incidents were written, over all of them: each append adds one row, under the place of its
-- last event. `seq` is that event's, `count` how many there were.
CREATE TABLE feed (
    position INTEGER PRIMARY KEY,
    room     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    at       INTEGER NOT NULL
) STRICT;

-- Places in one order mean nothing in another: a backup that is put in place gets a new one.
CREATE TABLE feed_epoch (
    key   INTEGER PRIMARY KEY CHECK (key = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO feed_epoch (key, epoch) VALUES (1, random());
