//! What an event changes in the rows that lists are read from.
//!
//! Pure, and the one place that says it: an append and a rebuild go through the same function, so neither
//! can know better. It mirrors `RoomState::apply`; a property test holds the two together.

use std::collections::BTreeSet;

use smallvec::{SmallVec, smallvec};

use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::room::{Event, EventBody, Genesis, RoomKind, Seq, UserType};
use crate::domain::time::Timestamp;

/// One room, as its row tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomRow {
    /// What it is; `None` before it is created.
    pub kind: Option<RoomKind>,
    /// Whose it is.
    pub owner: Option<ParticipantId>,
    /// It takes newcomers.
    pub active: bool,
    /// It sleeps.
    pub asleep: bool,
    /// Its incident is open, or its trip goes on.
    pub open: bool,
    /// How many are in.
    pub members: u32,
    /// The log's head.
    pub head: Seq,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last event happened.
    pub last_at: Timestamp,
    /// Rooms that it was raised from and where its emergency has not ended.
    pub links: BTreeSet<RoomId>,
}

/// A change of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<'a> {
    /// The room's row is new; with a report, the incident's too.
    Created {
        /// Whose it is.
        owner: Option<ParticipantId>,
        /// What was said, when it is an incident.
        report: Option<&'a Report>,
        /// When.
        at: Timestamp,
    },
    /// Somebody is in.
    Entered {
        /// Who.
        who: ParticipantId,
        /// As what.
        user_type: UserType,
        /// Since when.
        at: Timestamp,
    },
    /// Somebody is out.
    Went {
        /// Who.
        who: ParticipantId,
        /// Since when.
        at: Timestamp,
    },
    /// Nobody is in any more.
    AllWent {
        /// Since when.
        at: Timestamp,
    },
    /// The incident is of another type.
    Retyped {
        /// Which.
        to: IncidentType,
    },
    /// The incident stands elsewhere.
    Moved {
        /// Where.
        to: Status,
        /// Since when.
        at: Timestamp,
        /// It was open and is no longer.
        ended: bool,
    },
}

impl RoomRow {
    /// Whether it can still change by itself or be joined, as `RoomState::is_live` says it.
    pub fn is_live(&self) -> bool {
        match self.kind {
            Some(RoomKind::Sos) => self.open || !self.links.is_empty(),
            Some(RoomKind::Circle) => !self.asleep,
            Some(RoomKind::Trip) => self.open,
            None => false,
        }
    }

    /// Takes the room's next event, save for `members`, which whoever writes the other rows counts; answers
    /// what changes in those.
    pub fn take<'a>(&mut self, event: &'a Event) -> SmallVec<[Change<'a>; 2]> {
        self.head = event.seq;
        self.last_at = event.at;
        let at = event.at;
        match &event.body {
            EventBody::Created(genesis) => {
                let mut changes = smallvec![self.create(event, genesis)];
                if let Genesis::Trip(manifest) = genesis {
                    changes.extend(manifest.people().map(|who| Change::Entered {
                        who,
                        user_type: UserType::Citizen,
                        at,
                    }));
                }
                changes
            }
            EventBody::Joined { who, user_type, .. } => {
                self.asleep = false;
                smallvec![Change::Entered {
                    who: *who,
                    user_type: *user_type,
                    at
                }]
            }
            EventBody::Left { who, .. } => smallvec![Change::Went { who: *who, at }],
            EventBody::Activated => {
                self.active = true;
                smallvec![]
            }
            EventBody::EmergencyRaised { .. } => {
                self.active = true;
                self.asleep = false;
                smallvec![]
            }
            EventBody::Deactivated => {
                self.active = false;
                smallvec![]
            }
            EventBody::Emptied => {
                self.asleep = true;
                smallvec![Change::AllWent { at }]
            }
            EventBody::StatusChanged { to, .. } if self.kind == Some(RoomKind::Sos) => {
                let ended = self.open && !to.is_open();
                self.open = to.is_open();
                let moved = Change::Moved { to: *to, at, ended };
                if ended {
                    smallvec![moved, Change::AllWent { at }]
                } else {
                    smallvec![moved]
                }
            }
            EventBody::TypeChanged { to, .. } => smallvec![Change::Retyped { to: *to }],
            EventBody::TripEnded => {
                self.open = false;
                self.active = false;
                smallvec![Change::AllWent { at }]
            }
            EventBody::LinkEnded { room } => {
                self.links.remove(room);
                smallvec![]
            }
            EventBody::StatusChanged { .. }
            | EventBody::JoinRequested { .. }
            | EventBody::JoinDenied { .. }
            | EventBody::MessageSent { .. }
            | EventBody::EmergencyEnded { .. }
            | EventBody::ContactAlerted { .. }
            | EventBody::LinkRaised { .. }
            | EventBody::NotificationsPlanned { .. }
            | EventBody::NotificationMoved(_)
            | EventBody::ContactUnreached { .. }
            | EventBody::Acknowledged { .. }
            | EventBody::Duress { .. } => smallvec![],
        }
    }

    fn create<'a>(&mut self, event: &Event, genesis: &'a Genesis) -> Change<'a> {
        self.created_at = event.at;
        self.owner = event.actor.participant();
        self.active = true;
        let report = match genesis {
            Genesis::Circle => {
                self.kind = Some(RoomKind::Circle);
                None
            }
            Genesis::Trip(manifest) => {
                self.kind = Some(RoomKind::Trip);
                self.owner = Some(manifest.driver());
                self.open = true;
                None
            }
            Genesis::Incident(report) => {
                self.kind = Some(RoomKind::Sos);
                self.open = true;
                self.links = report.raised_from.iter().cloned().collect();
                Some(report.as_ref())
            }
        };
        Change::Created {
            owner: self.owner,
            report,
            at: event.at,
        }
    }
}
