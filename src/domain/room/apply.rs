//! Makes an event so. The only place where a `RoomState` changes.

use std::time::Duration;

use super::event::{Actor, Event, EventBody, Genesis, LeaveReason, UserType};
use super::participant::Participant;
use super::state::{Incident, Link, REMEMBERED_EMERGENCIES, REMEMBERED_MESSAGES, RoomKind, RoomState};
use super::told::Told;
use super::trip::{Manifest, Trip};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::time::Timestamp;

impl RoomState {
    /// Applies the next event of the log.
    pub fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        self.last_at = event.at;
        if let Some(person) = event
            .actor
            .participant()
            .and_then(|who| self.participants.get_mut(&who))
        {
            person.last_event_at = event.at;
        }
        if let Some(incident) = &mut self.incident {
            incident.told.apply(event);
        }
        match &event.body {
            EventBody::Created(genesis) => self.create(event, genesis),
            EventBody::Joined {
                who,
                user_type,
                as_contact,
            } => {
                self.requests.remove(who);
                self.asleep = false;
                if let Some(trip) = &mut self.trip {
                    trip.awaited.remove(who);
                }
                if self.incident.is_some() && event.actor == Actor::System {
                    self.brought.insert(*who);
                } else {
                    self.brought.remove(who);
                }
                self.enter(event.at, *who, *user_type, *as_contact);
            }
            EventBody::Left { who, reason } => {
                if let Some(person) = self.participants.get_mut(who) {
                    person.left_at = Some(event.at);
                    person.admitted = *reason == LeaveReason::Idle;
                    person.removed = *reason == LeaveReason::Removed;
                }
                self.brought.remove(who);
                if let Some(trip) = &mut self.trip {
                    trip.awaited.remove(who);
                }
            }
            EventBody::JoinRequested { who } => {
                self.requests.insert(*who);
            }
            EventBody::JoinDenied { who } => {
                self.requests.remove(who);
            }
            EventBody::MessageSent { id, .. } => {
                self.messages += 1;
                if let Actor::Participant(who) = event.actor {
                    if self.recent.len() == REMEMBERED_MESSAGES {
                        self.recent.pop_front();
                    }
                    self.recent.push_back((who, id.clone(), event.seq));
                }
            }
            EventBody::Activated => self.active = true,
            EventBody::Deactivated => self.active = false,
            EventBody::Emptied => {
                self.asleep = true;
                self.everybody_leaves(event);
            }
            EventBody::EmergencyRaised { sos } => {
                // A circle has one owner, and so one emergency: another one took its place.
                if let Some(before) = self.emergency.replace(sos.clone()) {
                    if self.kind == Some(RoomKind::Trip) {
                        self.overtaken.push(before);
                    } else {
                        self.is_over(&before);
                    }
                }
                self.emergencies += 1;
                self.active = true;
                self.asleep = false;
            }
            EventBody::EmergencyEnded { sos } => {
                self.end_emergency(sos);
                self.is_over(sos);
            }
            EventBody::ContactAlerted { .. }
            | EventBody::NotificationsPlanned { .. }
            | EventBody::NotificationMoved(_)
            | EventBody::ContactUnreached { .. }
            | EventBody::Acknowledged { .. } => {}
            EventBody::Duress { .. } => {
                if let Some(shown) = event.masked() {
                    let mut mask = Box::new(self.clone());
                    mask.apply(&shown);
                    self.mask = Some(mask);
                }
            }
            EventBody::StatusChanged { to, .. } => {
                if let Some(incident) = &mut self.incident {
                    let was_open = incident.status.is_open();
                    incident.status = *to;
                    incident.status_at = event.at;
                    if was_open && !to.is_open() {
                        incident.ended_at = Some(event.at);
                        incident.ended_by = event.actor.participant();
                        self.everybody_leaves(event);
                    }
                }
            }
            EventBody::TypeChanged { to, .. } => {
                if let Some(incident) = &mut self.incident {
                    incident.report.kind = *to;
                }
            }
            EventBody::TripEnded => {
                if let Some(trip) = &mut self.trip {
                    trip.ended_at = Some(event.at);
                    trip.awaited.clear();
                }
                self.active = false;
                self.emergency = None;
                self.overtaken.clear();
                self.everybody_leaves(event);
            }
            EventBody::LinkRaised { room } => self.set_link(room, Link::Raised),
            EventBody::LinkEnded { room } => self.set_link(room, Link::Ended),
        }
    }

    fn is_over(&mut self, sos: &RoomId) {
        if self.over.len() == REMEMBERED_EMERGENCIES {
            self.over.pop_front();
        }
        self.over.push_back(sos.clone());
    }

    fn create(&mut self, event: &Event, genesis: &Genesis) {
        self.created_at = event.at;
        self.owner = event.actor.participant();
        self.active = true;
        match genesis {
            Genesis::Circle => self.kind = Some(RoomKind::Circle),
            Genesis::Trip(manifest) => self.begin_trip(event.at, manifest),
            Genesis::Incident(report) => {
                self.kind = Some(RoomKind::Sos);
                self.incident = Some(Incident {
                    status: crate::domain::incident::Status::Active,
                    status_at: event.at,
                    ended_at: None,
                    ended_by: None,
                    links: report
                        .raised_from
                        .iter()
                        .map(|room| (room.clone(), Link::Pending))
                        .collect(),
                    report: (**report).clone(),
                    told: Told {
                        touched_at: event.at,
                        ..Told::default()
                    },
                });
            }
        }
    }

    /// Everybody who is on a trip is in from its beginning.
    fn begin_trip(&mut self, at: Timestamp, manifest: &Manifest) {
        self.kind = Some(RoomKind::Trip);
        self.owner = Some(manifest.driver());
        self.trip = Some(Trip::begun(manifest));
        for who in manifest.people() {
            self.enter(at, who, UserType::Citizen, false);
        }
    }

    fn enter(&mut self, at: Timestamp, who: ParticipantId, user_type: UserType, as_contact: bool) {
        self.participants
            .entry(who)
            .and_modify(|person| person.rejoin(at, user_type, as_contact))
            .or_insert_with(|| Participant {
                user_type,
                as_contact,
                joined_at: at,
                left_at: None,
                earlier: Duration::ZERO,
                last_event_at: at,
                admitted: true,
                removed: false,
            });
    }

    fn end_emergency(&mut self, sos: &RoomId) {
        self.overtaken.retain(|other| other != sos);
        if self.kind != Some(RoomKind::Trip) || self.emergency.as_ref() == Some(sos) {
            self.emergency = self.overtaken.pop();
        }
    }

    fn everybody_leaves(&mut self, event: &Event) {
        for person in self.participants.values_mut().filter(|person| person.is_active()) {
            person.left_at = Some(event.at);
        }
        self.brought.clear();
        self.requests.clear();
    }

    fn set_link(&mut self, room: &crate::domain::ids::RoomId, link: Link) {
        if let Some(entry) = self
            .incident
            .as_mut()
            .and_then(|incident| incident.links.get_mut(room))
        {
            *entry = link;
        }
    }
}
