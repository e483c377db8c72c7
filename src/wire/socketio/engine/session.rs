//! A session, from its handshake to its end.
//!
//! The carrier tells what came in and the time, then carries out [`Session::take_effects`], in order. What is sent
//! while no poll waits is kept; what is sent before the effects are taken goes into one answer. Invariants: at most
//! one poll waits, and while one does nothing is kept back; messages go out in the order in which they were sent, over
//! whatever carries the session; after `Closed` nothing happens any more.

mod outgoing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use bytestring::ByteString;

use super::effect::{Effect, End, Event, PollId, SocketId};
use super::entry::{Refusal, Transport};
use super::packet::{Data, Frame, Malformed, Packet};
use super::payload;
use super::settings::Settings;

/// A session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    sid: ByteString,
    life: Life,
    carrier: Carrier,
    /// A socket that wants to take over.
    candidate: Option<Candidate>,
    /// Whether the body of a POST is being read.
    posting: bool,
    heartbeat: Heartbeat,
    /// What waits for a poll.
    waiting: VecDeque<Frame>,
    waiting_bytes: usize,
    effects: Vec<Effect<Event>>,
    /// The latest time that it was told.
    now: Instant,
    last_id: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// We ended it; the client is told by the next poll, if one comes until then.
    Closing(Instant),
    Closed,
}

#[derive(Clone, Copy, Debug)]
enum Carrier {
    Polling(Option<PollId>),
    Socket(SocketId),
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    socket: SocketId,
    /// It was probed: the client waits for its poll to end.
    probed: bool,
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Heartbeat {
    /// The next ping.
    Due(Instant),
    /// A pong comes until then.
    Awaited(Instant),
}

impl Session {
    /// A session that begins now. One that polls tells its handshake in the answer to the first [`poll`](Self::poll),
    /// which is the request that opened it; one on a WebSocket has the socket [`Session::socket`].
    pub fn open(settings: Arc<Settings>, sid: ByteString, transport: Transport, now: Instant) -> Self {
        let handshake = settings.handshake(&sid, transport);
        let mut session = Self {
            life: Life::Open,
            carrier: match transport {
                Transport::Polling => Carrier::Polling(None),
                Transport::WebSocket => Carrier::Socket(SocketId(0)),
            },
            candidate: None,
            posting: false,
            heartbeat: Heartbeat::Due(now + settings.ping_interval),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            effects: Vec::new(),
            now,
            last_id: 0,
            settings,
            sid,
        };
        session.send(Packet::Open(handshake).encode());
        session
    }

    /// Its id, a secret of its client.
    pub fn sid(&self) -> &ByteString {
        &self.sid
    }

    /// The socket that carries it, if one does.
    pub fn socket(&self) -> Option<SocketId> {
        match self.carrier {
            Carrier::Socket(socket) => Some(socket),
            Carrier::Polling(_) => None,
        }
    }

    /// Whether what is sent now leaves at once. Who has a queue of one's own can keep things there until then.
    pub fn is_writable(&self) -> bool {
        self.life == Life::Open && !matches!(self.carrier, Carrier::Polling(None))
    }

    /// Whether it takes and tells messages.
    pub fn is_open(&self) -> bool {
        self.life == Life::Open
    }

    /// The latest time that it was told.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What is to be done, in this order.
    #[must_use]
    pub fn take_effects(&mut self) -> Vec<Effect<Event>> {
        self.flush();
        std::mem::take(&mut self.effects)
    }

    /// When [`tick`](Self::tick) is wanted at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        let life = match (self.life, self.heartbeat) {
            (Life::Open, Heartbeat::Due(at) | Heartbeat::Awaited(at)) | (Life::Closing(at), _) => at,
            (Life::Closed, _) => return None,
        };
        Some(self.candidate.map_or(life, |candidate| life.min(candidate.until)))
    }

    /// Time passes.
    pub fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if let Some(candidate) = self.candidate
            && candidate.until <= self.now
        {
            self.drop_candidate();
        }
        match (self.life, self.heartbeat) {
            (Life::Closing(until), _) if until <= self.now => self.finish(End::Server),
            (Life::Open, Heartbeat::Awaited(until)) if until <= self.now => self.finish(End::PingTimeout),
            (Life::Open, Heartbeat::Due(at)) if at <= self.now => self.ping(at),
            _ => {}
        }
    }

    /// The pong is due from when the ping was; a ping that comes late leaves most of the time for it nevertheless.
    fn ping(&mut self, due: Instant) {
        let timeout = self.settings.ping_timeout;
        let until = (due + timeout).max(self.now + timeout * 3 / 4);
        self.heartbeat = Heartbeat::Awaited(until);
        self.send(Frame::PING);
    }

    /// Sends an encoded packet: a message ([`Data::encode`]). Dropped when the session is not open.
    pub fn send(&mut self, frame: Frame) {
        if self.life != Life::Open {
            return;
        }
        if let Carrier::Socket(socket) = self.carrier {
            self.effects.push(Effect::Send { socket, frame });
            return;
        }
        self.waiting_bytes += payload::length(&frame);
        self.waiting.push_back(frame);
        if self.waiting_bytes > self.settings.outgoing_max_bytes {
            self.flush();
            if self.waiting_bytes > self.settings.outgoing_max_bytes {
                self.finish(End::TooSlow);
            }
        }
    }

    /// Ends it, once what was sent before has left.
    pub fn close(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Closing(self.now + self.settings.close_timeout);
            self.flush();
        }
    }

    /// The client polls.
    ///
    /// # Errors
    /// What the request is answered with; a second poll ends the session besides.
    pub fn poll(&mut self, now: Instant) -> Result<PollId, Refusal> {
        self.tick(now);
        self.flush();
        match (self.life, self.carrier) {
            (Life::Closed, _) => return Err(Refusal::UNKNOWN),
            (_, Carrier::Socket(_)) => return Err(Refusal::BAD),
            (_, Carrier::Polling(Some(_))) => {
                self.finish(End::TwoPolls);
                return Err(Refusal::BAD);
            }
            (_, Carrier::Polling(None)) => {}
        }
        let poll = PollId(self.fresh_id());
        self.carrier = Carrier::Polling(Some(poll));
        self.flush();
        Ok(poll)
    }

    /// The client gave up this poll before its answer was taken from the effects; an answer that comes nevertheless
    /// goes nowhere.
    pub fn poll_gone(&mut self, poll: PollId, now: Instant) {
        self.tick(now);
        if let Carrier::Polling(pending @ Some(_)) = &mut self.carrier
            && *pending == Some(poll)
        {
            *pending = None;
            self.finish(End::PollGone);
        }
    }

    /// The client begins to post: asked before its body is read, so that bodies keep their order.
    ///
    /// # Errors
    /// What the request is answered with; a second POST, or one of binary data, ends the session besides.
    pub fn begin_post(&mut self, content_type: Option<&str>, now: Instant) -> Result<(), Refusal> {
        self.tick(now);
        match (self.life, self.carrier) {
            (Life::Closed, _) => return Err(Refusal::UNKNOWN),
            (_, Carrier::Socket(_)) => return Err(Refusal::BAD),
            (_, Carrier::Polling(_)) => {}
        }
        if self.posting {
            self.finish(End::TwoPosts);
            return Err(Refusal::BAD);
        }
        if content_type.is_some_and(|kind| kind.starts_with("application/octet-stream")) {
            self.finish(End::Malformed(Malformed::ContentType));
            return Err(Refusal::BAD);
        }
        self.posting = true;
        Ok(())
    }

    /// The body of the POST that began. It is answered with `ok`.
    ///
    /// # Errors
    /// What the request is answered with; the session is over.
    pub fn post(&mut self, body: Bytes, now: Instant) -> Result<(), Refusal> {
        self.tick(now);
        if self.life == Life::Closed {
            return Err(Refusal::UNKNOWN);
        }
        if !std::mem::take(&mut self.posting) {
            return Err(Refusal::BAD);
        }
        if body.len() > self.settings.max_payload_bytes {
            self.finish(End::TooLarge);
            return Err(Refusal::TooLarge);
        }
        self.read(body).map_err(|malformed| {
            self.finish(End::Malformed(malformed));
            Refusal::BAD
        })
    }

    fn read(&mut self, body: Bytes) -> Result<(), Malformed> {
        for packet in payload::decode(body)? {
            if self.life == Life::Closed {
                break;
            }
            self.packet(packet?)?;
        }
        Ok(())
    }

    /// The body of the POST that began does not come, or is longer than anything that is taken.
    pub fn post_gone(&mut self, now: Instant) {
        self.tick(now);
        if std::mem::take(&mut self.posting) {
            self.finish(End::PostGone);
        }
    }

    /// A WebSocket comes for this session.
    ///
    /// # Errors
    /// Why it is closed again.
    pub fn attach(&mut self, now: Instant) -> Result<SocketId, Refusal> {
        self.tick(now);
        match (self.life, self.carrier) {
            (Life::Closed, _) => return Err(Refusal::UNKNOWN),
            (Life::Open, Carrier::Polling(_)) if self.candidate.is_none() && self.settings.upgrades => {}
            _ => return Err(Refusal::Occupied),
        }
        let socket = SocketId(self.fresh_id());
        self.candidate = Some(Candidate {
            socket,
            probed: false,
            until: self.now + self.settings.upgrade_timeout,
        });
        Ok(socket)
    }

    /// A message came over a WebSocket.
    pub fn frame(&mut self, socket: SocketId, frame: Frame, now: Instant) {
        self.tick(now);
        let carries = self.socket() == Some(socket);
        if self.life == Life::Closed {
        } else if carries && frame.len() > self.settings.max_payload_bytes {
            self.finish(End::TooLarge);
        } else if carries {
            let read = Packet::decode(frame).and_then(|packet| self.packet(packet));
            if let Err(malformed) = read {
                self.finish(End::Malformed(malformed));
            }
        } else if let Some(candidate) = &mut self.candidate
            && candidate.socket == socket
        {
            match Packet::decode(frame) {
                Ok(Packet::Ping(word)) if word == "probe" => {
                    candidate.probed = true;
                    let frame = Frame::PROBED;
                    self.effects.push(Effect::Send { socket, frame });
                }
                Ok(Packet::Upgrade) => self.upgrade(socket),
                _ => self.drop_candidate(),
            }
        }
    }

    /// A WebSocket was closed by the client, or broke.
    pub fn socket_gone(&mut self, socket: SocketId, now: Instant) {
        self.tick(now);
        if self.candidate.is_some_and(|candidate| candidate.socket == socket) {
            self.candidate = None;
        } else if self.socket() == Some(socket) && self.life != Life::Closed {
            self.finish(End::SocketGone);
        }
    }

    /// A packet over what carries the session.
    fn packet(&mut self, packet: Packet) -> Result<(), Malformed> {
        match packet {
            Packet::Close => self.finish(End::Client),
            Packet::Pong(_) => {
                if let Heartbeat::Awaited(_) = self.heartbeat {
                    self.heartbeat = Heartbeat::Due(self.now + self.settings.ping_interval);
                }
            }
            Packet::Message(data) => self.message(data),
            Packet::Open(_) | Packet::Ping(_) => return Err(Malformed::Direction),
            Packet::Upgrade | Packet::Noop => {}
        }
        Ok(())
    }

    fn message(&mut self, data: Data) {
        if self.life == Life::Open {
            self.effects.push(Effect::Event(Event::Message(data)));
        }
    }

    fn fresh_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }
}
