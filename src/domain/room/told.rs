//! Who was to be told of an incident, over which channels, and how each message stands.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, EventBody};
use crate::domain::ids::ParticipantId;
use crate::domain::incident::Status;
use crate::domain::notify::{Channel, DeliveryState, Occasion, Vendor};
use crate::domain::time::Timestamp;

/// The most messages of one incident: a plan that goes beyond is cut off.
pub const NOTIFICATIONS_MAX: usize = 2_000;

named! {
    /// By what somebody said that they know of it and act.
    Means {
        /// The link in a message.
        Link = "LINK",
        /// An answer to a text message.
        Reply = "REPLY",
        /// A connection to the engine.
        Socket = "SOCKET",
        /// A request to the engine.
        Request = "REQUEST",
        /// They moved the incident along.
        Status = "STATUS",
    }
}

/// A message that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// To whom; `None`: the operators.
    pub to: Option<ParticipantId>,
    /// Over which channel.
    pub channel: Channel,
}

/// A message moves from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Its number in the incident, from 1.
    pub id: u32,
    /// To where.
    pub to: DeliveryState,
    /// Whose doing or news.
    pub vendor: Option<Vendor>,
    /// What the vendor said, or a word for what failed: at most 64 characters.
    pub code: Option<String>,
    /// An attempt before may have got through.
    pub possibly_twice: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// In which step of the escalation it was planned, from 1.
    pub step: u16,
    /// What it is about.
    pub occasion: Occasion,
    /// To whom; `None`: the operators.
    pub to: Option<ParticipantId>,
    /// Over which channel.
    pub channel: Channel,
    /// How it stands.
    pub state: DeliveryState,
    /// Who carried it last.
    pub vendor: Option<Vendor>,
    /// What that one said.
    pub code: Option<String>,
    /// It may have got there more than once.
    pub possibly_twice: bool,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// When it moved last.
    pub moved_at: Timestamp,
}

/// Everybody who was to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The messages, by number.
    pub messages: BTreeMap<u32, Notification>,
    /// The last step of the escalation that was planned.
    pub step: u16,
    /// How many of them were planned without anybody having acknowledged the one before.
    pub round: u16,
    /// When somebody said that they act, since the last step.
    pub acknowledged_at: Option<Timestamp>,
    /// Those who said so since the last step.
    pub acknowledged_by: BTreeSet<ParticipantId>,
    /// When something happened in the incident that is not about messages.
    pub touched_at: Timestamp,
}

impl Notification {
    /// Whether it is to them; `None`: to the operators.
    pub fn who_is(&self, who: Option<ParticipantId>) -> bool {
        self.to == who
    }
}

impl Told {
    /// The number of the next message.
    pub fn next_id(&self) -> u32 {
        self.messages.last_key_value().map_or(1, |(id, _)| id + 1)
    }

    /// Messages of one person and step.
    fn of(&self, step: u16, to: Option<ParticipantId>) -> impl Iterator<Item = (u32, &Notification)> {
        self.messages
            .iter()
            .filter(move |(_, one)| one.step == step && one.to == to)
            .map(|(id, one)| (*id, one))
    }

    /// Those that nobody has begun to send, of one person and step, but for `but`.
    pub fn waiting_of(&self, but: u32) -> Vec<u32> {
        let Some(one) = self.messages.get(&but) else {
            return vec![];
        };
        self.of(one.step, one.to)
            .filter(|(id, other)| *id != but && other.state == DeliveryState::Pending)
            .map(|(id, _)| id)
            .collect()
    }

    /// What follows when `change` is news: itself, what it makes needless, and that somebody was not reached.
    pub(super) fn moves(&self, change: Move) -> Vec<EventBody> {
        let Some(one) = self.messages.get(&change.id) else {
            return vec![];
        };
        if !one.state.can_become(change.to) {
            return vec![];
        }
        // Its vendor gave it back: that is no news of one that has been given up since.
        if change.to == DeliveryState::FailedTemporary
            && one.state == DeliveryState::Accepted
            && change.vendor != one.vendor
        {
            return vec![];
        }
        let (id, to) = (change.id, change.to);
        let mut bodies = vec![EventBody::NotificationMoved(change)];
        if to.has_arrived() {
            let needless = self.waiting_of(id).into_iter();
            bodies.extend(needless.map(|id| ends(id, DeliveryState::Superseded)));
        }
        if let (true, Some(who)) = (to.is_failed(), one.to) {
            let all_failed = self
                .of(one.step, one.to)
                .all(|(other, one)| other == id || one.state.is_failed());
            if all_failed {
                bodies.push(EventBody::ContactUnreached { who });
            }
        }
        bodies
    }

    /// What becomes of messages that wait when it is over.
    pub(super) fn ends(&self) -> impl Iterator<Item = EventBody> {
        self.messages
            .iter()
            .filter(|(_, one)| {
                matches!(one.state, DeliveryState::Pending | DeliveryState::FailedTemporary)
                    && !one.occasion.is_end()
            })
            .map(|(id, _)| ends(*id, DeliveryState::Cancelled))
    }

    /// What becomes of messages to `who` that wait when they have said that they act.
    pub(super) fn acknowledged(&self, who: ParticipantId) -> impl Iterator<Item = EventBody> {
        self.messages
            .iter()
            .filter(move |(_, one)| {
                one.to == Some(who)
                    && matches!(one.state, DeliveryState::Pending | DeliveryState::FailedTemporary)
            })
            .map(|(id, _)| ends(*id, DeliveryState::Superseded))
    }

    /// Makes an event so.
    pub(super) fn apply(&mut self, event: &Event) {
        match &event.body {
            EventBody::NotificationsPlanned {
                step,
                occasion,
                planned,
            } => {
                self.step = *step;
                self.round = match self.acknowledged_at {
                    Some(_) => 1,
                    None => self.round.saturating_add(1),
                };
                (self.acknowledged_at, self.acknowledged_by) = (None, BTreeSet::new());
                for (id, one) in (self.next_id()..).zip(planned) {
                    let notification = Notification {
                        step: *step,
                        occasion: *occasion,
                        to: one.to,
                        channel: one.channel,
                        state: DeliveryState::Pending,
                        vendor: None,
                        code: None,
                        possibly_twice: false,
                        planned_at: event.at,
                        moved_at: event.at,
                    };
                    self.messages.insert(id, notification);
                }
            }
            EventBody::NotificationMoved(change) => {
                if let Some(one) = self.messages.get_mut(&change.id) {
                    one.state = change.to;
                    one.moved_at = event.at;
                    one.vendor = change.vendor.or(one.vendor);
                    one.code.clone_from(&change.code);
                    one.possibly_twice |= change.possibly_twice;
                }
            }
            EventBody::ContactUnreached { .. } => {}
            EventBody::Acknowledged { .. } => {
                self.acknowledged_at = Some(event.at);
                self.acknowledged_by.extend(event.actor.participant());
                self.touched_at = event.at;
            }
            EventBody::StatusChanged { to, .. } => {
                self.touched_at = event.at;
                if to.is_open() && *to != Status::Active {
                    self.acknowledged_at = Some(event.at);
                    self.acknowledged_by.extend(event.actor.participant());
                }
            }
            _ => self.touched_at = event.at,
        }
    }
}

fn ends(id: u32, to: DeliveryState) -> EventBody {
    EventBody::NotificationMoved(Move {
        id,
        to,
        vendor: None,
        code: None,
        possibly_twice: false,
    })
}
