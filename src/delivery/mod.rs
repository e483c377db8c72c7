//! Frames, outboxes and fan-out: what is owed to each connection, bounded in bytes. Knows no rooms and no actors.
