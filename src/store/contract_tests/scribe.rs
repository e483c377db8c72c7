//! Writes rooms' logs the way their actors do: decide, append, apply.

use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{DeviceId, MessageId, ParticipantId, UserId};
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::people::{Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{
    Actor, Command, Event, Genesis, Manifest, Policy, Proof, Rejection, Relay, RoomState, Standing, UserType,
    decide,
};
use crate::domain::testing::{person, room};
use crate::domain::time::Timestamp;
use crate::store::contract::{AppendError, Store};
use crate::store::types::{Append, IdempotencyKey, IncidentQuery, KeptFix, Sight};

/// Registered user number `n`.
pub fn user(n: u64) -> Subject {
    Subject::User(UserId::new(format!("user-{n}")).unwrap())
}

/// Anonymous device number `n`.
pub fn device(n: u8) -> DeviceId {
    DeviceId::from_random([n; 16])
}

/// Phone number `n`.
pub fn phone(n: u64) -> PhoneNumber {
    PhoneNumber::from_e164(&format!("+6391{n:08}")).unwrap()
}

/// The record of user `n` as participant `n`.
pub fn record(n: u64) -> Person {
    Person {
        participant: person(n),
        subject: user(n),
        name: Some(format!("Person {n}")),
        phone: Some(phone(n)),
        role: Role::Citizen,
    }
}

/// A position a little off the centre of Manila.
pub fn place(north: f64, east: f64) -> Position {
    Position::new(14.6 + north, 121.0 + east).unwrap()
}

/// Milliseconds as an instant.
pub fn ms(at: i64) -> Timestamp {
    Timestamp::from_ms(at)
}

/// A kept fix of participant `n` of a room.
pub fn kept(name: &str, n: u64, at: i64, north: f64) -> KeptFix {
    KeptFix {
        room: room(name),
        participant: person(n),
        fix: Fix::new(place(north, 0.0), ms(at)),
        sampled: true,
    }
}

/// A query for everything that staff see.
pub fn everything() -> IncidentQuery {
    IncidentQuery {
        status: vec![],
        kind: None,
        city_id: None,
        near: None,
        sight: Sight::All,
        limit: 10_000,
        after: None,
    }
}

/// One room's writer.
#[derive(Clone)]
pub struct Scribe {
    /// The room as its log tells it.
    pub state: RoomState,
    /// Its log.
    pub log: Vec<Event>,
    /// What time it is.
    pub now: Timestamp,
    policy: Policy,
}

impl Scribe {
    /// A writer for a room that does not exist yet.
    pub fn new(name: &str) -> Self {
        Self {
            state: RoomState::new(room(name)),
            log: vec![],
            now: ms(1_000_000),
            policy: Policy::default(),
        }
    }

    /// What a command appends, and takes it as appended.
    pub fn decide(
        &mut self,
        who: Option<u64>,
        standing: Standing,
        command: Command,
    ) -> Result<Append, Rejection> {
        let actor = who.map_or(Actor::System, |n| Actor::Participant(person(n)));
        let after = self.state.seq;
        let mut events = vec![];
        for body in decide(&self.state, &self.policy, actor, standing, command)? {
            let (seq, at) = (self.state.seq.next(), self.now.max(self.state.last_at));
            let event = Event {
                room: self.state.id.clone(),
                seq,
                at,
                actor,
                body,
            };
            self.state.apply(&event);
            self.log.push(event.clone());
            events.push(event);
        }
        let people = who
            .filter(|_| !events.is_empty())
            .map(record)
            .into_iter()
            .collect();
        Ok(Append {
            room: self.state.id.clone(),
            after,
            events,
            people,
            idempotency: None,
            jobs: Vec::new(),
        })
    }

    /// What makes an incident whose owner is user 0.
    pub fn raise(&mut self, report: Report) -> Append {
        let genesis = Genesis::Incident(Box::new(report));
        let create = Command::Create {
            genesis,
            user_type: UserType::Citizen,
        };
        self.decide(Some(0), Standing::Stranger, create).unwrap()
    }

    /// What makes a circle of user `n`.
    pub fn circle(&mut self, n: u64) -> Append {
        let create = Command::Create {
            genesis: Genesis::Circle,
            user_type: UserType::Citizen,
        };
        self.decide(Some(n), Standing::Stranger, create).unwrap()
    }

    /// What makes a trip that user `driver` drives, with records of everybody on it.
    pub fn trip(&mut self, driver: u64, passengers: &[u64]) -> Append {
        let others = passengers.iter().copied().map(person).collect();
        let manifest = Manifest::new(person(driver), others, Some("booking".into()));
        let create = Command::Create {
            genesis: Genesis::Trip(Box::new(manifest)),
            user_type: UserType::Citizen,
        };
        let mut append = self.decide(None, Standing::System, create).unwrap();
        let everybody = std::iter::once(driver).chain(passengers.iter().copied());
        append.people = everybody.map(record).collect();
        append
    }

    /// What lets user `n` in.
    pub fn join(&mut self, n: u64) -> Append {
        self.decide(
            Some(n),
            Standing::Contact,
            Command::Join {
                user_type: UserType::Citizen,
            },
        )
        .unwrap()
    }

    /// What takes user `n` out.
    pub fn leave(&mut self, n: u64) -> Append {
        self.decide(Some(n), Standing::Stranger, Command::Leave).unwrap()
    }

    /// What says something as user `n`.
    pub fn say(&mut self, n: u64, content: &str) -> Append {
        let id = MessageId::new(format!("m{}", self.state.seq.get())).unwrap();
        self.decide(
            Some(n),
            Standing::Stranger,
            Command::SendMessage {
                id,
                content: content.into(),
            },
        )
        .unwrap()
    }

    /// What makes the incident one of another type.
    pub fn retype(&mut self, to: IncidentType) -> Append {
        let command = Command::SetType { to };
        self.decide(None, Standing::System, command).unwrap()
    }

    /// What passes on what user `n` said elsewhere.
    pub fn pass_on(&mut self, n: u64, content: &str, relay: Relay) -> Append {
        let id = MessageId::new(format!("m{}", self.state.seq.get())).unwrap();
        let content = content.into();
        let command = Command::PassOn { id, content, relay };
        self.decide(Some(n), Standing::System, command).unwrap()
    }

    /// What moves the incident.
    pub fn status(&mut self, to: Status) -> Append {
        self.decide(
            None,
            Standing::System,
            Command::SetStatus {
                to,
                expected: None,
                note: None,
                lower_case: false,
                proof: Proof::Nothing,
            },
        )
        .unwrap()
    }
}

/// Appends, and expects that nothing speaks against it.
pub async fn put(store: &impl Store, append: Append) {
    assert_eq!(store.append(append).await, Ok(()));
}

/// An incident that is in the store.
pub async fn raised(store: &impl Store, name: &str, report: Report) -> Scribe {
    let mut scribe = Scribe::new(name);
    put(store, scribe.raise(report)).await;
    scribe
}

/// Many incidents at once.
pub async fn raise_all(store: &impl Store, reports: Vec<(String, Timestamp, Report)>) {
    let appends = reports.into_iter().map(|(name, now, report)| {
        let mut scribe = Scribe::new(&name);
        scribe.now = now;
        store.append(scribe.raise(report))
    });
    let outcomes: Vec<Result<(), AppendError>> = futures_util::future::join_all(appends).await;
    assert!(outcomes.iter().all(Result::is_ok));
}

/// A key for a request of user `n`.
pub fn key(n: u64, text: &str) -> IdempotencyKey {
    IdempotencyKey {
        subject: user(n),
        key: text.into(),
    }
}

/// Ids of participants, sorted.
pub fn ids(people: &[Person]) -> Vec<ParticipantId> {
    let mut ids: Vec<ParticipantId> = people.iter().map(|person| person.participant).collect();
    ids.sort();
    ids
}
