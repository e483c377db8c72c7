//! Reads rooms: logs, people, memberships, circles.

use std::collections::HashMap;
use std::time::Instant;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::db::{Db, Find};
use super::docs::{
    CONTACTS, EVENTS, EventDoc, PARTICIPANTS, ParticipantDoc, ROOMS, RoomDoc, instant, keys_of, limit,
    number, place_key, subject as subject_text,
};
use super::error::Outcome;
use super::fixes;
use super::records::ContactsDoc;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Person, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Event, RoomKind, Seq};
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::types::{IncidentRow, ListingCircle, Membership, StoredRoom};

/// Stretches of logs that one command asks for.
const STRETCHES_MAX: usize = 100;

/// A room with all that belongs to it. The log first: whom it names is then known to the records.
pub(super) async fn load(db: &Db, room: &RoomId, kept_from: Timestamp) -> Outcome<Option<StoredRoom>> {
    let events = events(db, room, Seq::ZERO, usize::MAX).await?;
    if events.is_empty() {
        return Ok(None);
    }
    let people = Find::new(PARTICIPANTS, doc! { "_id": keys_of(room) }).all::<ParticipantDoc>(db);
    let newest = fixes::newest(db, room, kept_from);
    let (people, newest) = futures_util::try_join!(people, newest)?;
    let mut stored = StoredRoom {
        events,
        newest,
        ..StoredRoom::default()
    };
    for somebody in people {
        stored.people.extend(somebody.person()?);
        if let Some(at) = somebody.seen_at.filter(|_| somebody.present) {
            stored.seen.push((somebody.who()?, instant(at)));
        }
    }
    Ok(Some(stored))
}

/// The records of those of `who` that a room has.
pub(super) async fn people(db: &Db, room: &RoomId, who: &[ParticipantId]) -> Outcome<Vec<Person>> {
    let keys: Vec<String> = who.iter().map(|who| place_key(room, *who)).collect();
    let found = Find::new(PARTICIPANTS, doc! { "_id": { "$in": keys } });
    let mut people = Vec::new();
    for somebody in found.all::<ParticipantDoc>(db).await? {
        people.extend(somebody.person()?);
    }
    Ok(people)
}

/// The last signs of life of those who are in a room.
pub(super) async fn signs(db: &Db, room: &RoomId) -> Outcome<Vec<(ParticipantId, Timestamp)>> {
    let here = doc! { "_id": keys_of(room), "present": true };
    let found = Find::new(PARTICIPANTS, here).all::<ParticipantDoc>(db).await?;
    let sign = |somebody: &ParticipantDoc| Some((somebody.who(), instant(somebody.seen_at?)));
    found
        .iter()
        .filter_map(sign)
        .map(|(who, at)| Ok((who?, at)))
        .collect()
}

/// A stretch of a log; a gap is damage.
pub(super) async fn events(db: &Db, room: &RoomId, after: Seq, max: usize) -> Outcome<Vec<Event>> {
    if max == 0 {
        return Ok(vec![]);
    }
    let filter = doc! { "roomId": room.as_str(), "seq": { "$gt": number(after) } };
    let mut find = Find::new(EVENTS, filter).sort(doc! { "roomId": 1, "seq": 1 });
    if max < usize::MAX {
        find = find.limit(max);
    }
    let begun = Instant::now();
    let mut found = find.open::<EventDoc>(db).await?;
    let (mut events, mut seq) = (Vec::new(), after);
    while let Some(next) = found.try_next().await? {
        seq = seq.next();
        if super::docs::seq(next.seq) != seq {
            return Err(StoreError::Corrupt("an event is missing from a log".into()).into());
        }
        events.push(next.event(room)?);
    }
    find.told(db, begun);
    Ok(events)
}

/// Stretches of logs, both ends included, by room and seq.
pub(super) async fn stretches(db: &Db, wanted: &[(RoomId, Seq, Seq)]) -> Outcome<Vec<Event>> {
    let mut events = Vec::new();
    for piece in wanted.chunks(STRETCHES_MAX) {
        let any = piece.iter().map(|(room, from, to)| {
            doc! { "roomId": room.as_str(), "seq": { "$gte": number(*from), "$lte": number(*to) } }
        });
        let filter = doc! { "$or": any.collect::<Vec<_>>() };
        for found in Find::new(EVENTS, filter).all::<EventDoc>(db).await? {
            events.push(found.event(&codec::parse_room(&found.room_id)?)?);
        }
    }
    events.sort_by(|a, b| (&a.room, a.seq).cmp(&(&b.room, b.seq)));
    Ok(events)
}

/// Rooms that may change by themselves, in the order in which they were made.
pub(super) async fn live(db: &Db, after: Option<&RoomId>, max: usize) -> Outcome<Vec<RoomId>> {
    let mut filter = doc! { "live": true };
    if let Some(after) = after {
        let Some(last) = room(db, after).await? else {
            return Ok(vec![]);
        };
        filter.insert("born", doc! { "$gt": last.born });
    }
    if max == 0 {
        return Ok(vec![]);
    }
    let find = Find::new(ROOMS, filter)
        .sort(doc! { "born": 1 })
        .limit(max)
        .hint("rooms_live");
    let rooms = find.all::<RoomDoc>(db).await?;
    rooms
        .iter()
        .map(|room| Ok(codec::parse_room(&room.id)?))
        .collect()
}

async fn room(db: &Db, room: &RoomId) -> Outcome<Option<RoomDoc>> {
    Find::new(ROOMS, doc! { "_id": room.as_str() }).first(db).await
}

/// One incident.
pub(super) async fn incident(db: &Db, id: &RoomId) -> Outcome<Option<IncidentRow>> {
    match room(db, id).await? {
        Some(room) => Ok(room.incident()?),
        None => Ok(None),
    }
}

/// Those of these rooms that are incidents.
pub(super) async fn incidents_of(db: &Db, rooms: &[RoomId]) -> Outcome<Vec<IncidentRow>> {
    let found = by_id(db, rooms.iter().map(RoomId::as_str).collect()).await?;
    let mut incidents = Vec::with_capacity(found.len());
    for room in found.values() {
        incidents.extend(room.incident()?);
    }
    Ok(incidents)
}

/// What rooms have of a subject, by room.
pub(super) async fn of_subject(db: &Db, subject: &Subject, filter: Document) -> Outcome<Vec<ParticipantDoc>> {
    let mut wanted = doc! { "subject": subject_text(subject) };
    wanted.extend(filter);
    Find::new(PARTICIPANTS, wanted)
        .sort(doc! { "room": 1 })
        .all(db)
        .await
}

/// These rooms, by their ids.
pub(super) async fn by_id(db: &Db, rooms: Vec<&str>) -> Outcome<HashMap<String, RoomDoc>> {
    if rooms.is_empty() {
        return Ok(HashMap::new());
    }
    let found = Find::new(ROOMS, doc! { "_id": { "$in": rooms } })
        .all::<RoomDoc>(db)
        .await?;
    Ok(found.into_iter().map(|room| (room.id.clone(), room)).collect())
}

pub(super) fn kind(room: &RoomDoc) -> Result<RoomKind, StoreError> {
    super::docs::kind(room.kind.as_deref().ok_or_else(|| corrupt("a kind of room"))?)
}

/// Rooms that a subject is in.
pub(super) async fn memberships(db: &Db, subject: &Subject) -> Outcome<Vec<Membership>> {
    let places = of_subject(db, subject, doc! { "present": true }).await?;
    let rooms = by_id(db, places.iter().map(|place| place.room.as_str()).collect()).await?;
    let mut found = Vec::with_capacity(places.len());
    for place in &places {
        let room = rooms.get(&place.room).ok_or_else(|| corrupt("somebody's room"))?;
        found.push(Membership {
            room: place.room()?,
            kind: kind(room)?,
            participant: place.who()?,
            is_owner: room.owner.as_deref() == Some(&place.who),
        });
    }
    Ok(found)
}

/// Circles that a subject owns.
pub(super) async fn circles_of(db: &Db, subject: &Subject) -> Outcome<Vec<RoomId>> {
    let owned = owned_circles(db, subject).await?;
    owned.iter().map(|(place, _)| Ok(place.room()?)).collect()
}

async fn owned_circles(db: &Db, subject: &Subject) -> Outcome<Vec<(ParticipantDoc, RoomDoc)>> {
    let places = of_subject(db, subject, Document::new()).await?;
    let mut rooms = by_id(db, places.iter().map(|place| place.room.as_str()).collect()).await?;
    let mut owned = Vec::new();
    for place in places {
        let Some(room) = rooms.remove(&place.room) else {
            continue;
        };
        if room.owner.as_deref() == Some(&place.who) && kind(&room)? == RoomKind::Circle {
            owned.push((place, room));
        }
    }
    Ok(owned)
}

/// Circles whose owner lists a number among the emergency contacts, by room.
pub(super) async fn circles_listing(db: &Db, phone: &PhoneNumber, max: usize) -> Outcome<Vec<ListingCircle>> {
    let listing = Find::new(CONTACTS, doc! { "emergency.phone": phone.reveal() })
        .all::<ContactsDoc>(db)
        .await?;
    let owners: Vec<&str> = listing.iter().map(|book| book.owner.as_str()).collect();
    if owners.is_empty() || max == 0 {
        return Ok(vec![]);
    }
    let pipeline = vec![
        doc! { "$match": { "subject": { "$in": owners } } },
        doc! { "$lookup": { "from": ROOMS, "localField": "room", "foreignField": "_id", "as": "rooms" } },
        doc! { "$match": { "rooms.kind": RoomKind::Circle.as_str() } },
        doc! { "$match": { "$expr": { "$eq": ["$who", { "$first": "$rooms.owner" }] } } },
        doc! { "$sort": { "room": 1 } },
        doc! { "$limit": limit(max) },
        doc! { "$project": { "_id": 0, "room": 1, "name": 1, "asleep": { "$first": "$rooms.asleep" } } },
    ];
    let found = super::db::Pipeline {
        coll: PARTICIPANTS,
        stages: pipeline,
        is_list: false,
    };
    let found = found.all::<Circle>(db).await?;
    let circle = |circle: Circle| {
        Ok(ListingCircle {
            room: codec::parse_room(&circle.room)?,
            owner_name: circle.name,
            asleep: circle.asleep,
        })
    };
    found.into_iter().map(circle).collect()
}

#[derive(serde::Deserialize)]
struct Circle {
    room: String,
    #[serde(default)]
    name: Option<String>,
    asleep: bool,
}
