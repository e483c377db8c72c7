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

use super::admin::{self, ADMIN};
use super::carrier::{Candidate, Carrier, Way, packets, tell, websocket};
use super::commands::Client;
use super::door::{Admitted, Door};
use super::messages::{Attach, BeginPost, Heard, Poll, PollGone, Post, PostGone, Waiting, What};
use super::outcome::{Done, Refused};
use super::resume;
use super::seat::Seat;
use super::settings::SocketIoSettings;
use crate::actors::batcher::Batchers;
use crate::actors::clock::random;
use crate::actors::node::Node;
use crate::delivery::{CloseReason, EndReason, Frame, Hub, Outbox, Phase};
use crate::domain::budget::MessageBudget;
use crate::domain::time::Timestamp;
use crate::wire::Reading;
use crate::wire::incident::admin::{self as admin_words, AdminMessage};
use crate::wire::incident::{self, ClientMessage, UNKNOWN_EVENT, Word};
use crate::wire::socketio::engine::{self, Effect, PollId, Refusal, Session, SocketId, Transport};
use crate::wire::socketio::{Args, ConnectError, Connection, Encoded, Event, Namespace, Resume};

/// The longest message, in characters (protocol page, section 3).
const CONTENT_MAX_CHARS: usize = 2000;

/// Who waits for what became of an event.
struct Asked {
    namespace: Namespace,
    /// The acknowledgement that is wanted.
    id: Option<u64>,
}

/// A connection of an incident client.
pub struct SocketIoActor {
    node: Arc<Node>,
    batcher: Batchers,
    settings: Arc<SocketIoSettings>,
    hub: Hub,
    connection: Connection,
    way: Way,
    outbox: Arc<Outbox>,
    poll: Option<(PollId, oneshot::Sender<String>)>,
    candidate: Option<Candidate>,
    seats: SmallVec<[Seat; 1]>,
    door: Box<dyn Door>,
    /// Events that wait until the one before them was handed on.
    queue: VecDeque<(Asked, Client, ClientMessage)>,
    /// One is being handed on.
    handing: bool,
    /// Commands without an answer yet.
    pending: usize,
    budget: MessageBudget,
    refused: u32,
    noted: Timestamp,
    timer: Option<(Instant, SpawnHandle)>,
    /// Waits for something to fetch.
    fetching: Option<SpawnHandle>,
    /// Runs when the connection has ended.
    _guard: Box<dyn std::any::Any>,
}

type Ctx = Context<SocketIoActor>;

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
    fn carry(&mut self, ctx: &mut Ctx) {
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

    fn turn_away(&mut self, namespace: &Namespace, error: &ConnectError, ctx: &mut Ctx) {
        self.connection.refuse(namespace, error);
        self.carry(ctx);
    }

    /// Somebody may sit down: where they were, if they show that they were there, or anew.
    fn admit(&mut self, namespace: Namespace, admitted: Admitted, resume: Option<Resume>, ctx: &mut Ctx) {
        let who = Arc::clone(&admitted.credential.identity);
        let known = resume.and_then(|resume| {
            let sid = self.door.sid_of(&namespace, &who.subject, &resume.pid)?;
            Some((sid, resume.pid, resume.offset))
        });
        let (node, events_max) = (Arc::clone(&self.node), self.settings.recovery_max_events);
        let find = async move {
            let (sid, pid, offset) = known?;
            let resumed = resume::find(&node, &who, &offset, events_max).await?;
            Some((sid, pid, resumed))
        };
        ctx.spawn(find.into_actor(self).map(move |found, act, ctx| {
            let resumed = act.seat(&namespace, admitted, found, ctx);
            act.mind_the_end(&namespace, ctx);
            if let Some((resumed, client)) = resumed {
                // After this, as everything that they are told from now on.
                ctx.spawn(resumed.take_up(client).into_actor(act));
            }
            act.carry(ctx);
        }));
    }

    fn seat(
        &mut self,
        namespace: &Namespace,
        admitted: Admitted,
        found: Option<(String, String, resume::Resumed)>,
        ctx: &mut Ctx,
    ) -> Option<(resume::Resumed, Client)> {
        let begun = Instant::now();
        // Operators go on by the cursor of their feed.
        let recovers = self.settings.protocol.recovery && *namespace != ADMIN;
        let whose = &admitted.credential.identity.subject;
        let (sid, pid, resumed) = match found {
            Some((sid, pid, resumed)) => (sid, Some(pid), Some(resumed)),
            None => {
                let sid = hex::encode(random::<10>());
                let pid = recovers.then(|| self.door.pid(namespace, whose, &sid));
                (sid, pid, None)
            }
        };
        if !self.connection.accept(namespace, &sid, pid.as_deref()) {
            return None;
        }
        // What greets them leaves before anything that is put into their outbox.
        self.carry(ctx);
        let seat = Seat::take(&self.node, &self.outbox, namespace.clone(), admitted, recovers);
        let client = self.client(&seat);
        let held = self
            .node
            .blocks
            .holds(&seat.session.identity().subject, self.node.now());
        let session = Arc::clone(&seat.session);
        self.seats.push(seat);
        self.note();
        self.node.observer.connected(begun.elapsed());
        // Blocked while it was opened: whoever closes sessions has not seen this one.
        if held {
            session.close(CloseReason::Forbidden);
        }
        resumed.map(|resumed| (resumed, client))
    }

    fn client(&self, seat: &Seat) -> Client {
        Client {
            node: Arc::clone(&self.node),
            batcher: self.batcher.clone(),
            session: Arc::clone(&seat.session),
        }
    }

    fn stand_up(&mut self, namespace: &Namespace) {
        if let Some(at) = self.seats.iter().position(|seat| seat.namespace == *namespace) {
            self.seats.swap_remove(at).leave(&self.node);
        }
    }

    /// They are here. Worth a note now and then.
    fn note(&mut self) {
        let now = self.node.now();
        if now.since(self.noted) >= self.node.settings.devices_seen_every {
            self.noted = now;
            for seat in &self.seats {
                self.node.saw(seat.session.identity());
            }
        }
    }

    fn event(&mut self, asked: Asked, name: &str, args: &Args, ctx: &mut Ctx) {
        let now = self.node.now();
        if !self.budget.take(now) {
            self.too_many(&asked);
            return;
        }
        self.refused = 0;
        self.note();
        let reading = Reading {
            now,
            max_ahead: self.node.settings.locations.max_ahead,
            radius_max_km: self.node.settings.radius_max_km,
            content_max_chars: CONTENT_MAX_CHARS,
        };
        let Some(seat) = self.seats.iter().find(|seat| seat.namespace == asked.namespace) else {
            return;
        };
        let client = self.client(seat);
        if seat.namespace == ADMIN {
            return self.operate(&asked, name, args, &reading, ctx);
        }
        match incident::parse(name, args, &reading) {
            Ok(ClientMessage::RefreshCredential { token }) => self.renew(asked, token.reveal(), ctx),
            Ok(_) if self.pending >= self.settings.pending_max => {
                self.refuse(
                    &asked,
                    &Refused::new("BUSY", "too much waits for answers already"),
                );
            }
            Ok(message) => {
                self.pending += 1;
                self.queue.push_back((asked, client, message));
                self.hand_next(ctx);
            }
            Err(error) => self.refuse(&asked, &error.into()),
        }
    }

    /// What an operator says: which events they want, and what keeps their connection.
    fn operate(&mut self, asked: &Asked, name: &str, args: &Args, reading: &Reading, ctx: &mut Ctx) {
        let radius_max_km = self.node.ops.radius_max_km();
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.namespace == ADMIN) else {
            return;
        };
        let done = match admin_words::parse(name, args, radius_max_km) {
            Ok(Some(AdminMessage::Subscribe { filter, cursor })) => {
                // The one before ends first: nothing comes twice.
                seat.following = None;
                admin::follow(&self.node, &seat.session, filter, cursor.as_deref()).map(
                    |(following, done)| {
                        seat.following = Some(following);
                        done
                    },
                )
            }
            Ok(Some(AdminMessage::Unsubscribe)) => {
                seat.following = None;
                Ok(Done::nothing())
            }
            Ok(None) => match incident::parse(name, args, reading) {
                Ok(ClientMessage::Ping { echo }) => Ok(Done::saying(incident::pong(&echo, reading.now))),
                Ok(ClientMessage::Heartbeat) => Ok(Done::saying(incident::heartbeat(reading.now))),
                Ok(ClientMessage::RefreshCredential { token }) => {
                    let asked = Asked {
                        namespace: asked.namespace.clone(),
                        id: asked.id,
                    };
                    return self.renew(asked, token.reveal(), ctx);
                }
                Ok(_) => Err(Refused::new(
                    UNKNOWN_EVENT,
                    "there is no such event in this namespace",
                )),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(done) => self.done(asked, &done),
            Err(refused) => self.refuse(asked, &refused),
        }
    }

    /// One too many is refused; whoever goes on all the same is sent away.
    fn too_many(&mut self, asked: &Asked) {
        self.refused += 1;
        if self.refused > self.settings.refused_max {
            let _ = self.outbox.close(CloseReason::TooManyMessages);
            return;
        }
        let wait = self.budget.wait().as_secs() + 1;
        let refused = Refused::new("RATE_LIMITED", format!("Too many, come back in {wait} s"));
        self.refuse(asked, &refused);
    }

    /// Hands on what waits, one after the other.
    fn hand_next(&mut self, ctx: &mut Ctx) {
        if self.handing {
            return;
        }
        let Some((asked, client, message)) = self.queue.pop_front() else {
            return;
        };
        self.handing = true;
        ctx.spawn(client.begin(message).into_actor(self).map(|answer, act, ctx| {
            act.handing = false;
            ctx.spawn(answer.into_actor(act).map(move |answer, act, ctx| {
                act.pending -= 1;
                match answer {
                    Ok(done) => act.done(&asked, &done),
                    Err(refused) => act.refuse(&asked, &refused),
                }
                act.carry(ctx);
            }));
            act.hand_next(ctx);
        }));
    }

    fn done(&mut self, asked: &Asked, done: &Done) {
        if let Some(word) = &done.word {
            self.say(&asked.namespace, word);
        }
        if let Some(id) = asked.id {
            let args = Args::build().encoded(&done.ack()).done();
            let _ = self.connection.ack(&asked.namespace, id, args);
        }
    }

    fn refuse(&mut self, asked: &Asked, refused: &Refused) {
        self.node.observer.refused(refused.code);
        self.say(&asked.namespace, &refused.word());
        if let Some(id) = asked.id {
            let args = Args::build().encoded(&refused.ack()).done();
            let _ = self.connection.ack(&asked.namespace, id, args);
        }
    }

    fn say(&mut self, namespace: &Namespace, word: &Word) {
        let encoded = Encoded::event(namespace, None, word.name, &word.args());
        let _ = self.connection.send(namespace, encoded);
    }

    fn renew(&mut self, asked: Asked, token: String, ctx: &mut Ctx) {
        let seat = self
            .seats
            .iter_mut()
            .find(|seat| seat.namespace == asked.namespace);
        let Some(seat) = seat else { return };
        let judging = match seat.lease.judge(token) {
            Ok(judging) => judging,
            Err(why) => return self.refuse(&asked, &Refused::new(why.code, why.message)),
        };
        ctx.spawn(judging.into_actor(self).map(move |judged, act, ctx| {
            let now = act.node.now();
            let seat = act
                .seats
                .iter_mut()
                .find(|seat| seat.namespace == asked.namespace);
            let Some(seat) = seat else { return };
            match seat.lease.renew(&seat.session, judged, now) {
                Ok(()) => act.done(&asked, &Done::nothing()),
                Err(why) => act.refuse(&asked, &Refused::new(why.code, why.message)),
            }
            act.mind_the_end(&asked.namespace, ctx);
            act.carry(ctx);
        }));
    }

    /// Warns and closes when a seat's credential ends.
    fn mind_the_end(&mut self, namespace: &Namespace, ctx: &mut Ctx) {
        let now = self.node.now();
        let settings = &self.node.settings;
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.namespace == *namespace) else {
            return;
        };
        let next = seat.lease.look(&seat.session, now, settings);
        let timer = next.map(|delay| {
            let namespace = namespace.clone();
            ctx.run_later(delay, move |act, ctx| act.mind_the_end(&namespace, ctx))
        });
        if let Some(before) = seat.lease.set_timer(timer) {
            ctx.cancel_future(before);
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
