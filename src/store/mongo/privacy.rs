//! What is kept of somebody: all of it in one place to be told, and every way in which it goes again.

use mongodb::bson::{DateTime, Document, doc};
use mongodb::{BoxFuture, ClientSession};

use super::db::{Db, Find, Pipeline};
use super::docs::{
    BLOCKS, CONTACTS, DEVICES, HISTORY, IDEMPOTENCY, PARTICIPANTS, ParticipantDoc, REPORTS, TRACKED,
    TrackedDoc, date, instant, place_key, subject as subject_text,
};
use super::error::Outcome;
use super::records::{self, ContactsDoc, DeviceDoc};
use super::{jobs, rooms};
use crate::domain::ids::{DeviceId, RoomId};
use crate::domain::people::Subject;
use crate::domain::room::RoomKind;
use crate::domain::time::Timestamp;
use crate::store::codec::{self, corrupt};
use crate::store::types::{Erased, Place, Purged, Retention, Sign, Tally};

/// How long a pseudonym is known to be erased: no write waits that long.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(86_400);
/// Whatever was on its way when somebody was erased has arrived by then, and is removed once more.
const ARRIVED: std::time::Duration = std::time::Duration::from_secs(300);
/// Pseudonyms whose positions are removed in one go.
const CLEAR_MAX: usize = 100;
/// Signs of life in one command.
const SIGNS_MAX: usize = 1_000;

/// What rooms have of a subject, after `after` by id.
pub(super) async fn places(
    db: &Db,
    subject: &Subject,
    after: Option<&RoomId>,
    max: usize,
) -> Outcome<Vec<Place>> {
    if max == 0 {
        return Ok(vec![]);
    }
    let after = after.map_or("", RoomId::as_str);
    let filter = doc! { "subject": subject_text(subject), "room": { "$gt": after } };
    let find = Find::new(PARTICIPANTS, filter)
        .sort(doc! { "room": 1 })
        .limit(max);
    let found = find.all::<ParticipantDoc>(db).await?;
    let rooms = rooms::by_id(db, found.iter().map(|place| place.room.as_str()).collect()).await?;
    let mut places = Vec::with_capacity(found.len());
    for place in found {
        let room = rooms.get(&place.room).ok_or_else(|| corrupt("somebody's room"))?;
        places.push(Place {
            room: place.room()?,
            kind: rooms::kind(room)?,
            is_owner: room.owner.as_deref() == Some(&place.who),
            person: place.person()?.ok_or_else(|| corrupt("a record"))?,
            stay: place.stay()?,
            seen_at: place.seen_at.map(instant),
        });
    }
    Ok(places)
}

#[derive(serde::Deserialize)]
struct Count {
    n: i64,
}

/// What is kept of a subject, counted.
pub(super) async fn tally(db: &Db, subject: &Subject) -> Outcome<Tally> {
    let places = rooms::of_subject(db, subject, Document::new()).await?;
    let rooms = rooms::by_id(db, places.iter().map(|place| place.room.as_str()).collect()).await?;
    let mut tally = Tally {
        places: places.len() as u64,
        ..Tally::default()
    };
    for place in &places {
        let Some(room) = rooms.get(&place.room) else {
            continue;
        };
        if room.owner.as_deref() == Some(&place.who) {
            match rooms::kind(room)? {
                RoomKind::Sos => tally.incidents += 1,
                RoomKind::Circle => tally.circles += 1,
                RoomKind::Trip => {}
            }
        }
        tally.fixes += fixes_of(db, place).await?;
    }
    let keys = Pipeline {
        coll: IDEMPOTENCY,
        stages: vec![
            doc! { "$match": records::keys_of(subject, None) },
            doc! { "$count": "n" },
        ],
        is_list: false,
    };
    tally.keys = counted(keys, db).await?;
    let book = Find::new(CONTACTS, doc! { "_id": subject_text(subject) });
    if let Some(book) = book.first::<ContactsDoc>(db).await? {
        tally.contacts = (book.emergency.len() + book.dependent.len()) as u64;
    }
    Ok(tally)
}

/// Each time once, however often a batch came.
async fn fixes_of(db: &Db, place: &ParticipantDoc) -> Outcome<u64> {
    let stages = vec![
        doc! { "$match": series(&place.room, &place.who) },
        doc! { "$group": { "_id": "$at" } },
        doc! { "$count": "n" },
    ];
    let pipeline = Pipeline {
        coll: HISTORY,
        stages,
        is_list: false,
    };
    counted(pipeline, db).await
}

async fn counted(pipeline: Pipeline, db: &Db) -> Outcome<u64> {
    let found = pipeline.all::<Count>(db).await?;
    Ok(found.first().map_or(0, |count| count.n.unsigned_abs()))
}

fn series(room: &str, who: &str) -> Document {
    doc! { "meta.room": room, "meta.participant": who }
}

/// Notes signs of life of those who are in.
pub(super) async fn note_signs(db: &Db, signs: &[Sign]) -> Outcome<()> {
    for piece in signs.chunks(SIGNS_MAX) {
        let statement = |sign: &Sign| {
            doc! {
                "q": { "_id": place_key(&sign.room, sign.participant), "present": true },
                "u": { "$max": { "seenAt": date(sign.at) } },
            }
        };
        db.update(PARTICIPANTS, piece.iter().map(statement).collect())
            .await?;
    }
    Ok(())
}

/// Removes what is kept of a subject, save for positions: those go by [`clear`].
pub(super) async fn erase(db: &std::sync::Arc<Db>, subject: &Subject, now: Timestamp) -> Outcome<Erased> {
    let mut erased = db
        .transaction(|session| {
            let (db, subject) = (std::sync::Arc::clone(db), subject.clone());
            let erase: BoxFuture<'_, _> =
                Box::pin(async move { erase_records(&db, session, &subject, date(now)).await });
            erase
        })
        .await?;
    // Those whom it concerns first; others that a crash has left are the janitor's.
    for piece in erased.places.chunks(CLEAR_MAX) {
        let keys: Vec<String> = piece.iter().map(|(room, who)| place_key(room, *who)).collect();
        let filter = doc! { "_id": { "$in": keys }, "erased": { "$exists": true } };
        erased.fixes += clear(db, filter, 1).await?.0;
    }
    Ok(erased)
}

async fn erase_records(
    db: &Db,
    session: &mut ClientSession,
    subject: &Subject,
    now: DateTime,
) -> Outcome<Erased> {
    let name = subject_text(subject);
    let places: Vec<ParticipantDoc> = db
        .find_in(session, PARTICIPANTS, doc! { "subject": &name })
        .await?;
    let mut erased = Erased {
        people: places.len() as u64,
        ..Erased::default()
    };
    for place in &places {
        erased.places.push((place.room()?, place.who()?));
    }
    let forget = doc! {
        "q": { "subject": &name },
        "u": {
            "$set": { "erased": now },
            "$unset": { "subject": "", "name": "", "phone": "", "role": "", "seenAt": "" },
        },
        "multi": true,
    };
    db.update_in(session, PARTICIPANTS, vec![forget]).await?;
    let tombs = places.iter().map(|place| {
        doc! {
            "q": { "_id": &place.id },
            "u": {
                "$set": { "room": &place.room, "who": &place.who, "erased": now, "cleared": 0 },
                "$unset": { "newest": "" },
            },
            "upsert": true,
        }
    });
    db.update_in(session, TRACKED, tombs.collect()).await?;
    let reports = places
        .iter()
        .map(|place| doc! { "_id.room": &place.room, "_id.reporter": &place.who });
    let mut others = db.delete_in(session, REPORTS, reports.collect()).await?;
    let nameless = doc! { "q": { "by": &name }, "u": { "$unset": { "by": "" } }, "multi": true };
    db.update_in(session, BLOCKS, vec![nameless]).await?;
    others += db
        .delete_in(session, CONTACTS, vec![doc! { "_id": &name }])
        .await?;
    others += db
        .delete_in(session, IDEMPOTENCY, vec![records::keys_of(subject, None)])
        .await?;
    others += jobs::erase(db, session, &name).await?;
    if let Subject::Device(id) = subject {
        others += db
            .delete_in(session, DEVICES, vec![doc! { "_id": id.reveal() }])
            .await?;
    }
    erased.others = others;
    Ok(erased)
}

/// Removes the positions of some of the erased, at most so many at once, and notes that it was done `times` times
/// then; answers how many positions there were, and of how many pseudonyms.
async fn clear(db: &Db, filter: Document, times: i32) -> Outcome<(u64, usize)> {
    let tombs = Find::new(TRACKED, filter)
        .limit(CLEAR_MAX)
        .all::<TrackedDoc>(db)
        .await?;
    if tombs.is_empty() {
        return Ok((0, 0));
    }
    let filters = tombs.iter().map(|tomb| series(&tomb.room, &tomb.who)).collect();
    let removed = db.delete(HISTORY, filters).await?;
    let done = tombs.iter().map(|tomb| {
        doc! { "q": { "_id": &tomb.id, "erased": { "$exists": true } }, "u": { "$max": { "cleared": times } } }
    });
    db.update(TRACKED, done.collect()).await?;
    Ok((removed, tombs.len()))
}

/// The janitor's slice: what an erasure left behind, and devices that were not seen for long enough.
pub(super) async fn purge(
    db: &std::sync::Arc<Db>,
    now: Timestamp,
    retention: &Retention,
    purged: &mut Purged,
) -> Outcome<()> {
    purge_erased(db, now, purged).await?;
    let slice = retention.slice_max_rows.max(1);
    if !retention.device_links.is_zero() {
        let before = date(now.before(retention.device_links));
        let filter = doc! { "linked": true, "lastSeen": { "$lt": before } };
        for device in quiet(db, filter, slice, purged).await? {
            if cut(db, device, purged, slice).await? {
                break;
            }
        }
    }
    if !retention.devices.is_zero() {
        let filter = doc! { "lastSeen": { "$lt": date(now.before(retention.devices)) } };
        for device in quiet(db, filter, slice, purged).await? {
            let enough = cut(db, device, purged, slice).await?;
            purged.devices += db.delete(DEVICES, vec![doc! { "_id": device.reveal() }]).await?;
            if enough {
                break;
            }
        }
    }
    Ok(())
}

async fn purge_erased(db: &Db, now: Timestamp, purged: &mut Purged) -> Outcome<()> {
    let arrived = date(now.before(ARRIVED));
    for (times, filter) in [
        (1, doc! { "erased": { "$exists": true }, "cleared": 0 }),
        (2, doc! { "erased": { "$lt": arrived }, "cleared": 1 }),
    ] {
        let (removed, pseudonyms) = clear(db, filter, times).await?;
        purged.leftovers += removed;
        purged.more |= pseudonyms >= CLEAR_MAX;
    }
    let old = doc! { "erased": { "$lt": date(now.before(REMEMBERED)) }, "cleared": { "$gte": 2 } };
    let old = Find::new(TRACKED, old)
        .limit(CLEAR_MAX)
        .all::<TrackedDoc>(db)
        .await?;
    if old.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = old.iter().map(|tomb| tomb.id.as_str()).collect();
    let forget = doc! {
        "q": { "_id": { "$in": &ids } }, "u": { "$unset": { "erased": "" } }, "multi": true,
    };
    db.update(PARTICIPANTS, vec![forget]).await?;
    db.delete(
        TRACKED,
        vec![doc! { "_id": { "$in": &ids }, "erased": { "$exists": true } }],
    )
    .await?;
    purged.more |= old.len() >= CLEAR_MAX;
    Ok(())
}

/// Devices that nobody has seen for long enough, at most a slice of them.
async fn quiet(db: &Db, filter: Document, slice: usize, purged: &mut Purged) -> Outcome<Vec<DeviceId>> {
    let find = Find::new(DEVICES, filter)
        .sort(doc! { "lastSeen": 1 })
        .limit(slice);
    let found = find.all::<DeviceDoc>(db).await?;
    purged.more |= found.len() >= slice;
    let device = |device: DeviceDoc| Ok(DeviceId::new(&device.id).map_err(|_| corrupt("a device id"))?);
    found.into_iter().map(device).collect()
}

/// Cuts a device from its pseudonyms. True when the slice is full.
async fn cut(db: &std::sync::Arc<Db>, device: DeviceId, purged: &mut Purged, slice: usize) -> Outcome<bool> {
    let (rooms, unlinked) = db
        .transaction(|session| {
            let db = std::sync::Arc::clone(db);
            let cut: BoxFuture<'_, _> = Box::pin(async move { cut_records(&db, session, device).await });
            cut
        })
        .await?;
    let subject = Subject::Device(device);
    purged
        .forgotten
        .extend(rooms.into_iter().map(|room| (room, subject.clone())));
    purged.devices_anonymised += unlinked;
    let full = purged.forgotten.len() >= slice;
    purged.more |= full;
    Ok(full)
}

async fn cut_records(db: &Db, session: &mut ClientSession, device: DeviceId) -> Outcome<(Vec<RoomId>, u64)> {
    let subject = Subject::Device(device);
    let filter = doc! { "subject": subject_text(&subject) };
    let places: Vec<ParticipantDoc> = db.find_in(session, PARTICIPANTS, filter.clone()).await?;
    let forget = doc! {
        "q": filter,
        "u": { "$unset": { "subject": "", "name": "", "phone": "", "role": "" } },
        "multi": true,
    };
    db.update_in(session, PARTICIPANTS, vec![forget]).await?;
    db.delete_in(session, IDEMPOTENCY, vec![records::keys_of(&subject, None)])
        .await?;
    let unlink =
        doc! { "q": { "_id": device.reveal(), "linked": true }, "u": { "$set": { "linked": false } } };
    let unlinked = db.update_in(session, DEVICES, vec![unlink]).await?;
    let rooms: Result<Vec<RoomId>, _> = places
        .iter()
        .map(|place| codec::parse_room(&place.room))
        .collect();
    Ok((rooms?, unlinked))
}
