//! What a group of appends writes, decided in memory from what is known of their rooms. No I/O: the writer reads what
//! this needs before, and carries out what it says in one transaction.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::DateTime;
use mongodb::bson::oid::ObjectId;

use super::docs::{
    EventDoc, IncidentDoc, KeyDoc, KeyName, ParticipantDoc, Point, RoomDoc, StayDoc, date, number,
};
use super::outbox::NoteDoc;
use super::queue::Pending;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{Report, Status};
use crate::domain::people::{Person, Subject};
use crate::domain::room::{Event, EventBody, RoomKind};
use crate::store::codec;
use crate::store::contract::{AppendError, StoreError};
use crate::store::jobs::JobWrite;
use crate::store::projection::{Change, RoomRow};
use crate::store::types::Append;

/// What the writer knows of the rooms, people and keys that a group concerns.
#[derive(Default)]
pub(super) struct Known {
    /// `None`: there is no such room.
    pub rooms: HashMap<RoomId, Option<RoomDoc>>,
    /// By their keys; of rooms that there are.
    pub participants: HashMap<String, ParticipantDoc>,
    pub keys: HashMap<KeyName, String>,
}

/// One room while its appends are gone through.
struct Room {
    row: RoomRow,
    doc: RoomDoc,
    /// The head that the store has; `None`: it has no such room.
    before: Option<i64>,
    is_touched: bool,
}

struct Somebody {
    doc: ParticipantDoc,
    is_new: bool,
    is_touched: bool,
}

/// What to write, and what to answer once that is durable.
#[derive(Default)]
pub(super) struct Plan {
    pub outcomes: Vec<Result<(), AppendError>>,
    pub events: Vec<EventDoc>,
    pub new_rooms: Vec<RoomDoc>,
    /// With the heads at which they must stand.
    pub changed_rooms: Vec<(i64, RoomDoc)>,
    /// Rooms that everybody left, in order.
    pub emptied: Vec<(RoomId, DateTime)>,
    pub new_participants: Vec<ParticipantDoc>,
    pub changed_participants: Vec<ParticipantDoc>,
    pub keys: Vec<KeyDoc>,
    /// What incidents have to tell.
    pub notes: Vec<NoteDoc>,
    /// Changes to jobs, in the order of their appends.
    pub jobs: Vec<JobWrite>,
    /// Devices that take part, and when they were seen.
    pub devices: BTreeMap<String, DateTime>,
}

impl Plan {
    /// Goes through a group in order. `feed`: it is noted what incidents have to tell.
    pub fn of(group: &[Pending], known: Known, feed: bool) -> Result<Self, StoreError> {
        let mut planner = Planner {
            plan: Self::default(),
            rooms: HashMap::new(),
            people: HashMap::new(),
            known,
            feed,
        };
        for pending in group {
            let outcome = planner.take(&pending.append)?;
            planner.plan.outcomes.push(outcome);
        }
        Ok(planner.finish())
    }
}

/// Whom of a room an append concerns.
pub(super) fn concerned(append: &Append) -> impl Iterator<Item = ParticipantId> {
    let moved = append.events.iter().filter_map(|event| match &event.body {
        EventBody::Joined { who, .. } | EventBody::Left { who, .. } => Some(*who),
        _ => None,
    });
    moved.chain(append.people.iter().map(|person| person.participant))
}

struct Planner {
    plan: Plan,
    rooms: HashMap<RoomId, Room>,
    people: HashMap<String, Somebody>,
    known: Known,
    feed: bool,
}

impl Planner {
    fn take(&mut self, append: &Append) -> Result<Result<(), AppendError>, StoreError> {
        let head = self.room(&append.room)?.row.head;
        let name = append.idempotency.as_ref().map(KeyName::of);
        let made = name.as_ref().and_then(|name| self.known.keys.get(name));
        if let Some(room) = made {
            // A conflict with a known key is a repetition, too: its room is what the request made.
            let room = codec::parse_room(room)?;
            return Ok(Err(AppendError::Repeated { room }));
        }
        if head != append.after {
            return Ok(Err(AppendError::Conflict { head }));
        }
        let events = match numbered(append) {
            Ok(events) => events,
            Err(error) => return Ok(Err(error.into())),
        };
        self.plan.events.extend(events);
        for event in &append.events {
            self.project(event)?;
        }
        let room = self.room(&append.room)?;
        room.is_touched = true;
        let last_at = date(room.row.last_at);
        let (head, tells) = (room.row.head, room.row.kind == Some(RoomKind::Sos));
        if let Some(first) = append.events.first().filter(|_| self.feed && tells) {
            self.plan.notes.push(NoteDoc {
                id: ObjectId::new(),
                room: append.room.as_str().to_owned(),
                taken: number(append.after),
                head: number(head),
                since: date(first.at),
            });
        }
        self.plan.jobs.extend(append.jobs.iter().cloned());
        for person in &append.people {
            self.record(&append.room, person, last_at);
        }
        if let Some(id) = name {
            let at = append.events.last().map_or(last_at, |event| date(event.at));
            self.known
                .keys
                .insert(id.clone(), append.room.as_str().to_owned());
            self.plan.keys.push(KeyDoc {
                id,
                room: append.room.as_str().to_owned(),
                at,
            });
        }
        Ok(Ok(()))
    }

    fn room(&mut self, id: &RoomId) -> Result<&mut Room, StoreError> {
        if !self.rooms.contains_key(id) {
            let found = self.known.rooms.remove(id).flatten();
            let room = match found {
                Some(doc) => Room {
                    row: doc.row()?,
                    before: Some(doc.head),
                    doc,
                    is_touched: false,
                },
                None => Room {
                    row: RoomRow::default(),
                    before: None,
                    doc: RoomDoc::new(id),
                    is_touched: false,
                },
            };
            self.rooms.insert(id.clone(), room);
        }
        Ok(self.rooms.get_mut(id).expect("invariant: it was put there"))
    }

    fn somebody(&mut self, room: &RoomId, who: ParticipantId) -> &mut Somebody {
        let new = ParticipantDoc::new(room, who);
        let known = self.known.participants.remove(&new.id);
        self.people.entry(new.id.clone()).or_insert_with(|| Somebody {
            is_new: known.is_none(),
            doc: known.unwrap_or(new),
            is_touched: false,
        })
    }

    fn project(&mut self, event: &Event) -> Result<(), StoreError> {
        let changes = self.room(&event.room)?.row.take(event);
        for change in changes {
            match change {
                Change::Created { report, at, .. } => {
                    if let Some(report) = report {
                        let incident = incident(report, date(at))?;
                        self.room(&event.room)?.doc.incident = Some(incident);
                    }
                }
                Change::Entered { who, user_type, at } => {
                    let somebody = self.somebody(&event.room, who);
                    somebody.is_touched = true;
                    let was_in = std::mem::replace(&mut somebody.doc.present, true);
                    somebody.doc.stay = Some(StayDoc {
                        user_type: user_type.as_str().to_owned(),
                        joined_at: date(at),
                        left_at: None,
                    });
                    self.room(&event.room)?.row.members += u32::from(!was_in);
                }
                Change::Went { who, at } => {
                    let somebody = self.somebody(&event.room, who);
                    somebody.is_touched = true;
                    let was_in = leave(&mut somebody.doc, date(at));
                    let row = &mut self.room(&event.room)?.row;
                    row.members = row.members.saturating_sub(u32::from(was_in));
                }
                Change::AllWent { at } => self.empty(&event.room, date(at))?,
                Change::Retyped { to } => {
                    if let Some(incident) = &mut self.room(&event.room)?.doc.incident {
                        to.as_str().clone_into(&mut incident.kind);
                    }
                }
                Change::Moved { to, at, ended } => {
                    if let Some(incident) = &mut self.room(&event.room)?.doc.incident {
                        to.as_str().clone_into(&mut incident.status);
                        incident.updated_at = date(at);
                        if ended {
                            incident.ended_at = Some(date(at));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Everybody leaves: those whom this group concerns here, the others by one statement.
    fn empty(&mut self, room: &RoomId, at: DateTime) -> Result<(), StoreError> {
        for somebody in self.people.values_mut() {
            if somebody.doc.room == room.as_str() && somebody.doc.present {
                leave(&mut somebody.doc, at);
                somebody.is_touched = true;
            }
        }
        for doc in self.known.participants.values_mut() {
            if doc.room == room.as_str() && doc.present {
                leave(doc, at);
            }
        }
        let here = self.room(room)?;
        here.row.members = 0;
        if here.before.is_some() {
            self.plan.emptied.push((room.clone(), at));
        }
        Ok(())
    }

    /// Writes somebody's record, unless the pseudonym was erased.
    fn record(&mut self, room: &RoomId, person: &Person, at: DateTime) {
        let somebody = self.somebody(room, person.participant);
        if somebody.doc.erased.is_some() {
            return;
        }
        somebody.is_touched = true;
        somebody.doc.record(person);
        if let Subject::Device(device) = &person.subject {
            let seen = self.plan.devices.entry(device.reveal()).or_insert(at);
            *seen = at.max(*seen);
        }
    }

    fn finish(self) -> Plan {
        let mut plan = self.plan;
        for mut room in self.rooms.into_values().filter(|room| room.is_touched) {
            room.doc.put(&room.row);
            match room.before {
                Some(head) => plan.changed_rooms.push((head, room.doc)),
                None => plan.new_rooms.push(room.doc),
            }
        }
        for somebody in self.people.into_values().filter(|somebody| somebody.is_touched) {
            if somebody.is_new {
                plan.new_participants.push(somebody.doc);
            } else {
                plan.changed_participants.push(somebody.doc);
            }
        }
        plan
    }
}

/// True when they were in.
fn leave(doc: &mut ParticipantDoc, at: DateTime) -> bool {
    doc.seen_at = None;
    if let Some(stay) = &mut doc.stay {
        stay.left_at = Some(at);
    }
    std::mem::replace(&mut doc.present, false)
}

/// Its events as documents, if they are numbered on from its head.
fn numbered(append: &Append) -> Result<Vec<EventDoc>, StoreError> {
    let mut seq = append.after;
    let mut events = Vec::with_capacity(append.events.len());
    for event in &append.events {
        seq = seq.next();
        if event.seq != seq || event.room != append.room {
            return Err(StoreError::Corrupt(
                "the new events are not numbered on from the head".into(),
            ));
        }
        events.push(EventDoc::of(event)?);
    }
    Ok(events)
}

fn incident(report: &Report, at: DateTime) -> Result<IncidentDoc, StoreError> {
    Ok(IncidentDoc {
        report: codec::encode_report(report)?,
        status: Status::Active.as_str().to_owned(),
        kind: report.kind.as_str().to_owned(),
        public: report.is_public(),
        city: report.city_id.clone(),
        updated_at: at,
        ended_at: None,
        place: report.position.map(Point::of),
    })
}

/// What a log is projected to: the room's row, and everybody's stay.
pub(super) fn replay(doc: &RoomDoc, people: Vec<ParticipantDoc>, log: &[Event]) -> Result<Plan, StoreError> {
    let mut known = Known::default();
    let Some(first) = log.first() else {
        return Ok(Plan::default());
    };
    let mut fresh = RoomDoc::new(&first.room);
    fresh.born = doc.born;
    for mut somebody in people {
        somebody.stay = None;
        somebody.present = false;
        known.participants.insert(somebody.id.clone(), somebody);
    }
    let mut planner = Planner {
        plan: Plan::default(),
        rooms: HashMap::new(),
        people: HashMap::new(),
        known,
        feed: false,
    };
    let room = Room {
        row: RoomRow::default(),
        doc: fresh,
        before: Some(doc.head),
        is_touched: true,
    };
    planner.rooms.insert(first.room.clone(), room);
    let seen: HashMap<String, DateTime> = planner
        .known
        .participants
        .values()
        .filter_map(|somebody| Some((somebody.id.clone(), somebody.seen_at?)))
        .collect();
    for event in log {
        planner.project(event)?;
    }
    // Those whom the log does not say to be in, or names no more, lose what was said of their stay.
    for (id, somebody) in std::mem::take(&mut planner.known.participants) {
        planner.people.insert(
            id,
            Somebody {
                doc: somebody,
                is_new: false,
                is_touched: true,
            },
        );
    }
    for (id, somebody) in &mut planner.people {
        let present = somebody.doc.present;
        somebody.doc.seen_at = seen.get(id).copied().filter(|_| present);
    }
    let mut plan = planner.finish();
    plan.emptied.clear();
    debug_assert!(
        plan.changed_rooms
            .iter()
            .all(|(_, room)| room.head == number(log[log.len() - 1].seq))
    );
    Ok(plan)
}
