//! Rooms and events as rows, both ways.

use std::collections::BTreeSet;

use rusqlite::{Row, params};

use super::sql::Db;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::room::{Actor, Event, RoomKind, Seq};
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::projection::RoomRow;

/// What rows name a room by.
pub(super) type RoomKey = i64;

pub(super) fn participant(row: &Row<'_>, column: usize) -> Result<ParticipantId, StoreError> {
    Ok(ParticipantId::from_bits(
        row.get::<_, i64>(column)?.cast_unsigned(),
    ))
}

pub(super) fn room_id(row: &Row<'_>, column: usize) -> Result<RoomId, StoreError> {
    codec::parse_room(row.get_ref(column)?.as_str()?)
}

pub(super) fn timestamp(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_ms(row.get(column)?))
}

pub(super) fn kind(row: &Row<'_>, column: usize) -> Result<Option<RoomKind>, StoreError> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    let kind = RoomKind::ALL.iter().copied().find(|kind| kind.as_str() == text);
    kind.map(Some).ok_or_else(|| corrupt("a kind of room"))
}

pub(super) fn find_key(db: &mut Db<'_>, room: &RoomId) -> Result<Option<RoomKey>, StoreError> {
    db.first("SELECT key FROM rooms WHERE id = ?1", [room.as_str()], |row| {
        Ok(row.get(0)?)
    })
}

pub(super) fn find_room(db: &mut Db<'_>, room: &RoomId) -> Result<Option<(RoomKey, RoomRow)>, StoreError> {
    db.first(
        "SELECT key, kind, owner, active, asleep, open, members, head, created_at, last_at, links
         FROM rooms WHERE id = ?1",
        [room.as_str()],
        |row| {
            let owner = row.get::<_, Option<i64>>(2)?;
            let found = RoomRow {
                kind: kind(row, 1)?,
                owner: owner.map(|bits| ParticipantId::from_bits(bits.cast_unsigned())),
                active: row.get(3)?,
                asleep: row.get(4)?,
                open: row.get(5)?,
                members: row.get(6)?,
                head: Seq::new(row.get::<_, i64>(7)?.cast_unsigned()),
                created_at: timestamp(row, 8)?,
                last_at: timestamp(row, 9)?,
                links: links(row.get_ref(10)?.as_str_or_null()?)?,
            };
            Ok((row.get(0)?, found))
        },
    )
}

/// Writes a room's row, its first or one in its place.
pub(super) fn put_room(
    db: &mut Db<'_>,
    key: RoomKey,
    room: &RoomId,
    row: &RoomRow,
) -> Result<(), StoreError> {
    let links: Vec<&str> = row.links.iter().map(RoomId::as_str).collect();
    db.run(
        "INSERT INTO rooms (key, kind, owner, active, asleep, live, open, members, head, created_at, last_at, links, id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (key) DO UPDATE
         SET kind = ?2, owner = ?3, active = ?4, asleep = ?5, live = ?6, open = ?7, members = ?8, head = ?9,
             created_at = ?10, last_at = ?11, links = ?12",
        params![
            key,
            row.kind.map(RoomKind::as_str),
            row.owner.map(|who| who.bits().cast_signed()),
            row.active,
            row.asleep,
            row.is_live(),
            row.open,
            row.members,
            row.head.get().cast_signed(),
            row.created_at.ms(),
            row.last_at.ms(),
            (!links.is_empty()).then(|| links.join(" ")),
            room.as_str()
        ],
    )
    .map(drop)
}

/// A room id holds no blank.
fn links(text: Option<&str>) -> Result<BTreeSet<RoomId>, StoreError> {
    text.unwrap_or_default()
        .split_ascii_whitespace()
        .map(codec::parse_room)
        .collect()
}

/// Events after `after`, in order; a gap is damage.
pub(super) fn events(
    db: &mut Db<'_>,
    key: RoomKey,
    room: &RoomId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let mut seq = after;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.all(
        "SELECT seq, at, actor, body FROM events WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        params![key, i64::try_from(after.get()).unwrap_or(i64::MAX), limit],
        |row| {
            seq = seq.next();
            if row.get::<_, i64>(0)?.cast_unsigned() != seq.get() {
                return Err(StoreError::Corrupt("an event is missing from a log".into()));
            }
            let actor = row.get::<_, Option<i64>>(2)?;
            Ok(Event {
                room: room.clone(),
                seq,
                at: timestamp(row, 1)?,
                actor: actor.map_or(Actor::System, |bits| {
                    Actor::Participant(ParticipantId::from_bits(bits.cast_unsigned()))
                }),
                body: codec::decode_body(row.get_ref(3)?.as_str()?)?,
            })
        },
    )
}
