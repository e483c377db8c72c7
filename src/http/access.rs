//! The authorisation matrix's words: who asks, and what a route needs of them.
//!
//! Each row of the route table names one [`Access`]. The routes refuse by it whom a route is never for; the
//! rest, which hangs on the incident, the engine decides, and a test holds the engine to the same table.

use crate::domain::people::{Identity, Role, Subject};

/// Who asks, as far as their credential tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody in particular: no credential.
    Visitor,
    /// A device without an account.
    Device,
    /// A rescuer whose token is bound to one incident.
    Mission,
    /// A registered person.
    Citizen,
    /// A registered rescuer.
    Rescuer,
    /// An operator.
    Dispatcher,
    /// An operator who may see everything.
    Admin,
    /// A sister service.
    Service,
}

impl Who {
    /// Everybody, in the order of an [`Access`]'s columns.
    pub const ALL: [Self; 8] = [
        Self::Visitor,
        Self::Device,
        Self::Mission,
        Self::Citizen,
        Self::Rescuer,
        Self::Dispatcher,
        Self::Admin,
        Self::Service,
    ];

    /// Whose credential it is.
    pub fn of(identity: Option<&Identity>) -> Self {
        let Some(identity) = identity else {
            return Self::Visitor;
        };
        if matches!(identity.subject, Subject::Service(_)) {
            return Self::Service;
        }
        if identity.mission.is_some() {
            return Self::Mission;
        }
        match identity.role {
            Role::Anon => Self::Device,
            Role::Citizen => Self::Citizen,
            Role::Rescuer => Self::Rescuer,
            Role::Dispatcher => Self::Dispatcher,
            Role::Admin => Self::Admin,
        }
    }

    /// As documents call them.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Device => "device",
            Self::Mission => "mission",
            Self::Citizen => "citizen",
            Self::Rescuer => "rescuer",
            Self::Dispatcher => "dispatcher",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }
}

/// What a route needs of somebody. Where it is not met, the answer is 401 to a visitor, 404 to whom the
/// incident is not shown, and 403 to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is always theirs. A list shows each what they may see.
    Nothing,
    /// The incident is shown to them: it is public, or they have part in it.
    Sight,
    /// They are or were in the incident and were not put out, or were sent to it.
    Part,
    /// They are in the incident now.
    Place,
    /// They are in the incident now and did not raise it.
    Aid,
    /// They did not raise the incident.
    NotOwn,
    /// They raised the incident.
    Own,
    /// It is never theirs.
    Never,
}

/// One row's rights.
#[derive(Debug, PartialEq, Eq)]
pub struct Access {
    /// Its name in documents.
    pub name: &'static str,
    needs: [Needs; 8],
}

impl Access {
    const fn new(name: &'static str, needs: [Needs; 8]) -> Self {
        Self { name, needs }
    }

    /// What it needs of `who`.
    pub fn needs(&self, who: Who) -> Needs {
        self.needs[who as usize]
    }

    /// Everybody, with or without a credential.
    pub const EVERYBODY: Self = {
        use Needs::Nothing;
        Self::new("everybody", [Nothing; 8])
    };

    /// To look at an incident: whoever it is shown to.
    pub const LOOK: Self = {
        use Needs::{Nothing, Sight};
        //          visitor device mission citizen rescuer dispatcher admin  service
        Self::new(
            "look",
            [Sight, Sight, Sight, Sight, Sight, Nothing, Nothing, Nothing],
        )
    };

    /// To read what only those in an incident see: its log, its messages, who was in it.
    pub const READ: Self = {
        use Needs::{Never, Nothing, Part};
        Self::new("read", [Never, Part, Part, Part, Part, Nothing, Nothing, Nothing])
    };

    /// To see where people are in an incident: those who are in it now, and operators.
    pub const TRACK: Self = {
        use Needs::{Never, Nothing, Place};
        Self::new(
            "track",
            [Never, Place, Place, Place, Place, Nothing, Nothing, Nothing],
        )
    };

    /// To say that one knows of an incident and acts: those who are in it, and operators. Who raised it is told that it is
    /// not theirs to say.
    pub const ANSWER: Self = {
        use Needs::{Aid, Never, NotOwn, Nothing};
        Self::new("answer", [Never, Aid, Aid, Aid, Aid, NotOwn, NotOwn, Nothing])
    };

    /// To act in an incident as one of those in it. Operators join first, like everybody.
    pub const ACT: Self = {
        use Needs::{Never, Place};
        Self::new("act", [Never, Place, Place, Place, Place, Place, Place, Place])
    };

    /// To report somebody of an incident: whoever is or was in it. Operators block.
    pub const REPORT: Self = {
        use Needs::{Never, Part};
        Self::new("report", [Never, Part, Part, Part, Part, Part, Part, Part])
    };

    /// To come into an incident. A mission's bearer was sent.
    pub const JOIN: Self = {
        use Needs::{Never, Nothing, Part, Sight};
        Self::new(
            "join",
            [Never, Sight, Part, Sight, Sight, Nothing, Nothing, Nothing],
        )
    };

    /// To raise an incident. A mission's bearer acts in theirs only.
    pub const RAISE: Self = {
        use Needs::{Never, Nothing};
        Self::new(
            "raise",
            [Never, Nothing, Never, Nothing, Nothing, Nothing, Nothing, Nothing],
        )
    };

    /// To move an incident along its states: who raised it, rescuers in it, operators.
    pub const STEER: Self = {
        use Needs::{Never, Nothing, Own, Place};
        Self::new(
            "steer",
            [Never, Own, Place, Own, Place, Nothing, Nothing, Nothing],
        )
    };

    /// To take an SOS back: who raised it, operators.
    pub const CANCEL: Self = {
        use Needs::{Never, Nothing, Own};
        Self::new("cancel", [Never, Own, Never, Own, Own, Nothing, Nothing, Nothing])
    };

    /// To put somebody else out: who raised the incident, operators. Oneself goes through the same route.
    pub const REMOVE: Self = {
        use Needs::{Never, Nothing, Own};
        Self::new("remove", [Never, Own, Own, Own, Own, Nothing, Nothing, Nothing])
    };

    /// Operators and sister services.
    pub const STAFF: Self = {
        use Needs::{Never, Nothing};
        Self::new(
            "staff",
            [Never, Never, Never, Never, Never, Nothing, Nothing, Nothing],
        )
    };

    /// Sister services.
    pub const SERVICE: Self = {
        use Needs::{Never, Nothing};
        Self::new(
            "service",
            [Never, Never, Never, Never, Never, Never, Never, Nothing],
        )
    };

    /// Whoever has a credential, for what is their own.
    pub const ONESELF: Self = {
        use Needs::{Never, Nothing};
        Self::new(
            "oneself",
            [
                Never, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing,
            ],
        )
    };

    /// Whoever has a credential that is not bound to one incident, for all that is kept of them.
    pub const OWN_DATA: Self = {
        use Needs::{Never, Nothing};
        Self::new(
            "own data",
            [Never, Nothing, Never, Nothing, Nothing, Nothing, Nothing, Never],
        )
    };

    /// Registered users: a device can be lost with its id.
    pub const ACCOUNT: Self = {
        use Needs::{Never, Nothing};
        Self::new(
            "account",
            [Never, Never, Never, Nothing, Nothing, Nothing, Nothing, Never],
        )
    };
}
