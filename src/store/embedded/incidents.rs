//! Lists of incidents, newest or nearest first: the open ones from memory, those that are over from the file.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Row, params};

use super::geo::{Candidate, Hit, Search};
use super::open::OpenIncidents;
use super::rows::{RoomKey, find_key, participant, room_id, timestamp};
use super::sql::Db;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{Report, Status};
use crate::domain::people::Subject;
use crate::domain::room::{EventBody, Genesis, Seq};
use crate::store::codec;
use crate::store::contract::StoreError;
use crate::store::types::{IncidentQuery, IncidentRow, Listed, Sight};

/// One incident.
pub(super) fn incident(db: &mut Db<'_>, room: &RoomId) -> Result<Option<IncidentRow>, StoreError> {
    match find_key(db, room)? {
        Some(key) => by_key(db, key),
        None => Ok(None),
    }
}

/// What a list needs of the file besides incidents that are over.
#[derive(Default)]
struct Known {
    /// Rooms that the asker is or was in.
    seen: HashSet<RoomKey>,
    /// The key of the cursor's room.
    after: Option<RoomKey>,
}

/// Incidents by query, when memory alone can tell; `None`: the file must be asked.
pub(super) fn at_once(open: &OpenIncidents, query: &IncidentQuery) -> Option<Vec<Listed>> {
    if parts(&query.status) != [true] || open.hides_from(&query.sight) {
        return None;
    }
    let after = match &query.after {
        Some(cursor) => Some(open.key(&cursor.room)?),
        None => None,
    };
    let found = open.list(query, &HashSet::new(), after)?;
    Some(found.into_iter().map(|(_, listed)| listed).collect())
}

/// Incidents by query.
pub(super) fn incidents(
    db: &mut Db<'_>,
    open: &OpenIncidents,
    query: &IncidentQuery,
) -> Result<Vec<Listed>, StoreError> {
    let parts = parts(&query.status);
    let seen = match &query.sight {
        // Those that are over may be hidden too.
        Sight::PublicAnd(subject) if parts.contains(&false) || open.hides_from(&query.sight) => {
            rooms_of(db, subject)?
        }
        _ => HashSet::new(),
    };
    let after = match &query.after {
        Some(cursor) => find_key(db, &cursor.room)?,
        None => None,
    };
    let known = Known { seen, after };
    let from_memory = if parts.contains(&true) {
        open.list(query, &known.seen, after)
    } else {
        None
    };
    let found = match from_memory {
        Some(found) if parts == [true] => found,
        Some(found) => {
            // The file as it is after memory was read: what ends between the two is in both, not in neither.
            db.run("COMMIT", [])?;
            db.run("BEGIN", [])?;
            merged(query, from_file(db, query, &known, &[false])?, found)
        }
        None => from_file(db, query, &known, &parts)?,
    };
    Ok(found.into_iter().map(|(_, listed)| listed).collect())
}

/// Both in the order of the list. What is over stands first for what was open a moment ago.
fn merged(
    query: &IncidentQuery,
    over: Vec<(RoomKey, Listed)>,
    open: Vec<(RoomKey, Listed)>,
) -> Vec<(RoomKey, Listed)> {
    let ended: HashSet<RoomKey> = over.iter().map(|(key, _)| *key).collect();
    let mut found = over;
    found.extend(open.into_iter().filter(|(key, _)| !ended.contains(key)));
    found.sort_by(|(a, one), (b, other)| match (one.distance_m, other.distance_m) {
        (Some(near), Some(far)) => near.total_cmp(&far).then(a.cmp(b)),
        _ => (other.incident.created_at, b).cmp(&(one.incident.created_at, a)),
    });
    found.truncate(query.limit);
    found
}

fn from_file(
    db: &mut Db<'_>,
    query: &IncidentQuery,
    known: &Known,
    open: &[bool],
) -> Result<Vec<(RoomKey, Listed)>, StoreError> {
    let filter = |candidate: &Candidate<'_>| passes(query, &known.seen, candidate);
    let after = query.after.as_ref().map(|cursor| (cursor, known.after));
    let (hits, with_distance) = match query.near {
        Some((centre, radius_m)) => {
            // After a room that is gone: everything at its distance was told.
            let after = after.map(|(cursor, key)| (cursor.distance_m, key.unwrap_or(RoomKey::MAX)));
            let search = Search {
                centre,
                radius_m,
                open,
                after,
                limit: query.limit,
            };
            (search.run(db, filter)?, true)
        }
        None => {
            let after = after.map(|(cursor, key)| (cursor.created_at.ms(), key.unwrap_or(RoomKey::MIN)));
            (newest(db, query, open, after, filter)?, false)
        }
    };
    hits.into_iter()
        .map(|hit| {
            let incident = by_key(db, hit.room)?.ok_or_else(|| codec::corrupt("a listed incident"))?;
            let listed = Listed {
                incident: Arc::new(incident),
                distance_m: with_distance.then_some(hit.distance_m),
            };
            Ok((hit.room, listed))
        })
        .collect()
}

/// Keys of rooms that may change by themselves, all open incidents among them.
pub(super) fn live(db: &mut Db<'_>, after: RoomKey, max: usize) -> Result<Vec<RoomKey>, StoreError> {
    let sql = "SELECT key FROM rooms WHERE live = 1 AND key > ?1 ORDER BY key LIMIT ?2";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    db.all(sql, params![after, max], |row| Ok(row.get(0)?))
}

/// Whose doing an incident is that the engine raised.
pub(super) fn nobody() -> ParticipantId {
    ParticipantId::from_bits(0)
}

/// Which parts of an index a filter by status concerns: open incidents, those that are over, or both.
fn parts(status: &[Status]) -> Vec<bool> {
    let any = |open: bool| status.is_empty() || status.iter().any(|status| status.is_open() == open);
    [true, false].into_iter().filter(|open| any(*open)).collect()
}

fn passes(query: &IncidentQuery, seen: &HashSet<RoomKey>, candidate: &Candidate<'_>) -> bool {
    let status = query.status.is_empty()
        || query
            .status
            .iter()
            .any(|status| status.as_str() == candidate.status);
    let kind = query.kind.is_none_or(|kind| kind.as_str() == candidate.kind);
    let city = query
        .city_id
        .as_deref()
        .is_none_or(|city| candidate.city == Some(city));
    let sight = query.sight == Sight::All || candidate.public || seen.contains(&candidate.room);
    status && kind && city && sight
}

/// Rooms that a subject is or was in.
fn rooms_of(db: &mut Db<'_>, subject: &Subject) -> Result<HashSet<RoomKey>, StoreError> {
    let sql = "SELECT p.room FROM people p
               JOIN participants q ON q.room = p.room AND q.participant = p.participant WHERE p.subject = ?1";
    let rooms = db.all(sql, [codec::subject_text(subject)], |row| Ok(row.get(0)?))?;
    Ok(rooms.into_iter().collect())
}

/// By creation time, the latest first.
fn newest(
    db: &mut Db<'_>,
    query: &IncidentQuery,
    open: &[bool],
    after: Option<(i64, RoomKey)>,
    filter: impl Fn(&Candidate<'_>) -> bool,
) -> Result<Vec<Hit>, StoreError> {
    let mut found: Vec<(i64, Hit)> = Vec::new();
    let (at, room) = after.unwrap_or((i64::MAX, RoomKey::MAX));
    for part in open {
        let mut page = Vec::new();
        let read = |row: &Row<'_>| {
            if page.len() >= query.limit {
                return Ok(false);
            }
            let candidate = Candidate {
                room: row.get(0)?,
                status: row.get_ref(1)?.as_str()?,
                kind: row.get_ref(2)?.as_str()?,
                public: row.get(3)?,
                city: row.get_ref(4)?.as_str_or_null()?,
            };
            if filter(&candidate) {
                let hit = Hit {
                    room: candidate.room,
                    distance_m: 0.0,
                };
                page.push((row.get(5)?, hit));
            }
            Ok(true)
        };
        if let Some(city) = &query.city_id {
            db.scan(
                "SELECT room, status, kind, public, city, created_at FROM incidents
                 WHERE city = ?4 AND open = ?1 AND created_at <= ?2 AND (created_at < ?2 OR room < ?3)
                 ORDER BY created_at DESC, room DESC",
                params![part, at, room, city],
                read,
            )?;
        } else {
            db.scan(
                "SELECT room, status, kind, public, city, created_at FROM incidents
                 WHERE open = ?1 AND created_at <= ?2 AND (created_at < ?2 OR room < ?3)
                 ORDER BY created_at DESC, room DESC",
                params![part, at, room],
                read,
            )?;
        }
        found.append(&mut page);
    }
    found.sort_by(|(at, a), (bt, b)| bt.cmp(at).then(b.room.cmp(&a.room)));
    found.truncate(query.limit);
    Ok(found.into_iter().map(|(_, hit)| hit).collect())
}

/// One incident, read from the file.
pub(super) fn by_key(db: &mut Db<'_>, key: RoomKey) -> Result<Option<IncidentRow>, StoreError> {
    db.first(
        "SELECT r.id, i.creator, e.body, i.status, i.created_at, i.updated_at, i.ended_at, r.head, r.members,
                i.kind
         FROM incidents i JOIN rooms r ON r.key = i.room JOIN events e ON e.room = i.room AND e.seq = i.origin
         WHERE i.room = ?1",
        [key],
        |row| {
            let ended_at = row.get::<_, Option<i64>>(6)?;
            let creator = row
                .get::<_, Option<i64>>(1)?
                .map(|_| participant(row, 1))
                .transpose()?;
            Ok(IncidentRow {
                room: room_id(row, 0)?,
                creator: creator.unwrap_or_else(nobody),
                report: Report {
                    // What it was taken for is in the log; what it is, in the row.
                    kind: codec::parse_type(row.get_ref(9)?.as_str()?)?,
                    ..report(row.get_ref(2)?.as_str()?)?
                },
                status: codec::parse_status(row.get_ref(3)?.as_str()?)?,
                created_at: timestamp(row, 4)?,
                updated_at: timestamp(row, 5)?,
                ended_at: ended_at.map(crate::domain::time::Timestamp::from_ms),
                seq: Seq::new(row.get::<_, i64>(7)?.cast_unsigned()),
                active_participants: row.get(8)?,
            })
        },
    )
}

fn report(body: &str) -> Result<Report, StoreError> {
    match codec::decode_body(body)? {
        EventBody::Created(Genesis::Incident(report)) => Ok(*report),
        _ => Err(codec::corrupt("a report")),
    }
}
