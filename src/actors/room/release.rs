//! What became durable is carried out, in order.

use actix::Context;

use super::actor::RoomActor;
use super::core::Decided;
use super::messages::{Act, By, Outcome};
use super::seating::{Arrival, Coming};
use super::steps::{Kind, Step};
use crate::actors::error::CommandError;
use crate::actors::session::{Entry, SessionShared};
use crate::delivery::Frame;
use crate::domain::ids::ParticipantId;
use crate::domain::room::{Command, Event, EventBody, Rejection};
use crate::domain::time::Timestamp;
use crate::wire::json::ServerMessage;

impl RoomActor {
    /// Carries out what is durable now, in order.
    pub(super) fn release(&mut self, steps: Vec<Step>, ctx: &mut Context<Self>) {
        for Step { kind, permit } in steps {
            match kind {
                Kind::Acted { act, result } => self.release_act(*act, result, ctx),
                Kind::Admitted {
                    people,
                    link,
                    together,
                    done,
                    events,
                } => {
                    if let Some(room) = link {
                        self.told_of_beginning(room, ctx);
                    }
                    for event in &events {
                        self.announce(event, None);
                    }
                    for admission in people {
                        let found = self.core.people.find(&admission.person.subject);
                        if let Some(who) = found.filter(|who| self.core.state.is_in(*who)) {
                            // A circle that comes together is not told of each other, in whatever order they sit.
                            let greet = !together && !events.iter().any(|event| joins(event, who));
                            for session in admission.sessions {
                                self.seat_automatically(&session, who, greet, ctx);
                            }
                        }
                    }
                    if let Some(done) = done {
                        let _ = done.send(());
                    }
                }
                Kind::LinkEnded(room, events) => {
                    self.linking.remove(&room);
                    for event in &events {
                        self.announce(event, None);
                    }
                }
                Kind::Look(look) => self.answer(look),
                Kind::Contacts(book) => self.contacts_changed(&book),
                Kind::Call => self.answer_call(),
                Kind::Concerns(subject) => self.concern(&subject),
            }
            drop(permit);
        }
        self.drive_links(ctx);
        self.arm(ctx);
    }

    fn release_act(&mut self, act: Act, result: Result<Decided, Rejection>, ctx: &mut Context<Self>) {
        let now = self.node.now();
        let decided = match result {
            Ok(decided) => decided,
            Err(rejection) => {
                self.reject(act, rejection, now);
                return;
            }
        };
        let origin = match &act.by {
            By::Person(_, session) => session.clone(),
            By::Behalf(..) | By::System | By::Raiser(_) => None,
        };
        let people = if matches!(act.command, Command::RaiseEmergency { .. }) {
            self.admissions()
        } else {
            vec![]
        };
        let participant = decided.participant;
        let seq = decided
            .events
            .last()
            .map_or(self.shared.announced(), |event| event.seq);
        let outcome = || Outcome {
            seq,
            participant,
            events: decided.events.clone(),
            people,
        };
        // Who waits is told first, then everybody; whoever brings a contact in goes on when they sit.
        let automatic = act.manner == super::Manner::Automatic;
        let (session, later) = if automatic {
            (None, Some((act.reply, outcome)))
        } else {
            (act.reply.into_session(outcome), None)
        };
        if let (Some(session), Some(who)) = (&session, participant) {
            self.answer_session(session, who, (&act.command, act.manner), &decided, now);
        }
        for event in &decided.events {
            self.announce(event, origin.as_ref());
        }
        // Somebody who was in already is told of by their presence, not by the log.
        let greet = participant.is_some_and(|who| !decided.events.iter().any(|event| joins(event, who)));
        if let (Some(session), Some(who)) = (session.as_ref().or(origin.as_ref()), participant) {
            match &act.command {
                Command::Create { .. } if session.enter(&self.id) == Entry::Seated => {
                    self.sit(session, who, None, Arrival { resumed: true, greet }, ctx);
                    self.call_contacts();
                    self.call_contacts_elsewhere(false);
                }
                Command::Join { .. } if automatic => {
                    self.seat_automatically(session, who, greet, ctx);
                }
                Command::Join { .. } => {
                    let coming = Coming {
                        greet,
                        manner: act.manner,
                    };
                    self.join_session(session, who, act.since, coming, ctx);
                }
                Command::RequestJoin => self.wait_for_owner(who, session),
                _ => {}
            }
        }
        for event in &decided.events {
            self.follow_up(event, ctx);
        }
        // Somebody who is back during an emergency belongs into the incident, too.
        if let (true, Command::Join { .. }, Some(who)) = (greet, &act.command, participant) {
            self.pass_on(who, ctx);
        }
        if let Some((reply, outcome)) = later {
            let _ = reply.into_session(outcome);
        }
    }

    pub(super) fn reject(&mut self, act: Act, rejection: Rejection, now: Timestamp) {
        self.node
            .observer
            .refused(CommandError::Rejected(rejection.clone()).code());
        let refuse = match (&act.command, &rejection) {
            _ if act.manner == super::Manner::Trip => Some(no_trip(&rejection).encode(now)),
            (Command::SendMessage { id, .. }, Rejection::SentBefore { seq }) => Some(
                ServerMessage::MessageAccepted {
                    room: &self.id,
                    seq: *seq,
                    id,
                }
                .encode(now),
            ),
            (Command::Join { .. } | Command::RequestJoin, Rejection::AlreadyIn) => None,
            (Command::Join { .. } | Command::RequestJoin, _) => {
                let message = rejection.to_string();
                Some(
                    ServerMessage::JoinDenied {
                        room: &self.id,
                        message: &message,
                    }
                    .encode(now),
                )
            }
            _ => None,
        };
        act.reply
            .fail(rejection.into(), now, refuse.map(|bytes| Frame::text(&bytes)));
    }

    fn answer_session(
        &self,
        session: &SessionShared,
        who: ParticipantId,
        (command, manner): (&Command, super::Manner),
        decided: &Decided,
        now: Timestamp,
    ) {
        let room = &self.id;
        let seq = decided.events.last().map(|event| event.seq);
        let message = match command {
            Command::Create { .. } => {
                let phones: Vec<_> = self
                    .core
                    .contacts
                    .emergency
                    .iter()
                    .map(|c| c.phone.clone())
                    .collect();
                let seq = seq.unwrap_or_default();
                let created = ServerMessage::RoomCreated {
                    room,
                    owner: who,
                    emergency_contacts: &phones,
                    participant: who,
                    seq,
                };
                session.send(&created, now);
                return;
            }
            Command::Leave => {
                // Before the answer: whoever hears it may join another room at once.
                session.exit(room);
                if manner == super::Manner::Trip {
                    ServerMessage::TripLeft { trip: room }
                } else {
                    ServerMessage::RoomLeft {
                        room,
                        participant: who,
                    }
                }
            }
            Command::RequestJoin => ServerMessage::JoinRequested { room },
            Command::SendMessage { id, .. } => ServerMessage::MessageAccepted {
                room,
                seq: seq.unwrap_or_default(),
                id,
            },
            Command::Activate => ServerMessage::RoomActivated { room, seq },
            Command::Deactivate => ServerMessage::RoomDeactivated { room, seq },
            _ => return,
        };
        session.send(&message, now);
    }
}

fn joins(event: &Event, who: ParticipantId) -> bool {
    matches!(event.body, EventBody::Joined { who: joined, .. } if joined == who)
}

/// Whoever asks for a trip is told which field was not to be had.
fn no_trip(rejection: &Rejection) -> ServerMessage<'static> {
    let (code, message) = match rejection {
        Rejection::NotFound | Rejection::MayNotJoin | Rejection::WrongKind => {
            ("TRIP_NOT_FOUND", "Trip not found")
        }
        Rejection::TripEnded => ("TRIP_ENDED", "Trip has ended"),
        Rejection::AlreadyIn => ("ALREADY_IN_ROOM", "Already on this trip"),
        Rejection::NotIn => ("NOT_IN_ROOM", "Not on this trip"),
        _ => ("FORBIDDEN", "Not authorized"),
    };
    ServerMessage::Error {
        code,
        message,
        field: Some("tripId"),
    }
}
