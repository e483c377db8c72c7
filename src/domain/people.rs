//! Who somebody is: identity, kept in records beside the log and never in it.

use super::ids::{DeviceId, InvalidId, ParticipantId, RoomId, ServiceName, UserId};
use super::phone::PhoneNumber;
use super::scopes::{Scope, Scopes};

/// What somebody may do, from their credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A registered person.
    Citizen,
    /// A registered rescuer.
    Rescuer,
    /// A device without an account, or a rescuer whose token is bound to one incident.
    Anon,
    /// An operator.
    Dispatcher,
    /// An operator who may see everything.
    Admin,
}

impl Role {
    /// Every value.
    pub const ALL: &'static [Self] = &[
        Self::Citizen,
        Self::Rescuer,
        Self::Anon,
        Self::Dispatcher,
        Self::Admin,
    ];

    /// Parses a role in any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "CITIZEN" | "USER" | "PASSENGER" | "DRIVER" => Self::Citizen,
            "RESCUER" => Self::Rescuer,
            "ANON" | "ANON_RESCUER" | "ANONYMOUS" => Self::Anon,
            "DISPATCHER" => Self::Dispatcher,
            "ADMIN" => Self::Admin,
            _ => return None,
        })
    }

    /// The wire's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Citizen => "CITIZEN",
            Self::Rescuer => "RESCUER",
            Self::Anon => "ANON",
            Self::Dispatcher => "DISPATCHER",
            Self::Admin => "ADMIN",
        }
    }

    /// Operators: they see and may enter every incident.
    pub fn is_staff(self) -> bool {
        matches!(self, Self::Dispatcher | Self::Admin)
    }
}

/// The durable key of one person or device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A registered user.
    User(UserId),
    /// A device without an account.
    Device(DeviceId),
    /// A sister service.
    Service(ServiceName),
    /// Somebody of whom no more is known than a number on somebody's list of emergency contacts.
    Phone(PhoneNumber),
}

/// Somebody whom a sister service names: by who they are, or by who they are in the incident that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By who they are; they need not ever have been in it.
    Subject(Subject),
    /// By their pseudonym there: devices have no other name that may be told.
    Participant(ParticipantId),
}

impl Named {
    /// Reads a participant's id (`p-` and 16 hex digits), or else a user's as tokens have it.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        match text.parse() {
            Ok(participant) => Ok(Self::Participant(participant)),
            Err(_) => UserId::new(text).map(Subject::User).map(Self::Subject),
        }
    }
}

/// Everything a credential says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub subject: Subject,
    /// As what.
    pub role: Role,
    /// What others may call them.
    pub name: Option<String>,
    /// Vouched for by the credential: only such a number opens rooms.
    pub phone: Option<PhoneNumber>,
    /// Shown to the bearer only.
    pub email: Option<String>,
    /// The only incident that the bearer may act in.
    pub mission: Option<RoomId>,
    /// The device that the credential names beside the user.
    pub device: Option<DeviceId>,
    /// What the bearer may do at most, where the credential says so.
    pub scopes: Scopes,
}

impl Identity {
    /// An anonymous device.
    pub fn device(id: DeviceId) -> Self {
        Self {
            subject: Subject::Device(id),
            role: Role::Anon,
            name: None,
            phone: None,
            email: None,
            mission: None,
            device: None,
            scopes: Scopes::ALL,
        }
    }

    /// A sister service: it sees and acts as an operator does, as far as its key's scopes go.
    pub fn service(name: ServiceName, scopes: Scopes) -> Self {
        Self {
            name: Some(name.as_str().to_owned()),
            subject: Subject::Service(name),
            role: Role::Admin,
            phone: None,
            email: None,
            mission: None,
            device: None,
            scopes,
        }
    }

    /// The device that they speak as, or that their credential names.
    pub fn own_device(&self) -> Option<DeviceId> {
        match &self.subject {
            Subject::Device(id) => Some(*id),
            Subject::User(_) | Subject::Service(_) | Subject::Phone(_) => self.device,
        }
    }

    /// Everybody they are: whose data is theirs.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        let device = self.own_device().map(Subject::Device);
        let device = device.filter(|device| *device != self.subject);
        std::iter::once(self.subject.clone()).chain(device)
    }

    /// Whether their credential lets them do such a thing at all.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }

    /// Goes on only when their credential lets them do such a thing.
    ///
    /// # Errors
    /// With the scope that it lacks.
    pub fn allows(&self, scope: Scope) -> Result<(), Scope> {
        if self.may(scope) { Ok(()) } else { Err(scope) }
    }

    /// Whether they may act in `room` as far as their credential goes.
    pub fn may_enter(&self, room: &RoomId) -> bool {
        self.mission.as_ref().is_none_or(|mission| mission == room)
    }
}

/// The erasable record that an event's participant id points to, one for each person and room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The pseudonym in the log.
    pub participant: ParticipantId,
    /// Whom it stands for.
    pub subject: Subject,
    /// What others in the room see.
    pub name: Option<String>,
    /// Shown to owner and contacts of a circle.
    pub phone: Option<PhoneNumber>,
    /// As what they came.
    pub role: Role,
}

impl Person {
    /// The record of `identity` in one room.
    pub fn new(participant: ParticipantId, identity: &Identity) -> Self {
        Self {
            participant,
            subject: identity.subject.clone(),
            name: identity.name.clone(),
            phone: identity.phone.clone(),
            role: identity.role,
        }
    }
}

/// Somebody on an owner's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// What the owner calls them.
    pub name: String,
    /// How to reach and recognise them.
    pub phone: PhoneNumber,
}

/// A person's lists: who comes when they call, and for whom they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactBook {
    /// They may always join the owner's circles.
    pub emergency: Vec<Contact>,
    /// People who look to the owner.
    pub dependent: Vec<Contact>,
}

impl ContactBook {
    /// Whether `phone` belongs to an emergency contact.
    pub fn lists(&self, phone: &PhoneNumber) -> bool {
        self.emergency.iter().any(|contact| contact.phone == *phone)
    }
}
