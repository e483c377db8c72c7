//! Writes events with their records and projections.

use rusqlite::params;

use super::feed;
use super::open::Note;
use super::project::project;
use super::rows::{RoomKey, find_room, put_room};
use super::writes::Writes;
use super::{jobs, outbox, privacy};
use crate::domain::people::{Person, Subject};
use crate::domain::room::{Event, EventBody, RoomKind};
use crate::domain::time::Timestamp;
use crate::store::codec;
use crate::store::contract::{AppendError, StoreError};
use crate::store::projection::RoomRow;
use crate::store::types::{Append, IdempotencyKey};

/// Appends, or says why not and has written nothing.
pub(super) fn append(
    writes: &mut Writes<'_>,
    append: &Append,
) -> Result<Result<(), AppendError>, StoreError> {
    let found = find_room(&mut writes.db, &append.room)?;
    let head = found.as_ref().map_or_else(Default::default, |(_, row)| row.head);
    if head != append.after {
        let known = known_key(writes, append.idempotency.as_ref())?;
        return Ok(Err(known.unwrap_or(AppendError::Conflict { head })));
    }
    check_numbers(append)?;
    let (key, mut row) = found.unwrap_or_else(|| (writes.fresh_key(), RoomRow::default()));
    let was_open = row.open;
    if let Some(name) = &append.idempotency
        && !put_key(writes, name, key, append, &row)?
    {
        let known = known_key(writes, Some(name))?;
        return Ok(Err(known.unwrap_or(AppendError::Conflict { head })));
    }
    for event in &append.events {
        let message = matches!(event.body, EventBody::MessageSent { .. });
        let body = codec::encode_body(&event.body)?;
        writes.db.run(
            "INSERT INTO events (room, seq, at, actor, message, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                key,
                event.seq.get().cast_signed(),
                event.at.ms(),
                event.actor.participant().map(|who| who.bits().cast_signed()),
                message,
                body
            ],
        )?;
        project(&mut writes.db, key, &mut row, event)?;
        forget_signs(writes, key, event)?;
    }
    for person in &append.people {
        put_person(writes, key, person, row.last_at)?;
    }
    put_room(&mut writes.db, key, &append.room, &row)?;
    if row.kind == Some(RoomKind::Sos) && !append.events.is_empty() {
        feed::add(writes, key, row.head, append.events.len(), row.last_at)?;
    }
    if writes.feed {
        outbox::note(writes, key, append, &row)?;
    }
    jobs::write(writes, &append.jobs)?;
    let note = Note::of(key, &append.room, was_open, &row, &append.events);
    writes.notes.extend(note);
    writes.events += append.events.len() as u64;
    Ok(Ok(()))
}

fn check_numbers(append: &Append) -> Result<(), StoreError> {
    let mut seq = append.after;
    for event in &append.events {
        seq = seq.next();
        if event.seq != seq || event.room != append.room {
            return Err(StoreError::Corrupt(
                "the new events are not numbered on from the head".into(),
            ));
        }
    }
    Ok(())
}

/// Notes an idempotency key; false when it is known already.
fn put_key(
    writes: &mut Writes<'_>,
    name: &IdempotencyKey,
    room: RoomKey,
    append: &Append,
    row: &RoomRow,
) -> Result<bool, StoreError> {
    let at = append.events.last().map_or(row.last_at, |event| event.at);
    let added = writes.db.run(
        "INSERT OR IGNORE INTO idempotency (subject, key, room, at) VALUES (?1, ?2, ?3, ?4)",
        params![codec::subject_text(&name.subject), name.key, room, at.ms()],
    )?;
    Ok(added == 1)
}

fn known_key(
    writes: &mut Writes<'_>,
    name: Option<&IdempotencyKey>,
) -> Result<Option<AppendError>, StoreError> {
    let Some(name) = name else { return Ok(None) };
    let room = super::records::repeated(&mut writes.db, name)?;
    Ok(room.map(|room| AppendError::Repeated { room }))
}

/// Whoever is no longer in leaves no sign of life behind.
fn forget_signs(writes: &mut Writes<'_>, room: RoomKey, event: &Event) -> Result<(), StoreError> {
    match &event.body {
        EventBody::Left { who, .. } => {
            let sql = "DELETE FROM presence WHERE room = ?1 AND participant = ?2";
            writes.db.run(sql, params![room, who.bits().cast_signed()])?;
        }
        EventBody::Emptied => {
            writes.db.run("DELETE FROM presence WHERE room = ?1", [room])?;
        }
        EventBody::StatusChanged { to, .. } if !to.is_open() => {
            writes.db.run("DELETE FROM presence WHERE room = ?1", [room])?;
        }
        _ => {}
    }
    Ok(())
}

fn put_person(
    writes: &mut Writes<'_>,
    room: RoomKey,
    person: &Person,
    at: Timestamp,
) -> Result<(), StoreError> {
    if privacy::is_erased(writes, room, person.participant.bits().cast_signed())? {
        return Ok(());
    }
    if let Subject::Device(device) = &person.subject {
        privacy::link(writes, *device, at)?;
    }
    writes.db.run(
        "INSERT INTO people (room, participant, subject, name, phone, role) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET subject = excluded.subject, name = excluded.name, phone = excluded.phone,
                                   role = excluded.role",
        params![
            room,
            person.participant.bits().cast_signed(),
            codec::subject_text(&person.subject),
            person.name,
            person
                .phone
                .as_ref()
                .map(crate::domain::phone::PhoneNumber::reveal),
            person.role.as_str()
        ],
    )?;
    Ok(())
}
