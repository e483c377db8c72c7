//! What a room is told, and how it answers.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use tokio::sync::oneshot;

use super::glimpse::Ask;
use crate::actors::error::CommandError;
use crate::actors::gate::Permit;
use crate::actors::session::{SessionId, SessionShared};
use crate::delivery::Frame;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{ContactBook, Identity, Named, Person, Role, Subject};
use crate::domain::room::{Command, Event, RoomState, Seq};
use crate::domain::time::Timestamp;
use crate::store::{IdempotencyKey, JobWrite};
use crate::wire::json::ServerMessage;

/// Whose doing.
#[derive(Clone, Debug)]
pub enum By {
    /// A person's, from this session if it came over a socket.
    Person(Arc<Identity>, Option<Arc<SessionShared>>),
    /// Somebody's for whom a sister service acts: in an incident, and whatever the service may do there.
    Behalf(Named, Role),
    /// The engine's own.
    System,
    /// The engine's, carrying out what somebody here did elsewhere: the owner of a circle, whoever this is on a trip.
    Raiser(Option<Subject>),
}

/// How somebody comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// They asked to.
    Asked,
    /// As a contact, by themselves: told by `auto-joined`.
    Automatic,
    /// They asked for a trip, and for nothing else.
    Trip,
    /// They asked for an incident, and say as what they come.
    Stated,
    /// They are back where they were, and are told nothing but what they missed.
    Resumed,
    /// They asked for an incident, and for nothing else.
    Incident,
}

/// A command on its way through a room.
#[derive(Debug)]
pub struct Act {
    /// Whose.
    pub by: By,
    /// What.
    pub command: Command,
    /// For `Join`: send what is durable after this.
    pub since: Option<Seq>,
    /// How, for `Join` and `Leave`.
    pub manner: Manner,
    /// For `Create`: makes a retry find this room.
    pub idempotency: Option<IdempotencyKey>,
    /// For `Create` of a circle: its owner's contacts.
    pub contacts: Option<Arc<ContactBook>>,
    /// For `Create` of a trip: the records of those on it.
    pub people: Vec<Person>,
    /// Changes to jobs that are written with what happens; when nothing does, they are not.
    pub jobs: Vec<JobWrite>,
    /// The service that may know the room has been asked for it.
    pub looked_up: bool,
    /// A name to go by in this room instead of the credential's.
    pub display_name: Option<String>,
    /// Who waits for the answer.
    pub reply: Reply,
}

impl Act {
    /// A plain command.
    pub fn new(by: By, command: Command, reply: Reply) -> Self {
        Self {
            by,
            command,
            since: None,
            manner: Manner::Asked,
            idempotency: None,
            contacts: None,
            people: Vec::new(),
            jobs: Vec::new(),
            looked_up: false,
            display_name: None,
            reply,
        }
    }
}

/// Somebody who is brought into an incident from a linked room.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Their record there.
    pub person: Person,
    /// Their live connections.
    pub sessions: Vec<Arc<SessionShared>>,
}

/// What a command led to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The room's head now.
    pub seq: Seq,
    /// Who the caller is in this room, if anybody.
    pub participant: Option<ParticipantId>,
    /// What happened; nothing when things were as wanted already.
    pub events: Vec<Event>,
    /// Who is in, asked for by links only.
    pub people: Vec<Admission>,
}

/// A room as somebody may see it.
#[derive(Clone, Debug)]
pub struct RoomView {
    /// The state as of the last durable event.
    pub state: RoomState,
    /// The records of everybody it names.
    pub people: Vec<Person>,
    /// Where those who are in are, if the caller is shown that.
    pub newest: Vec<(ParticipantId, Fix)>,
    /// The caller is shown where people are.
    pub shows_positions: bool,
    /// Who is connected.
    pub online: Vec<ParticipantId>,
    /// The last event that the caller is shown, when that is not the last one.
    pub until: Option<Seq>,
    /// Who the caller is in it.
    pub viewer: Option<ParticipantId>,
    /// The caller may see what only participants and staff see.
    pub inside: bool,
}

/// A question, answered in order with the commands.
#[derive(Debug)]
pub enum Look {
    /// The room as `who`, or nobody in particular, may see it; `NotFound` when they may not.
    View {
        /// As who.
        who: Option<Arc<Identity>>,
        /// As it is known on this node is good enough; otherwise as it is.
        known: bool,
        /// Gets it.
        to: oneshot::Sender<Result<Box<RoomView>, CommandError>>,
    },
    /// What somebody wants to know of the room as `who` may see it.
    Glance(Option<Arc<Identity>>, Ask),
    /// Whether `who` may send positions, and as whom; `None`: they may come in by doing so.
    Broadcaster(
        Arc<Identity>,
        oneshot::Sender<Result<Option<ParticipantId>, CommandError>>,
    ),
    /// The emergency that stands in a circle or on a trip, and how many were raised there so far.
    Emergency(oneshot::Sender<(Option<RoomId>, u64)>),
    /// Answered when linked rooms have been told all there is to tell.
    LinksSettled(oneshot::Sender<()>),
    /// Who sits in it (`get_users`), to a session that is in.
    Users(Arc<SessionShared>),
    /// Somebody who sits in it writes, or has stopped: the others are told, and nothing is kept.
    Typing {
        /// Whose.
        session: Arc<SessionShared>,
        /// They began.
        on: bool,
        /// What they go by.
        name: Option<String>,
    },
}

/// What a room does, in order.
#[derive(Debug)]
pub enum Work {
    /// Carry out a command.
    Act(Box<Act>),
    /// Answer a question.
    Look(Look),
    /// Bring people in from a linked room.
    Admit {
        /// Whom.
        people: Vec<Admission>,
        /// The linked room, when this is the answer to its emergency.
        link: Option<RoomId>,
        /// They come together with others, who are not told of each of them.
        together: bool,
        /// Told when they are in; dropped when they could not be brought in.
        done: Option<oneshot::Sender<()>>,
    },
    /// The owner's contacts have changed.
    Contacts(Arc<ContactBook>),
    /// The owner's contacts who are connected to this node are brought in, and alerted if an SOS stands.
    Call,
    /// Something waits for somebody who is connected to this node.
    Concerns(Subject),
    /// A linked room has been told of the end.
    LinkEnded(RoomId),
}

impl Work {
    /// Whether events may come of it.
    pub(super) fn may_write(&self) -> bool {
        matches!(self, Self::Act(_) | Self::Admit { .. } | Self::LinkEnded(_))
    }

    /// One of the engine's own commands, with nobody waiting.
    pub(super) fn system(command: Command) -> Self {
        Self::Act(Box::new(Act::new(By::System, command, Reply::nobody())))
    }
}

/// Work with its place in the room's queue.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ticketed {
    pub(super) work: Work,
    pub(super) permit: Permit,
}

/// Positions to show; the newest of each subject is enough.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Positions(pub Vec<(ParticipantId, Fix)>);

/// Something changed in what is shared with the room: look.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Poke;

/// Its log or its records were written by somebody else: read them again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Reload;

/// Nobody has used the room for a while: rest, if nothing is due.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Rest;

/// Who waits for an answer. If it is dropped without one, they are told to ask again: a session by an error,
/// a call by its channel.
#[derive(Debug)]
pub struct Reply(To);

#[derive(Debug)]
enum To {
    Session(Arc<SessionShared>),
    Call(oneshot::Sender<Result<Outcome, CommandError>>),
    Nobody,
}

impl Reply {
    /// Answers by frames on the session's socket.
    pub fn session(session: Arc<SessionShared>) -> Self {
        Self(To::Session(session))
    }

    /// Answers a call.
    pub fn call(to: oneshot::Sender<Result<Outcome, CommandError>>) -> Self {
        Self(To::Call(to))
    }

    /// Nobody waits.
    pub fn nobody() -> Self {
        Self(To::Nobody)
    }

    /// Takes the session that waits, if one does: the room then answers it by frames of its own.
    pub(super) fn into_session(mut self, outcome: impl FnOnce() -> Outcome) -> Option<Arc<SessionShared>> {
        match std::mem::replace(&mut self.0, To::Nobody) {
            To::Session(session) => Some(session),
            To::Call(to) => {
                let _ = to.send(Ok(outcome()));
                None
            }
            To::Nobody => None,
        }
    }

    /// Says that it failed. `refuse` gives a session's frame, if not the ordinary error.
    pub fn fail(mut self, error: CommandError, now: Timestamp, refuse: Option<Frame>) {
        match std::mem::replace(&mut self.0, To::Nobody) {
            To::Session(session) => match refuse {
                Some(frame) => session.push(&frame),
                None => session.error(&error, now),
            },
            To::Call(to) => {
                let _ = to.send(Err(error));
            }
            To::Nobody => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let To::Session(session) = &self.0 {
            let error = CommandError::Restarted;
            let text = error.to_string();
            let message = ServerMessage::Error {
                code: error.code(),
                message: &text,
                field: None,
            };
            session.send(&message, session.now());
        }
    }
}

/// A session's departure, left where the room will find it.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    pub(super) session: SessionId,
    pub(super) participant: ParticipantId,
}

/// How long after a failure a link is tried again.
pub(super) const LINK_RETRY: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
];
