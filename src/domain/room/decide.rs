//! Says what happens. Pure: it reads the state, and answers with events or a reason.

use std::collections::HashSet;

use super::command::{Command, Proof, Rejection, Standing};
use super::deadline::Policy;
use super::event::{Actor, EventBody, Genesis, LeaveReason, Relay, UserType};
use super::participant::Participant;
use super::state::{Incident, Link, RoomKind, RoomState};
use super::told::{Means, Move, NOTIFICATIONS_MAX, Planned};
use super::trip::Trip;
use crate::domain::ids::{MessageId, ParticipantId};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::notify::{DeliveryState, Occasion, Vendor};

type Decision = Result<Vec<EventBody>, Rejection>;

/// What happens when `actor`, who stands to the room as `standing`, gives `command`.
///
/// No events means that things are as wanted already.
///
/// # Errors
/// Why it may not be; the state is as it was.
pub fn decide(
    state: &RoomState,
    policy: &Policy,
    actor: Actor,
    standing: Standing,
    command: Command,
) -> Decision {
    let official = matches!(standing, Standing::Staff | Standing::System);
    Case {
        // Whoever is shown that it is over is answered so, too.
        state: if official {
            state
        } else {
            state.seen_by(actor.participant())
        },
        policy,
        actor,
        standing,
    }
    .decide(command)
}

struct Case<'a> {
    state: &'a RoomState,
    policy: &'a Policy,
    actor: Actor,
    standing: Standing,
}

impl Case<'_> {
    fn decide(&self, command: Command) -> Decision {
        if !self.state.exists() {
            return match command {
                Command::Create { genesis, user_type } => self.create(genesis, user_type),
                _ => Err(Rejection::NotFound),
            };
        }
        match command {
            Command::Create { .. } => Err(Rejection::AlreadyExists),
            Command::Join { user_type } => self.join(user_type),
            Command::Leave => self.leave(),
            Command::Remove { who, reason } => self.remove(who, reason),
            Command::RequestJoin => self.request_join(),
            Command::ApproveJoin { who, user_type } => self.approve(who, user_type),
            Command::DenyJoin { who } => self.deny(who),
            Command::SendMessage { id, content } => {
                let who = self.member()?;
                self.in_open_room()?;
                self.say(who, id, content, None)
            }
            Command::PassOn { id, content, relay } => {
                self.by_system()?;
                self.incident()?;
                self.in_open_room()?;
                self.say(self.somebody()?, id, content, Some(relay))
            }
            Command::Activate => self.set_active(true),
            Command::Deactivate => self.set_active(false),
            Command::FallAsleep => self.fall_asleep(),
            Command::RaiseEmergency { sos } => self.raise(sos),
            Command::EndEmergency { sos } => {
                self.by_system()?;
                Ok(if self.state.has_emergency(&sos) {
                    vec![EventBody::EmergencyEnded { sos }]
                } else {
                    vec![]
                })
            }
            Command::NoteAlerted { who } => {
                self.by_system()?;
                self.in_open_trip()?;
                let known = who
                    .into_iter()
                    .filter(|who| self.state.participants.contains_key(who));
                Ok(known.map(|who| EventBody::ContactAlerted { who }).collect())
            }
            Command::SetStatus {
                to,
                expected,
                note,
                lower_case,
                proof,
            } => {
                let from = self.set_status(to, expected)?;
                if self.ends_own(to) {
                    match proof {
                        Proof::Duress => return Ok(vec![EventBody::Duress { from, to, note }]),
                        Proof::Nothing if self.incident()?.report.guarded => {
                            return Err(Rejection::PinRequired);
                        }
                        Proof::Nothing | Proof::Pin => {}
                    }
                }
                let mut events = vec![EventBody::StatusChanged {
                    from,
                    to,
                    note,
                    lower_case,
                }];
                if !to.is_open() {
                    events.extend(self.incident()?.told.ends());
                }
                Ok(events)
            }
            Command::SetType { to } => self.set_type(to),
            Command::EndTrip => self.end_trip(),
            Command::NoteLinkRaised { room } => {
                let open = self.state.is_open();
                self.note_link(
                    &room,
                    open,
                    Link::Pending,
                    EventBody::LinkRaised { room: room.clone() },
                )
            }
            Command::NoteLinkEnded { room } => self.note_link(
                &room,
                true,
                Link::Ended,
                EventBody::LinkEnded { room: room.clone() },
            ),
            Command::PlanNotifications {
                step,
                occasion,
                planned,
                unreached,
                begun,
            } => self.plan((step, occasion), planned, unreached, begun),
            Command::MoveNotification(change) => self.move_message(change),
            Command::Acknowledge { means } => self.acknowledge(means),
        }
    }

    /// A step that was planned before is not planned again.
    fn plan(
        &self,
        (step, occasion): (u16, Occasion),
        mut planned: Vec<Planned>,
        unreached: Vec<ParticipantId>,
        begun: Vec<(usize, Vendor)>,
    ) -> Decision {
        self.by_system()?;
        let told = &self.incident()?.told;
        if self.state.is_open() == occasion.is_end() {
            return Err(Rejection::Closed);
        }
        if step != told.step + 1 {
            return Ok(vec![]);
        }
        planned.truncate(NOTIFICATIONS_MAX.saturating_sub(told.messages.len()));
        let (first, count) = (told.next_id(), planned.len());
        let mut events = vec![EventBody::NotificationsPlanned {
            step,
            occasion,
            planned,
        }];
        let mut known = HashSet::new();
        let begun = begun
            .into_iter()
            .filter(|(place, _)| *place < count && known.insert(*place));
        let begins = begun.filter_map(|(place, vendor)| {
            Some(EventBody::NotificationMoved(Move {
                id: first.checked_add(u32::try_from(place).ok()?)?,
                to: DeliveryState::Sending,
                vendor: Some(vendor),
                code: None,
                possibly_twice: false,
            }))
        });
        events.extend(begins);
        let unreached = unreached.into_iter().take(NOTIFICATIONS_MAX);
        events.extend(unreached.map(|who| EventBody::ContactUnreached { who }));
        Ok(events)
    }

    /// What is no news changes nothing.
    fn move_message(&self, change: Move) -> Decision {
        self.by_system()?;
        Ok(self.incident()?.told.moves(change))
    }

    /// Anybody may say so who is in or whom the owner called; whoever raised it may not.
    fn acknowledge(&self, means: Means) -> Decision {
        let told = &self.incident()?.told;
        let who = self.somebody()?;
        self.in_open_room()?;
        let staff = matches!(self.standing, Standing::Staff | Standing::System);
        if self.is_owner() || !(staff || self.state.is_in(who)) {
            return Err(Rejection::Forbidden);
        }
        if told.acknowledged_by.contains(&who) {
            return Ok(vec![]);
        }
        let mut events = vec![EventBody::Acknowledged { means }];
        events.extend(told.acknowledged(who));
        Ok(events)
    }

    fn create(&self, genesis: Genesis, user_type: UserType) -> Decision {
        // Only whoever runs the trips knows who is on one.
        if matches!(genesis, Genesis::Trip(_)) {
            self.by_system()?;
            return Ok(vec![EventBody::Created(genesis)]);
        }
        let mut events = vec![EventBody::Created(genesis)];
        if let Actor::Participant(who) = self.actor {
            events.push(EventBody::Joined {
                who,
                user_type,
                as_contact: false,
            });
        }
        Ok(events)
    }

    fn join(&self, user_type: UserType) -> Decision {
        let who = self.somebody()?;
        self.in_open_room()?;
        // A service that says again that they are in says nothing new.
        let told_again = self.standing == Standing::System;
        if self.state.is_in(who) && (told_again || !self.state.is_awaited(who)) {
            return Err(Rejection::AlreadyIn);
        }
        self.may_claim(who, user_type)?;
        let known = self.state.participants.get(&who);
        // Somebody who came as a contact comes back only as long as they are one.
        let circle = self.state.kind == Some(RoomKind::Circle);
        let admitted = known.is_some_and(|person| person.admitted && !(circle && person.as_contact));
        let removed = known.is_some_and(|person| person.removed);
        let owner = self.is_owner();
        let belongs = owner || self.standing == Standing::Contact;
        match self.state.kind {
            Some(RoomKind::Circle) => {
                if self.state.asleep && !belongs {
                    return Err(Rejection::NotFound);
                }
                if !self.state.active && !owner && !known.is_some_and(|person| person.admitted) {
                    return Err(Rejection::NotActive);
                }
                if !belongs && !admitted {
                    return Err(Rejection::MayNotJoin);
                }
            }
            Some(RoomKind::Trip) => {
                let names = |trip: &Trip| trip.manifest.names(who);
                if removed || !self.state.trip.as_ref().is_some_and(names) {
                    return Err(Rejection::MayNotJoin);
                }
                return Ok(vec![EventBody::Joined {
                    who,
                    user_type,
                    as_contact: false,
                }]);
            }
            _ => {
                let sent = matches!(
                    self.standing,
                    Standing::Staff | Standing::Mission | Standing::System
                );
                let called = owner || admitted || sent;
                // Who was put out comes back neither as a stranger nor through a circle.
                if !called && (removed || !(belongs || self.is_public())) {
                    return Err(Rejection::MayNotJoin);
                }
            }
        }
        self.admit(who, user_type, self.standing == Standing::Contact)
    }

    fn admit(&self, who: ParticipantId, user_type: UserType, as_contact: bool) -> Decision {
        let limit = self.policy.members_max;
        let newcomer = !self.state.is_in(who);
        if newcomer
            && limit > 0
            && self.state.active_participants().take(limit).count() >= limit
            && !self.is_owner()
        {
            return Err(Rejection::Full);
        }
        Ok(vec![EventBody::Joined {
            who,
            user_type,
            as_contact,
        }])
    }

    fn say(&self, who: ParticipantId, id: MessageId, content: String, relay: Option<Relay>) -> Decision {
        match self.state.sent_before(who, &id) {
            Some(seq) => Err(Rejection::SentBefore { seq }),
            None => Ok(vec![EventBody::MessageSent { id, content, relay }]),
        }
    }

    fn leave(&self) -> Decision {
        let who = self.member()?;
        Ok(vec![EventBody::Left {
            who,
            reason: LeaveReason::Left,
        }])
    }

    fn remove(&self, who: ParticipantId, reason: LeaveReason) -> Decision {
        // A driver is no host: who is on a trip is not theirs to say.
        let own = self.is_owner() && self.state.kind != Some(RoomKind::Trip);
        let allowed = own || matches!(self.standing, Standing::Staff | Standing::System);
        if !allowed {
            return Err(Rejection::Forbidden);
        }
        if !self.state.is_in(who) {
            return Err(Rejection::NotIn);
        }
        Ok(vec![EventBody::Left { who, reason }])
    }

    fn request_join(&self) -> Decision {
        let who = self.somebody()?;
        if self.state.kind != Some(RoomKind::Circle) {
            return Err(Rejection::WrongKind);
        }
        if self.state.is_in(who) {
            return Err(Rejection::AlreadyIn);
        }
        if self.state.asleep {
            return Err(Rejection::NotFound);
        }
        if !self.state.active {
            return Err(Rejection::NotActive);
        }
        if self.state.requests.contains(&who) {
            return Ok(vec![]);
        }
        if self.state.requests.len() >= self.policy.requests_max {
            return Err(Rejection::TooManyRequests);
        }
        Ok(vec![EventBody::JoinRequested { who }])
    }

    fn approve(&self, who: ParticipantId, user_type: UserType) -> Decision {
        self.by_owner()?;
        if !self.state.requests.contains(&who) {
            return Err(Rejection::NoSuchRequest);
        }
        if !self.state.active {
            return Err(Rejection::NotActive);
        }
        self.admit(who, user_type, false)
    }

    fn deny(&self, who: ParticipantId) -> Decision {
        self.by_owner()?;
        if !self.state.requests.contains(&who) {
            return Err(Rejection::NoSuchRequest);
        }
        Ok(vec![EventBody::JoinDenied { who }])
    }

    fn set_active(&self, active: bool) -> Decision {
        if self.state.kind != Some(RoomKind::Circle) {
            return Err(Rejection::WrongKind);
        }
        self.by_owner()?;
        Ok(match (self.state.active == active, active) {
            (true, _) => vec![],
            (false, true) => vec![EventBody::Activated],
            (false, false) => vec![EventBody::Deactivated],
        })
    }

    fn fall_asleep(&self) -> Decision {
        self.by_system()?;
        let circle = self.state.kind == Some(RoomKind::Circle);
        let idle = !self.state.asleep && self.state.emergency.is_none();
        Ok(if circle && idle {
            vec![EventBody::Emptied]
        } else {
            vec![]
        })
    }

    fn raise(&self, sos: crate::domain::ids::RoomId) -> Decision {
        self.by_system()?;
        if !matches!(self.state.kind, Some(RoomKind::Circle | RoomKind::Trip)) {
            return Err(Rejection::WrongKind);
        }
        self.in_open_trip()?;
        // Two nodes may tell the room; one of them hears late that it is over.
        let known = self.state.has_emergency(&sos) || self.state.over.contains(&sos);
        Ok(if known {
            vec![]
        } else {
            vec![EventBody::EmergencyRaised { sos }]
        })
    }

    /// Whether somebody ends what they have raised themselves, and could be made to.
    fn ends_own(&self, to: Status) -> bool {
        let official = matches!(self.standing, Standing::Staff | Standing::System);
        self.is_owner() && !official && !to.is_open()
    }

    /// From where it goes `to` there, if it may.
    fn set_status(&self, to: Status, expected: Option<Status>) -> Result<Status, Rejection> {
        let incident = self.incident()?;
        let from = incident.status;
        if let Some(expected) = expected.filter(|expected| *expected != from) {
            return Err(Rejection::StatusMismatch {
                expected,
                actual: from,
            });
        }
        if !self.may_set(to) {
            return Err(Rejection::Forbidden);
        }
        if !from.can_become(to) {
            return Err(Rejection::InvalidTransition { from, to });
        }
        Ok(from)
    }

    /// What it is judged to be is for those who send help to say, as long as it is open.
    fn set_type(&self, to: IncidentType) -> Decision {
        let from = self.incident()?.report.kind;
        if !matches!(self.standing, Standing::Staff | Standing::System) {
            return Err(Rejection::Forbidden);
        }
        self.in_open_room()?;
        Ok(if from == to {
            vec![]
        } else {
            vec![EventBody::TypeChanged { from, to }]
        })
    }

    /// `CLOSED` is staff's, `CANCELLED` the creator's or staff's. Rescuers with an account, or sent by a mission,
    /// move it along from inside; a stranger who came to help does not: anybody could claim to be one.
    fn may_set(&self, to: Status) -> bool {
        let staff = matches!(self.standing, Standing::Staff | Standing::System);
        let rescuer = self
            .actor
            .participant()
            .and_then(|who| self.state.participants.get(&who))
            .filter(|person: &&Participant| {
                let sent = person.user_type == UserType::Rescuer || self.standing == Standing::Mission;
                person.is_active() && sent
            });
        match to {
            Status::Closed => staff,
            Status::Cancelled => staff || self.is_owner(),
            Status::Resolved => {
                staff
                    || self.is_owner()
                    || rescuer.is_some_and(|person| person.user_type == UserType::Rescuer)
            }
            _ => staff || self.is_owner() || rescuer.is_some(),
        }
    }

    fn note_link(
        &self,
        room: &crate::domain::ids::RoomId,
        allowed: bool,
        reference: Link,
        event: EventBody,
    ) -> Decision {
        self.by_system()?;
        let link = self.incident()?.links.get(room).ok_or(Rejection::NotFound)?;
        let due = if reference == Link::Pending {
            *link == Link::Pending
        } else {
            *link != Link::Ended
        };
        Ok(if allowed && due { vec![event] } else { vec![] })
    }

    fn may_claim(&self, who: ParticipantId, user_type: UserType) -> Result<(), Rejection> {
        let staff = matches!(self.standing, Standing::Staff | Standing::System);
        let allowed = match user_type {
            UserType::Citizen | UserType::AnonRescuer => true,
            UserType::Rescuer => staff || matches!(self.standing, Standing::Rescuer | Standing::Contact),
            UserType::Admin => staff,
        };
        let before = self
            .state
            .participants
            .get(&who)
            .is_some_and(|person| person.user_type == user_type);
        if allowed || before {
            Ok(())
        } else {
            Err(Rejection::UserTypeForbidden(user_type))
        }
    }

    fn incident(&self) -> Result<&Incident, Rejection> {
        self.state.incident.as_ref().ok_or(Rejection::WrongKind)
    }

    fn is_public(&self) -> bool {
        self.state
            .incident
            .as_ref()
            .is_some_and(|incident| incident.report.is_public())
    }

    fn in_open_room(&self) -> Result<(), Rejection> {
        let over = self.state.kind == Some(RoomKind::Sos) && !self.state.is_open();
        if over {
            return Err(Rejection::Closed);
        }
        self.in_open_trip()
    }

    /// Nothing happens any more in a trip that is over.
    fn in_open_trip(&self) -> Result<(), Rejection> {
        match &self.state.trip {
            Some(trip) if !trip.is_open() => Err(Rejection::TripEnded),
            _ => Ok(()),
        }
    }

    fn end_trip(&self) -> Decision {
        self.by_system()?;
        let trip = self.state.trip.as_ref().ok_or(Rejection::WrongKind)?;
        Ok(if trip.is_open() {
            vec![EventBody::TripEnded]
        } else {
            vec![]
        })
    }

    fn somebody(&self) -> Result<ParticipantId, Rejection> {
        self.actor.participant().ok_or(Rejection::Forbidden)
    }

    fn member(&self) -> Result<ParticipantId, Rejection> {
        let who = self.somebody()?;
        if self.state.is_in(who) {
            Ok(who)
        } else {
            Err(Rejection::NotIn)
        }
    }

    fn is_owner(&self) -> bool {
        self.state.owner.is_some() && self.actor.participant() == self.state.owner
    }

    fn by_owner(&self) -> Result<(), Rejection> {
        if self.is_owner() {
            Ok(())
        } else {
            Err(Rejection::Forbidden)
        }
    }

    fn by_system(&self) -> Result<(), Rejection> {
        if self.standing == Standing::System {
            Ok(())
        } else {
            Err(Rejection::Forbidden)
        }
    }
}
