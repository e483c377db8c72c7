//! What a client of the JSON dialect says, and where it goes.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::actor::SessionActor;
use crate::actors::batcher::Upload;
use crate::actors::clock::random;
use crate::actors::engine::raise;
use crate::actors::error::CommandError;
use crate::actors::room::{Act, By, Look, Manner, Reply, Work};
use crate::delivery::{Frame, SignalKey};
use crate::domain::geo::Fix;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::people::ContactBook;
use crate::domain::pin::PinEntry;
use crate::domain::room::{Command, Genesis, Means, Rejection, Seq, UserType};
use crate::domain::scopes::Scope;
use crate::store::Membership;
use crate::wire::json::{ClientMessage, Reading, ServerMessage, encode_event, parse};

/// The longest message, in characters (protocol page, section 3).
const CONTENT_MAX_CHARS: usize = 2000;

/// Names the confirmation of one's own positions among the signals of a session. Rooms count from 1.
const CONFIRMATION: SignalKey = SignalKey { room: 0, subject: 0 };

type Ctx = Context<SessionActor>;

impl SessionActor {
    pub(super) fn hear(&mut self, text: &str, ctx: &mut Ctx) {
        let now = self.node.now();
        let reading = Reading {
            now,
            max_ahead: self.node.settings.locations.max_ahead,
            radius_max_km: self.node.settings.radius_max_km,
            content_max_chars: CONTENT_MAX_CHARS,
        };
        match parse(text, &reading) {
            Ok(message) => self.obey(message, ctx),
            Err(error) => {
                self.node.observer.refused(error.code);
                let message = ServerMessage::Error {
                    code: error.code,
                    message: &error.message,
                    field: error.field,
                };
                self.shared.send(&message, now);
            }
        }
    }

    fn obey(&mut self, message: ClientMessage, ctx: &mut Ctx) {
        match message {
            ClientMessage::RefreshCredential { token } => self.renew(token.reveal(), ctx),
            ClientMessage::Ping => self.shared.send(&ServerMessage::Pong, self.node.now()),
            ClientMessage::LocationUpdate { room, fix } => self.locate(room, fix, ctx),
            ClientMessage::CreateRoom { room } => self.create(room, ctx),
            ClientMessage::JoinRoom { room, since } => self.join(&room, since, Manner::Asked),
            ClientMessage::LeaveRoom { room } => self.command(&room, Command::Leave),
            ClientMessage::TripJoin { trip, since } => self.join(&trip, since, Manner::Trip),
            ClientMessage::TripLeave { trip } => {
                let mut act = self.acting(Command::Leave);
                act.manner = Manner::Trip;
                self.hand(&trip, Work::Act(Box::new(act)));
            }
            ClientMessage::ActivateRoom { room } => self.command(&room, Command::Activate),
            ClientMessage::DeactivateRoom { room } => self.command(&room, Command::Deactivate),
            ClientMessage::RequestJoin { room } => self.command(&room, Command::RequestJoin),
            ClientMessage::ApproveJoin { room, requester } => {
                // The room knows as what they come.
                let command = Command::ApproveJoin {
                    who: requester,
                    user_type: UserType::Citizen,
                };
                self.command(&room, command);
            }
            ClientMessage::DenyJoin { room, requester } => {
                self.command(&room, Command::DenyJoin { who: requester });
            }
            ClientMessage::RoomMessage { room, content, id } => {
                let id = id.unwrap_or_else(|| MessageId::from_random(random()));
                self.command(&room, Command::SendMessage { id, content });
            }
            ClientMessage::Acknowledge { room } => {
                let means = Means::Socket;
                self.command(&room, Command::Acknowledge { means });
            }
            ClientMessage::GetUsers { room } => {
                self.hand(&room, Work::Look(Look::Users(Arc::clone(&self.shared))));
            }
            ClientMessage::GetHistory { room, since, limit } => self.history(room, since, limit, ctx),
            ClientMessage::EmergencySos(sos) => self.raise(sos, ctx),
            ClientMessage::EmergencyResolve { room, pin } => self.resolve(room, pin, ctx),
            ClientMessage::WatchArea(area) => {
                if let Err(scope) = self.shared.identity().allows(Scope::IncidentsRead) {
                    let error = Rejection::OutOfScope(scope).into();
                    self.shared.error(&error, self.node.now());
                    return;
                }
                if let Some(old) = self.watching.take() {
                    self.node.areas.unwatch(old);
                }
                self.watching = self.node.areas.watch(area, &self.shared, &self.node);
                if self.watching.is_none() {
                    self.shared.error(&CommandError::Busy, self.node.now());
                }
            }
            ClientMessage::UnwatchArea => {
                if let Some(old) = self.watching.take() {
                    self.node.areas.unwatch(old);
                }
            }
        }
    }

    fn by(&self) -> By {
        By::Person(Arc::clone(self.shared.identity()), Some(Arc::clone(&self.shared)))
    }

    fn command(&self, room: &RoomId, command: Command) {
        self.hand(room, Work::Act(Box::new(self.acting(command))));
    }

    fn acting(&self, command: Command) -> Act {
        Act::new(self.by(), command, Reply::session(Arc::clone(&self.shared)))
    }

    fn hand(&self, room: &RoomId, work: Work) {
        if let Err((work, error)) = self.node.room(room).hand_over(work) {
            self.node.observer.refused(error.code());
            match work {
                Work::Act(act) => act.reply.fail(error, self.node.now(), None),
                _ => self.shared.error(&error, self.node.now()),
            }
        }
    }

    fn join(&self, room: &RoomId, since: Option<Seq>, manner: Manner) {
        if !self.shared.has_room() && !self.shared.is_in(room) {
            let why = "This connection is in too many rooms";
            let message = if manner == Manner::Trip {
                ServerMessage::Error {
                    code: "TOO_MANY_ROOMS",
                    message: why,
                    field: Some("tripId"),
                }
            } else {
                ServerMessage::JoinDenied { room, message: why }
            };
            self.shared.send(&message, self.node.now());
            return;
        }
        // The room knows as what they come: its kind decides.
        let command = Command::Join {
            user_type: UserType::Citizen,
        };
        let mut act = self.acting(command);
        (act.since, act.manner) = (since, manner);
        self.hand(room, Work::Act(Box::new(act)));
    }

    fn create(&mut self, room: Option<RoomId>, ctx: &mut Ctx) {
        if let Err(wait) = self.shared.pass().create_room() {
            self.too_many(wait);
            return;
        }
        let room = room.unwrap_or_else(|| RoomId::from_random(random()));
        let (node, shared) = (Arc::clone(&self.node), Arc::clone(&self.shared));
        let contacts = async move { node.emergency_contacts(&shared.identity().subject).await };
        ctx.wait(contacts.into_actor(self).map(
            move |contacts: Result<ContactBook, _>, act, _| match contacts {
                Ok(book) => {
                    let command = Command::Create {
                        genesis: Genesis::Circle,
                        user_type: UserType::Citizen,
                    };
                    let reply = Reply::session(Arc::clone(&act.shared));
                    let mut create = Act::new(act.by(), command, reply);
                    create.contacts = Some(Arc::new(book));
                    act.hand(&room, Work::Act(Box::new(create)));
                }
                Err(error) => act.shared.error(&error.into(), act.node.now()),
            },
        ));
    }

    fn locate(&mut self, room: Option<RoomId>, fix: Fix, ctx: &mut Ctx) {
        let subject = &self.shared.identity().subject;
        if let Some(rooms) = self.node.memberships.peek(subject) {
            self.upload(room.as_ref(), fix, &rooms);
            return;
        }
        let (node, subject) = (Arc::clone(&self.node), subject.clone());
        let rooms = async move { node.memberships.get(&subject).await };
        ctx.wait(rooms.into_actor(self).map(move |rooms, act, _| match rooms {
            Ok(rooms) => act.upload(room.as_ref(), fix, &rooms),
            Err(error) => act.shared.error(&error.into(), act.node.now()),
        }));
    }

    fn upload(&self, room: Option<&RoomId>, fix: Fix, rooms: &Arc<[Membership]>) {
        let now = self.node.now();
        let identity = self.shared.identity();
        if let Err(scope) = identity.allows(Scope::PositionsWrite) {
            self.shared.error(&Rejection::OutOfScope(scope).into(), now);
            return;
        }
        let targets: Arc<[Membership]> = match room {
            None if identity.mission.is_none() && rooms.iter().all(Membership::takes_positions) => {
                Arc::clone(rooms)
            }
            // A credential that is bound to one incident speaks in no other room.
            _ => rooms
                .iter()
                .filter(|target| {
                    let meant = room.is_none_or(|room| target.room == *room);
                    meant && target.takes_positions() && identity.may_enter(&target.room)
                })
                .cloned()
                .collect(),
        };
        if targets.is_empty() {
            let error = match room {
                Some(room) if rooms.iter().any(|known| known.room == *room) => CommandError::MayNotBroadcast,
                Some(_) => CommandError::Rejected(Rejection::NotIn),
                None => CommandError::NoActiveRoom,
            };
            self.shared.error(&error, now);
            return;
        }
        let names: smallvec::SmallVec<[RoomId; 4]> =
            targets.iter().map(|target| target.room.clone()).collect();
        let subject = self.shared.identity().subject.clone();
        match self.batcher.offer(Upload::live(subject, targets, fix)) {
            // Not an event: it may leave together with what else the session is owed in the same moment, and to
            // one that does not read only the newest is of use.
            Ok(()) => {
                let message = ServerMessage::LocationUpdateConfirmed { rooms: &names };
                self.shared
                    .push_signal(CONFIRMATION, &Frame::text(&message.encode(now)));
            }
            Err(error) => self.shared.error(&error, now),
        }
    }

    fn history(&mut self, room: RoomId, since: Seq, limit: usize, ctx: &mut Ctx) {
        let (node, identity) = (Arc::clone(&self.node), Arc::clone(self.shared.identity()));
        let read = async move {
            let view = match node.room(&room).view(Some(identity)).await {
                // Whether there is such a room is nobody's business who is not in it.
                Err(CommandError::Rejected(Rejection::NotFound)) => Err(Rejection::NotIn.into()),
                other => other,
            }?;
            if !view.viewer.is_some_and(|who| view.state.is_in(who)) {
                return Err(CommandError::Rejected(Rejection::NotIn));
            }
            let events = node.store.events(&room, since, limit).await?;
            Ok((room, view, events))
        };
        ctx.wait(read.into_actor(self).map(move |read, act, _| match read {
            Ok((room, view, events)) => {
                let seq = events.last().map_or(since, |event| event.seq);
                let people = |who| view.people.iter().find(|person| person.participant == who);
                let frames: Vec<Vec<u8>> = events
                    .iter()
                    .filter_map(|event| encode_event(event, &people, &|_| false, None))
                    .collect();
                let more = seq < view.state.seq;
                act.shared.send(
                    &ServerMessage::History {
                        room: &room,
                        events: &frames,
                        seq,
                        more,
                    },
                    act.node.now(),
                );
            }
            Err(error) => act.shared.error(&error, act.node.now()),
        }));
    }

    fn raise(&mut self, sos: crate::wire::json::EmergencySos, ctx: &mut Ctx) {
        let (node, shared) = (Arc::clone(&self.node), Arc::clone(&self.shared));
        let (who, pass) = (Arc::clone(shared.identity()), Arc::clone(shared.pass()));
        let raised = raise::from_circles(node, who, sos, self.batcher.clone(), pass);
        ctx.wait(raised.into_actor(self).map(move |raised, act, _| {
            let now = act.node.now();
            match raised {
                Ok(raised) => {
                    let message = ServerMessage::EmergencyConfirmed {
                        activated_rooms: &raised.rooms,
                        sos: &raised.sos,
                    };
                    shared.send(&message, now);
                }
                Err(raise::RaiseError::NoOwnedRooms) => {
                    let message = ServerMessage::Error {
                        code: "NO_OWNED_ROOMS",
                        message: "No owned rooms found",
                        field: None,
                    };
                    shared.send(&message, now);
                }
                Err(raise::RaiseError::TooMany(wait)) => act.too_many(wait),
                Err(raise::RaiseError::Failed(error)) => shared.error(&error, now),
            }
        }));
    }

    /// Over a budget of REST: the socket's own is told by 4029.
    fn too_many(&self, wait: Duration) {
        self.node.observer.refused("RATE_LIMITED");
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let message = ServerMessage::Error {
            code: "RATE_LIMITED",
            message: &format!("Too many, come back in {} s", seconds.max(1)),
            field: None,
        };
        self.shared.send(&message, self.node.now());
    }

    fn resolve(&mut self, room: Option<RoomId>, pin: Option<PinEntry>, ctx: &mut Ctx) {
        let (node, shared) = (Arc::clone(&self.node), Arc::clone(&self.shared));
        let resolved = raise::resolve(node, Arc::clone(shared.identity()), room, pin);
        ctx.wait(resolved.into_actor(self).map(move |resolved, act, _| {
            let now = act.node.now();
            match resolved {
                Ok(rooms) => shared.send(&ServerMessage::EmergencyResolved { rooms: &rooms }, now),
                Err(error) => shared.error(&error, now),
            }
        }));
    }
}
