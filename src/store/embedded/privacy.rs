//! What is kept of somebody: all of it in one place to be told, and every way in which it goes again.

use rusqlite::{Row, params};

use super::conduct;
use super::rooms::places as keys_of;
use super::rows::{kind, participant, room_id, timestamp};
use super::sql::Db;
use super::writes::Writes;
use super::{gone, jobs, records};
use crate::domain::ids::{DeviceId, RoomId};
use crate::domain::people::Subject;
use crate::domain::room::UserType;
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::types::{Erased, Place, Purged, Retention, Sign, Stay, Tally};

/// Positions of the erased that go in one transaction.
const CLEAR_MAX_ROWS: i64 = 5_000;

/// How long a pseudonym is known to be erased: no write waits that long.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(86_400);

/// What rooms have of a subject, after `after` by id.
pub(super) fn places(
    db: &mut Db<'_>,
    subject: &Subject,
    after: Option<&RoomId>,
    max: usize,
) -> Result<Vec<Place>, StoreError> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let after = after.map_or("", RoomId::as_str);
    db.all(
        "SELECT p.participant, p.subject, p.name, p.phone, p.role, r.id, r.kind, r.owner IS p.participant,
                q.user_type, q.joined_at, q.left_at, s.seen_at
         FROM people p JOIN rooms r ON r.key = p.room
         LEFT JOIN participants q ON q.room = p.room AND q.participant = p.participant
         LEFT JOIN presence s ON s.room = p.room AND s.participant = p.participant
         WHERE p.subject = ?1 AND r.id > ?2 ORDER BY r.id LIMIT ?3",
        params![codec::subject_text(subject), after, max],
        |row| {
            let stay = match row.get_ref(8)?.as_str_or_null()? {
                None => None,
                Some(user_type) => Some(Stay {
                    user_type: UserType::parse(user_type).ok_or_else(|| corrupt("a user type"))?,
                    joined_at: timestamp(row, 9)?,
                    left_at: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_ms),
                }),
            };
            Ok(Place {
                room: room_id(row, 5)?,
                kind: kind(row, 6)?.ok_or_else(|| corrupt("a kind of room"))?,
                is_owner: row.get(7)?,
                person: records::person(row)?,
                stay,
                seen_at: row.get::<_, Option<i64>>(11)?.map(Timestamp::from_ms),
            })
        },
    )
}

/// What is kept of a subject, counted.
pub(super) fn tally(db: &mut Db<'_>, subject: &Subject) -> Result<Tally, StoreError> {
    let name = codec::subject_text(subject);
    let rooms = "SELECT count(*), coalesce(sum(r.owner IS p.participant AND r.kind = 'sos'), 0),
                        coalesce(sum(r.owner IS p.participant AND r.kind = 'circle'), 0)
                 FROM people p JOIN rooms r ON r.key = p.room WHERE p.subject = ?1";
    let mut tally = db
        .first(rooms, [&name], |row| {
            Ok(Tally {
                places: unsigned(row, 0)?,
                incidents: unsigned(row, 1)?,
                circles: unsigned(row, 2)?,
                ..Tally::default()
            })
        })?
        .unwrap_or_default();
    for (room, who) in keys_of(db, subject)? {
        let sql = "SELECT count(*) FROM fixes WHERE room = ?1 AND participant = ?2";
        tally.fixes += count(db, sql, params![room, who])?;
    }
    tally.keys = count(db, "SELECT count(*) FROM idempotency WHERE subject = ?1", [&name])?;
    tally.contacts = count(db, "SELECT count(*) FROM contacts WHERE owner = ?1", [&name])?;
    Ok(tally)
}

fn count(db: &mut Db<'_>, sql: &'static str, of: impl rusqlite::Params) -> Result<u64, StoreError> {
    Ok(db.first(sql, of, |row| unsigned(row, 0))?.unwrap_or(0))
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Notes when devices were seen.
pub(super) fn see(writes: &mut Writes<'_>, seen: &[(DeviceId, Timestamp)]) -> Result<(), StoreError> {
    for (device, at) in seen {
        let sql = "UPDATE devices SET last_seen = ?2 WHERE id = ?1 AND last_seen < ?2";
        writes.db.run(sql, params![device.reveal(), at.ms()])?;
    }
    Ok(())
}

/// A device has taken part in something as somebody.
pub(super) fn link(writes: &mut Writes<'_>, device: DeviceId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO devices (id, first_seen, last_seen, linked) VALUES (?1, ?2, ?2, 1)
               ON CONFLICT DO UPDATE SET linked = 1, last_seen = max(last_seen, excluded.last_seen)";
    writes.db.run(sql, params![device.reveal(), at.ms()]).map(drop)
}

/// Notes signs of life of those who are in.
pub(super) fn note_signs(writes: &mut Writes<'_>, signs: &[Sign]) -> Result<(), StoreError> {
    for sign in signs {
        writes.db.run(
            "INSERT INTO presence (room, participant, seen_at)
             SELECT q.room, q.participant, ?3 FROM rooms r JOIN participants q ON q.room = r.key
             WHERE r.id = ?1 AND q.participant = ?2 AND q.left_at IS NULL
             ON CONFLICT DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)",
            params![
                sign.room.as_str(),
                sign.participant.bits().cast_signed(),
                sign.at.ms()
            ],
        )?;
    }
    Ok(())
}

/// Whether somebody's pseudonym in a room was erased.
pub(super) fn is_erased(writes: &mut Writes<'_>, room: i64, who: i64) -> Result<bool, StoreError> {
    if !writes.has_erasures()? {
        return Ok(false);
    }
    let sql = "SELECT 1 FROM erased WHERE room = ?1 AND participant = ?2";
    let found = writes.db.first(sql, params![room, who], |_| Ok(()))?;
    Ok(found.is_some())
}

/// Removes what is kept of a subject, save for positions: those go slice by slice, by [`clear`].
pub(super) fn erase(
    writes: &mut Writes<'_>,
    subject: &Subject,
    now: Timestamp,
) -> Result<Erased, StoreError> {
    let places = whereabouts(&mut writes.db, subject)?;
    let keys = keys_of(&mut writes.db, subject)?;
    let reports = conduct::erase(writes, subject, &keys)?;
    for (key, who) in keys {
        let noted = "INSERT INTO erased (room, participant, at) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET at = excluded.at, cleared = 0";
        writes.db.run(noted, params![key, who, now.ms()])?;
        let sign = "DELETE FROM presence WHERE room = ?1 AND participant = ?2";
        writes.db.run(sign, params![key, who])?;
    }
    let name = codec::subject_text(subject);
    let people = writes.db.run("DELETE FROM people WHERE subject = ?1", [&name])? as u64;
    let mut others = writes.db.run("DELETE FROM contacts WHERE owner = ?1", [&name])?;
    others += writes
        .db
        .run("DELETE FROM idempotency WHERE subject = ?1", [&name])?;
    let to_do = jobs::erase(writes, &name)?;
    if let Subject::Device(id) = subject {
        others += writes
            .db
            .run("DELETE FROM devices WHERE id = ?1", [id.reveal()])?;
    }
    gone::note(writes, subject, now)?;
    writes.erased = true;
    writes.erasures_changed();
    Ok(Erased {
        people,
        fixes: 0,
        others: others as u64 + reports + to_do,
        places,
    })
}

fn whereabouts(
    db: &mut Db<'_>,
    subject: &Subject,
) -> Result<Vec<(RoomId, crate::domain::ids::ParticipantId)>, StoreError> {
    let sql = "SELECT r.id, p.participant FROM people p JOIN rooms r ON r.key = p.room WHERE p.subject = ?1";
    db.all(sql, [codec::subject_text(subject)], |row| {
        Ok((room_id(row, 0)?, participant(row, 1)?))
    })
}

/// Removes a slice of the positions of the erased; answers how many, and whether nothing is left.
pub(super) fn clear(writes: &mut Writes<'_>) -> Result<(u64, bool), StoreError> {
    let mut removed = 0;
    while removed < CLEAR_MAX_ROWS {
        let next = "SELECT room, participant FROM erased WHERE cleared = 0 ORDER BY at LIMIT 1";
        let next = writes
            .db
            .first(next, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let Some((room, who)) = next else {
            return Ok((removed.unsigned_abs(), true));
        };
        let left = CLEAR_MAX_ROWS - removed;
        let gone = writes.db.run(
            "DELETE FROM fixes WHERE (room, participant, at) IN
                 (SELECT room, participant, at FROM fixes WHERE room = ?1 AND participant = ?2 ORDER BY at LIMIT ?3)",
            params![room, who, left],
        )?;
        let gone = i64::try_from(gone).unwrap_or(i64::MAX);
        if gone < left {
            let done = "UPDATE erased SET cleared = 1 WHERE room = ?1 AND participant = ?2";
            writes.db.run(done, params![room, who])?;
        }
        removed += gone;
        writes.erased = true;
    }
    Ok((removed.unsigned_abs(), false))
}

/// The janitor's slice: devices that were not seen for long enough, and what an erasure left behind.
pub(super) fn purge(
    writes: &mut Writes<'_>,
    now: Timestamp,
    retention: &Retention,
    purged: &mut Purged,
) -> Result<(), StoreError> {
    let slice = i64::try_from(retention.slice_max_rows.max(1)).unwrap_or(i64::MAX);
    if writes.has_erasures()? {
        let (removed, done) = clear(writes)?;
        purged.leftovers = removed;
        purged.more |= !done;
        let old = "DELETE FROM erased WHERE (room, participant) IN
                       (SELECT room, participant FROM erased WHERE cleared = 1 AND at < ?1 ORDER BY at LIMIT ?2)";
        let forgotten = writes.db.run(old, params![now.before(REMEMBERED).ms(), slice])?;
        purged.more |= forgotten as u64 >= slice.unsigned_abs();
        writes.erasures_changed();
    }
    if !retention.erasures.is_zero() {
        let forgotten = gone::purge(writes, now.before(retention.erasures), slice)?;
        purged.more |= forgotten >= slice.unsigned_abs();
    }
    if !retention.device_links.is_zero() {
        let sql = "SELECT id FROM devices WHERE linked = 1 AND last_seen < ?1 ORDER BY last_seen LIMIT ?2";
        let before = now.before(retention.device_links);
        for device in quiet(writes, sql, before, slice, purged)? {
            if cut(writes, device, purged, slice)? {
                break;
            }
        }
    }
    if !retention.devices.is_zero() {
        let sql = "SELECT id FROM devices WHERE last_seen < ?1 ORDER BY last_seen LIMIT ?2";
        let before = now.before(retention.devices);
        for device in quiet(writes, sql, before, slice, purged)? {
            let enough = cut(writes, device, purged, slice)?;
            let gone = writes
                .db
                .run("DELETE FROM devices WHERE id = ?1", [device.reveal()])?;
            purged.devices += gone as u64;
            if enough {
                break;
            }
        }
    }
    Ok(())
}

/// Devices that nobody has seen since `before`, at most a slice of them.
fn quiet(
    writes: &mut Writes<'_>,
    sql: &'static str,
    before: Timestamp,
    slice: i64,
    purged: &mut Purged,
) -> Result<Vec<DeviceId>, StoreError> {
    let found = writes.db.all(sql, params![before.ms(), slice], |row| {
        DeviceId::new(row.get_ref(0)?.as_str()?).map_err(|_| corrupt("a device id"))
    })?;
    purged.more |= found.len() as u64 >= slice.unsigned_abs();
    writes.erased |= !found.is_empty();
    Ok(found)
}

/// Cuts a device from its pseudonyms. True when the slice is full.
fn cut(
    writes: &mut Writes<'_>,
    device: DeviceId,
    purged: &mut Purged,
    slice: i64,
) -> Result<bool, StoreError> {
    let subject = Subject::Device(device);
    let name = codec::subject_text(&subject);
    for (room, _) in whereabouts(&mut writes.db, &subject)? {
        purged.forgotten.push((room, subject.clone()));
    }
    writes.db.run("DELETE FROM people WHERE subject = ?1", [&name])?;
    writes
        .db
        .run("DELETE FROM idempotency WHERE subject = ?1", [&name])?;
    let unlinked = "UPDATE devices SET linked = 0 WHERE id = ?1 AND linked = 1";
    purged.devices_anonymised += writes.db.run(unlinked, [device.reveal()])? as u64;
    let full = purged.forgotten.len() as u64 >= slice.unsigned_abs();
    purged.more |= full;
    Ok(full)
}
