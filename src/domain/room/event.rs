//! Durable facts. An event names people by participant ids only.

use super::told::{Means, Move, Planned};
use super::trip::Manifest;
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::notify::Occasion;
use crate::domain::time::Timestamp;

/// A place in a room's log: 1, 2, 3, … without gaps; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// From its number.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Whose doing an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody, by pseudonym; staff who never joined have one too.
    Participant(ParticipantId),
    /// The engine itself: a deadline, a link.
    System,
}

impl Actor {
    /// The participant, if it was one.
    pub fn participant(self) -> Option<ParticipantId> {
        match self {
            Self::Participant(id) => Some(id),
            Self::System => None,
        }
    }
}

/// As what somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserType {
    /// A registered or anonymous person who is not a rescuer.
    Citizen,
    /// A registered rescuer.
    Rescuer,
    /// A rescuer without an account.
    AnonRescuer,
    /// An operator.
    Admin,
}

impl UserType {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Citizen, Self::Rescuer, Self::AnonRescuer, Self::Admin];

    /// The wire's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Citizen => "CITIZEN",
            Self::Rescuer => "RESCUER",
            Self::AnonRescuer => "ANON_RESCUER",
            Self::Admin => "ADMIN",
        }
    }

    /// Parses the wire's name in any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "CITIZEN" => Self::Citizen,
            "RESCUER" => Self::Rescuer,
            "ANON_RESCUER" | "ANON" => Self::AnonRescuer,
            "ADMIN" | "DISPATCHER" => Self::Admin,
            _ => return None,
        })
    }
}

/// What a sister service says of a message that it passes on, beyond the words and whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// As what they said it; `None`: it is the service's own.
    pub sender: Option<UserType>,
    /// It tells of something, rather than being somebody's words.
    pub notice: bool,
    /// When it was written, by the service's clock.
    pub written_at: Timestamp,
}

/// Why somebody is no longer in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// They left.
    Left,
    /// Away for longer than the policy allows.
    Idle,
    /// Staff or the owner removed them.
    Removed,
}

impl LeaveReason {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Left, Self::Idle, Self::Removed];

    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "LEFT",
            Self::Idle => "IDLE",
            Self::Removed => "REMOVED",
        }
    }
}

/// What kind of room is created.
#[derive(Clone, Debug, PartialEq)]
pub enum Genesis {
    /// A person's circle of emergency contacts.
    Circle,
    /// An incident.
    Incident(Box<Report>),
    /// A trip.
    Trip(Box<Manifest>),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// The room exists, and is its actor's.
    Created(Genesis),
    /// Somebody came in.
    Joined {
        /// Who.
        who: ParticipantId,
        /// As what.
        user_type: UserType,
        /// As one of the owner's emergency contacts.
        as_contact: bool,
    },
    /// Somebody is no longer in.
    Left {
        /// Who.
        who: ParticipantId,
        /// Why.
        reason: LeaveReason,
    },
    /// A stranger asked the owner to be let in.
    JoinRequested {
        /// Who.
        who: ParticipantId,
    },
    /// The owner refused a stranger.
    JoinDenied {
        /// Whom.
        who: ParticipantId,
    },
    /// Somebody said something.
    MessageSent {
        /// Its id.
        id: MessageId,
        /// The words.
        content: String,
        /// What the service says of it that passed it on.
        relay: Option<Relay>,
    },
    /// The circle takes newcomers again.
    Activated,
    /// The circle takes no newcomers.
    Deactivated,
    /// Nobody has been in the circle for so long that it sleeps until its owner or a contact returns.
    Emptied,
    /// The circle's owner raised an SOS.
    EmergencyRaised {
        /// The incident.
        sos: RoomId,
    },
    /// That SOS is over.
    EmergencyEnded {
        /// The incident.
        sos: RoomId,
    },
    /// A contact's live connection was handed the alert.
    ContactAlerted {
        /// Whom.
        who: ParticipantId,
    },
    /// The incident moved along its states.
    StatusChanged {
        /// From where.
        from: Status,
        /// To where.
        to: Status,
        /// In whose words.
        note: Option<String>,
        /// Whoever moved it wrote the status in lower case: incident clients are told it as it was written.
        lower_case: bool,
    },
    /// The incident is of another type than it was taken for.
    TypeChanged {
        /// What it was taken for.
        from: IncidentType,
        /// What it is.
        to: IncidentType,
    },
    /// The trip is over.
    TripEnded,
    /// The emergency stands in a room that the incident was raised from.
    LinkRaised {
        /// That room.
        room: RoomId,
    },
    /// The emergency has ended in a room that the incident was raised from.
    LinkEnded {
        /// That room.
        room: RoomId,
    },
    /// Messages are to be sent: numbered on from those before.
    NotificationsPlanned {
        /// The step of the escalation, from 1.
        step: u16,
        /// What they are about.
        occasion: Occasion,
        /// The messages.
        planned: Vec<Planned>,
    },
    /// One of them has moved.
    NotificationMoved(Move),
    /// Somebody was reached over no channel.
    ContactUnreached {
        /// Who.
        who: ParticipantId,
    },
    /// Somebody knows of the incident and acts.
    Acknowledged {
        /// How they said so.
        means: Means,
    },
    /// Whoever raised it is made to end it: they are shown that it stands at `to`, and it goes on.
    Duress {
        /// Where it stands.
        from: Status,
        /// Where they were made to set it.
        to: Status,
        /// In their words.
        note: Option<String>,
    },
}

impl EventBody {
    /// Whether only staff see it: what is about messages to people who are not connected, and that somebody is under
    /// duress.
    pub const fn is_for_staff(&self) -> bool {
        matches!(
            self,
            Self::NotificationsPlanned { .. }
                | Self::NotificationMoved(_)
                | Self::ContactUnreached { .. }
                | Self::Duress { .. }
        )
    }

    /// The stored name of the kind of event.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Joined { .. } => "joined",
            Self::Left { .. } => "left",
            Self::JoinRequested { .. } => "join-requested",
            Self::JoinDenied { .. } => "join-denied",
            Self::MessageSent { .. } => "message",
            Self::Activated => "activated",
            Self::Deactivated => "deactivated",
            Self::Emptied => "emptied",
            Self::EmergencyRaised { .. } => "emergency-raised",
            Self::EmergencyEnded { .. } => "emergency-ended",
            Self::ContactAlerted { .. } => "contact-alerted",
            Self::StatusChanged { .. } => "status-changed",
            Self::TypeChanged { .. } => "type-changed",
            Self::TripEnded => "trip-ended",
            Self::LinkRaised { .. } => "link-raised",
            Self::LinkEnded { .. } => "link-ended",
            Self::NotificationsPlanned { .. } => "notifications-planned",
            Self::NotificationMoved(_) => "notification-changed",
            Self::ContactUnreached { .. } => "contact-unreached",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Duress { .. } => "duress",
        }
    }
}

/// A durable fact in one room.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The room.
    pub room: RoomId,
    /// Its place in the room's log.
    pub seq: Seq,
    /// When, never before the event ahead of it.
    pub at: Timestamp,
    /// Whose doing.
    pub actor: Actor,
    /// What.
    pub body: EventBody,
}

impl Event {
    /// What whoever is under duress is shown in its place.
    pub fn masked(&self) -> Option<Self> {
        let EventBody::Duress { from, to, note } = &self.body else {
            return None;
        };
        let body = EventBody::StatusChanged {
            from: *from,
            to: *to,
            note: note.clone(),
            lower_case: false,
        };
        Some(Self { body, ..self.clone() })
    }
}
