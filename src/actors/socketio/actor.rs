//! The actor of one connection: it carries what comes and goes, lets clients sit down, and never waits for a room.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, SpawnHandle, StreamHandler,
    WrapFuture,
};
use bytestring::ByteString;
use futures_util::future::poll_fn;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::carrier::{Candidate, Carrier, Way, packets, tell, websocket};
use super::commands::Client;
use super::door::Door;
use super::events::Asked;
use super::messages::{Attach, BeginPost, Heard, Poll, PollGone, Post, PostGone, Waiting, What};
use super::seat::Seat;
use super::settings::SocketIoSettings;
use crate::actors::batcher::Batchers;
use crate::actors::node::Node;
use crate::delivery::{CloseReason, EndReason, Frame, Hub, Outbox, Phase};
use crate::domain::budget::MessageBudget;
use crate::domain::time::Timestamp;
use crate::wire::incident::ClientMessage;
use crate::wire::socketio::engine::{self, Effect, PollId, Refusal, Session, SocketId, Transport};
use crate::wire::socketio::{Connection, Event};

/// A connection of an incident client.
pub struct SocketIoActor {
    pub(super) node: Arc<Node>,
    pub(super) batcher: Batchers,
    pub(super) settings: Arc<SocketIoSettings>,
    pub(super) hub: Hub,
    pub(super) connection: Connection,
    pub(super) way: Way,
    pub(super) outbox: Arc<Outbox>,
    pub(super) poll: Option<(PollId, oneshot::Sender<String>)>,
    pub(super) candidate: Option<Candidate>,
    pub(super) seats: SmallVec<[Seat; 1]>,
    pub(super) door: Box<dyn Door>,
    /// Events that wait until the one before them was handed on.
    pub(super) queue: VecDeque<(Asked, Client, ClientMessage)>,
    /// One is being handed on.
    pub(super) handing: bool,
    /// Commands without an answer yet.
    pub(super) pending: usize,
    pub(super) budget: MessageBudget,
    pub(super) refused: u32,
    pub(super) noted: Timestamp,
    pub(super) timer: Option<(Instant, SpawnHandle)>,
    /// Waits for something to fetch.
    pub(super) fetching: Option<SpawnHandle>,
    /// Runs when the connection has ended.
    _guard: Box<dyn std::any::Any>,
}

pub(super) type Ctx = Context<SocketIoActor>;

impl SocketIoActor {
    /// Starts a connection on this thread, whose hub this is. `guard` is dropped when it ends.
    pub fn start(
        (node, batcher): (&Arc<Node>, &Batchers),
        settings: &Arc<SocketIoSettings>,
        hub: &Hub,
        (sid, carrier): (ByteString, Carrier),
        (door, guard): (Box<dyn Door>, Box<dyn std::any::Any>),
    ) -> Addr<Self> {
        let (transport, way, outbox, inbound) = match carrier {
            Carrier::Polls(afar) => {
                let outbox = Arc::clone(afar.outbox());
                (Transport::Polling, Way::Polls(Rc::new(afar)), outbox, None)
            }
            Carrier::Socket(outbox, inbound) => (Transport::WebSocket, Way::Socket, outbox, Some(inbound)),
        };
        let protocol = Arc::clone(&settings.protocol);
        let connection = Connection::open(protocol, sid, transport, Instant::now());
        let limits = &node.settings;
        let actor = Self {
            node: Arc::clone(node),
            batcher: batcher.clone(),
            settings: Arc::clone(settings),
            hub: hub.clone(),
            way,
            outbox,
            poll: None,
            candidate: None,
            seats: SmallVec::new(),
            door,
            queue: VecDeque::new(),
            handing: false,
            pending: 0,
            budget: MessageBudget::new(limits.messages_per_second, limits.messages_burst, node.now()),
            refused: 0,
            noted: Timestamp::default(),
            timer: None,
            fetching: None,
            _guard: guard,
            connection,
        };
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(4);
            if let (Some(inbound), Some(socket)) = (inbound, actor.connection.session().socket()) {
                ctx.add_stream(tell(socket, inbound));
            }
            actor
        })
    }

    /// Tells the session below what came in, and carries out what follows.
    fn tell<T>(&mut self, ctx: &mut Ctx, tell: impl FnOnce(&mut Session, Instant) -> T) -> T {
        let now = Instant::now();
        let answer = self.connection.transport(|session| tell(session, now));
        self.carry(ctx);
        answer
    }

    /// Carries out what is to be done, until there is no more.
    pub(super) fn carry(&mut self, ctx: &mut Ctx) {
        loop {
            self.fetch();
            let effects = self.connection.take_effects();
            if effects.is_empty() {
                break;
            }
            // What the session kept for a poll goes before what waits in the outbox, which is newer.
            let mut boarded = None;
            for effect in effects {
                match effect {
                    Effect::Answer { poll, body } => self.answer(poll, body),
                    Effect::Send { socket, frame } => self.send(socket, &frame, &mut boarded),
                    Effect::HangUp { socket } => self.hang_up(socket),
                    Effect::Event(Event::Upgraded(socket)) => {
                        self.board(socket, ctx);
                        boarded = Some(Vec::new());
                    }
                    Effect::Event(event) => self.hear(event, ctx),
                }
            }
            if let Some(frames) = boarded.filter(|frames| !frames.is_empty()) {
                self.outbox.lead_with(frames);
            }
        }
        self.arm(ctx);
        self.await_owed(ctx);
    }

    /// Hands what the client is owed to the poll that waits.
    fn fetch(&mut self) {
        let Way::Polls(afar) = &self.way else { return };
        if self.connection.session().is_writable() {
            let frames = afar.fetch(self.settings.answer_max_bytes);
            if !frames.is_empty() {
                self.connection
                    .transport(|session| packets(frames).for_each(|frame| session.send(frame)));
            }
        }
        if self.outbox.phase() != Phase::Open && self.connection.session().is_open() {
            self.connection.close();
        }
    }

    /// While a poll waits, the outbox calls when there is something for it.
    fn await_owed(&mut self, ctx: &mut Ctx) {
        let Way::Polls(afar) = &self.way else { return };
        let waits = self.connection.session().is_open();
        if !waits || self.fetching.is_some() {
            return;
        }
        if !self.connection.session().is_writable() {
            afar.pause();
            return;
        }
        let afar = Rc::clone(afar);
        let owed = poll_fn(move |cx| afar.poll_owed(cx));
        self.fetching = Some(ctx.spawn(owed.into_actor(self).map(|(), act, ctx| {
            act.fetching = None;
            act.carry(ctx);
        })));
    }

    fn answer(&mut self, poll: PollId, body: String) {
        if let Some((_, to)) = self.poll.take_if(|(waits, _)| *waits == poll) {
            let _ = to.send(body);
        }
    }

    fn send(&mut self, socket: SocketId, frame: &engine::Frame, boarded: &mut Option<Vec<Frame>>) {
        if let Some(candidate) = self
            .candidate
            .as_ref()
            .filter(|candidate| candidate.socket == socket)
        {
            candidate.send(frame);
        } else if let Some(lead) = boarded {
            lead.push(websocket(frame));
        } else if *frame == engine::Frame::PING {
            let _ = self.outbox.push_control(websocket(frame));
        } else {
            let _ = self.outbox.push_event(&websocket(frame));
        }
    }

    fn hang_up(&mut self, socket: SocketId) {
        if let Some(candidate) = self.candidate.take_if(|candidate| candidate.socket == socket) {
            candidate.hang_up();
        } else {
            let _ = self.outbox.close(CloseReason::Normal);
        }
    }

    /// The candidate takes the polls' place.
    fn board(&mut self, socket: SocketId, ctx: &mut Ctx) {
        if let Some(fetching) = self.fetching.take() {
            ctx.cancel_future(fetching);
        }
        let candidate = self.candidate.take_if(|candidate| candidate.socket == socket);
        let (Some(candidate), Way::Polls(afar)) = (candidate, &self.way) else {
            return;
        };
        if candidate.board(afar) {
            self.way = Way::Socket;
        } else {
            self.outbox.fail(EndReason::PeerGone);
        }
    }

    /// Wakes up when the session wants to be told the time.
    fn arm(&mut self, ctx: &mut Ctx) {
        let Some(next) = self.connection.next_timeout() else {
            return;
        };
        if self.timer.as_ref().is_some_and(|(at, _)| *at <= next) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let delay = next.saturating_duration_since(Instant::now());
        let timer = ctx.run_later(delay, |act, ctx| {
            act.timer = None;
            act.connection.tick(Instant::now());
            act.carry(ctx);
        });
        self.timer = Some((next, timer));
    }

    fn hear(&mut self, event: Event, ctx: &mut Ctx) {
        match event {
            Event::Connecting {
                namespace,
                auth,
                resume,
            } => {
                let judging = self.door.admit(&namespace, &auth);
                ctx.spawn(
                    judging
                        .into_actor(self)
                        .map(move |judged, act, ctx| match judged {
                            Ok(admitted) => act.admit(namespace, admitted, resume, ctx),
                            Err(error) => act.turn_away(&namespace, &error, ctx),
                        }),
                );
            }
            Event::Event {
                namespace,
                id,
                name,
                args,
            } => self.event(Asked { namespace, id }, &name, &args, ctx),
            Event::Disconnected { namespace } => self.stand_up(&namespace),
            Event::Closed(ending) => {
                tracing::debug!(?ending, "connection ended");
                ctx.stop();
            }
            Event::Acked { .. } | Event::Unanswered { .. } | Event::Upgraded(_) => {}
        }
    }
}

impl Actor for SocketIoActor {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        self.carry(ctx);
    }

    fn stopped(&mut self, _: &mut Ctx) {
        self.note();
        for seat in std::mem::take(&mut self.seats) {
            seat.leave(&self.node);
        }
    }
}

impl StreamHandler<Heard> for SocketIoActor {
    fn handle(&mut self, Heard { socket, what }: Heard, ctx: &mut Ctx) {
        let frame = match what {
            What::Text(text) => engine::Frame::Text(text),
            What::Binary(bytes) => engine::Frame::Binary(bytes),
            What::Gone => {
                self.candidate.take_if(|candidate| candidate.socket == socket);
                return self.tell(ctx, |session, now| session.socket_gone(socket, now));
            }
        };
        self.tell(ctx, |session, now| session.frame(socket, frame, now));
    }

    /// Another socket may still be there, and the session knows when it is over.
    fn finished(&mut self, _: &mut Ctx) {}
}

impl Handler<Poll> for SocketIoActor {
    type Result = Result<Waiting, Refusal>;

    fn handle(&mut self, _: Poll, ctx: &mut Ctx) -> Self::Result {
        let now = Instant::now();
        let polled = self.connection.transport(|session| session.poll(now));
        let (to, body) = oneshot::channel();
        if let Ok(id) = polled {
            self.poll = Some((id, to));
        }
        self.carry(ctx);
        polled.map(|id| Waiting { id, body })
    }
}

impl Handler<PollGone> for SocketIoActor {
    type Result = ();

    fn handle(&mut self, PollGone(id): PollGone, ctx: &mut Ctx) {
        self.tell(ctx, |session, now| session.poll_gone(id, now));
    }
}

impl Handler<BeginPost> for SocketIoActor {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, BeginPost { content_type }: BeginPost, ctx: &mut Ctx) -> Self::Result {
        self.tell(ctx, |session, now| {
            session.begin_post(content_type.as_deref(), now)
        })
    }
}

impl Handler<Post> for SocketIoActor {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, Post(body): Post, ctx: &mut Ctx) -> Self::Result {
        self.tell(ctx, |session, now| session.post(body, now))
    }
}

impl Handler<PostGone> for SocketIoActor {
    type Result = ();

    fn handle(&mut self, _: PostGone, ctx: &mut Ctx) {
        self.tell(ctx, Session::post_gone);
    }
}

impl Handler<Attach> for SocketIoActor {
    type Result = ();

    fn handle(&mut self, Attach(handover): Attach, ctx: &mut Ctx) {
        let Ok(handover) = handover.moved_here() else {
            return;
        };
        let (outbox, inbound) = handover.board(&self.hub, &self.settings.transport);
        match self.tell(ctx, Session::attach) {
            Ok(socket) => {
                let (candidate, heard) = Candidate::new(socket, (outbox, inbound));
                self.candidate = Some(candidate);
                ctx.add_stream(heard);
            }
            // The handshake is done, so that the client does not take this for a server without WebSockets.
            Err(_) => {
                outbox.close(CloseReason::Normal);
            }
        }
    }
}
