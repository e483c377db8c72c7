//! A connection: a session, and the namespaces on it.
//!
//! Whoever carries the bytes talks to the session through [`Connection::transport`]; whoever stands above answers
//! [`Event`]s by [`accept`](Connection::accept), [`emit`](Connection::emit) and the like. Both then carry out
//! [`Connection::take_effects`]. Who asks for a namespace is let in by nobody but the layer above, however it came
//! back: [`Event::Connecting`] comes each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use serde_json::json;
use thiserror::Error;

use super::args::{Args, Json};
use super::decoder::Decoder;
use super::engine::{self, Data, Effect, End, Session, Transport};
use super::error::Malformed;
use super::namespace::Namespace;
use super::packet::{ConnectError, Content, Encoded, Packet, Resume};
use super::seats::{Seat, Seats};
use super::settings::Settings;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    settings: Arc<Settings>,
    session: Session,
    decoder: Decoder,
    seats: Seats,
    /// Something must be connected until then.
    connect_until: Option<Instant>,
    /// Why we ended it, if we did.
    ending: Option<Ending>,
    effects: Vec<Effect<Event>>,
}

/// What happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client wants into a namespace that there is: answered by [`accept`](Connection::accept) or
    /// [`refuse`](Connection::refuse), in its own time.
    Connecting {
        /// Which.
        namespace: Namespace,
        /// What it shows, an object.
        auth: Json,
        /// What it has from before, when recovery is offered.
        resume: Option<Resume>,
    },
    /// It says something.
    Event {
        /// Where.
        namespace: Namespace,
        /// The answer that it wants, by [`ack`](Connection::ack).
        id: Option<u64>,
        /// What it is called.
        name: ByteString,
        /// The rest.
        args: Args,
    },
    /// It answers an event.
    Acked {
        /// Where.
        namespace: Namespace,
        /// The number of [`emit_with_ack`](Connection::emit_with_ack).
        id: u64,
        /// The answer.
        args: Args,
    },
    /// It did not answer in time, and will not be heard if it still does.
    Unanswered {
        /// Where.
        namespace: Namespace,
        /// The number of [`emit_with_ack`](Connection::emit_with_ack).
        id: u64,
    },
    /// It left a namespace, or no longer wants into it.
    Disconnected {
        /// Which.
        namespace: Namespace,
    },
    /// It moved from polling to this socket.
    Upgraded(engine::SocketId),
    /// It is over, in every namespace. Nothing comes after this.
    Closed(Ending),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The session below ended.
    Session(End),
    /// Not the protocol.
    Malformed(Malformed),
    /// It was connected to nothing in time.
    NothingConnected,
}

/// Why an event is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotSent {
    /// The client is not connected to the namespace.
    #[error("not connected to the namespace")]
    NotConnected,
    /// It owes too many acknowledgements already.
    #[error("too many acknowledgements are awaited")]
    TooManyAcks,
}

impl Connection {
    /// One that begins now; see [`Session::open`].
    pub fn open(settings: Arc<Settings>, sid: ByteString, transport: Transport, now: Instant) -> Self {
        Self {
            session: Session::open(Arc::clone(&settings.engine), sid, transport, now),
            decoder: Decoder::new(settings.attachments),
            seats: Seats::default(),
            connect_until: Some(now + settings.connect_timeout),
            ending: None,
            effects: Vec::new(),
            settings,
        }
    }

    /// The session below.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Tells the session below what came in, and reads what it has to say.
    pub fn transport<T>(&mut self, tell: impl FnOnce(&mut Session) -> T) -> T {
        let answer = tell(&mut self.session);
        self.look_at_the_time();
        self.digest();
        answer
    }

    /// What is to be done, in this order.
    #[must_use]
    pub fn take_effects(&mut self) -> Vec<Effect<Event>> {
        self.digest();
        std::mem::take(&mut self.effects)
    }

    /// When [`tick`](Self::tick) is wanted at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        let session = self.session.next_timeout()?;
        let others = [self.connect_until, self.seats.next_timeout()];
        others.into_iter().flatten().chain([session]).min()
    }

    /// Time passes.
    pub fn tick(&mut self, now: Instant) {
        self.transport(|session| session.tick(now));
    }

    /// Lets the client into a namespace, under an id that others may see. With a `pid`, a secret, it can come back:
    /// see [`Resume`]. `false` when it no longer waits for that.
    pub fn accept(&mut self, namespace: &Namespace, sid: &str, pid: Option<&str>) -> bool {
        if self.seats.get(namespace) != Some(Seat::Asking) {
            return false;
        }
        let greeting = match pid {
            Some(pid) => json!({"sid": sid, "pid": pid}),
            None => json!({"sid": sid}),
        };
        self.seats.set(namespace, Seat::Connected);
        self.connect_until = None;
        self.put(namespace, Content::Connect(Some(greeting.into())));
        true
    }

    /// Does not let the client into a namespace. `false` when it no longer waits for that.
    pub fn refuse(&mut self, namespace: &Namespace, error: &ConnectError) -> bool {
        let asking = self.seats.get(namespace) == Some(Seat::Asking);
        if asking {
            self.seats.remove(namespace);
            self.put(namespace, Content::ConnectError(error.json()));
        }
        asking
    }

    /// Tells the client of something.
    ///
    /// # Errors
    /// When it is not connected there.
    pub fn emit(&mut self, namespace: &Namespace, name: &str, args: &Args) -> Result<(), NotSent> {
        self.send(namespace, Encoded::event(namespace, None, name, args))
    }

    /// Sends what was written for many, for this namespace.
    ///
    /// # Errors
    /// When it is not connected there.
    pub fn send(&mut self, namespace: &Namespace, encoded: Encoded) -> Result<(), NotSent> {
        if !self.seats.is_connected(namespace) {
            return Err(NotSent::NotConnected);
        }
        self.write(encoded);
        Ok(())
    }

    /// Tells the client of something and wants an answer within this time. The number of the answer.
    ///
    /// # Errors
    /// When it is not connected there, or owes too many answers.
    pub fn emit_with_ack(
        &mut self,
        namespace: &Namespace,
        name: &str,
        args: &Args,
        within: Duration,
    ) -> Result<u64, NotSent> {
        if !self.seats.is_connected(namespace) {
            return Err(NotSent::NotConnected);
        }
        if self.seats.awaited() >= self.settings.acks_max {
            return Err(NotSent::TooManyAcks);
        }
        let id = self.seats.await_ack(namespace, self.session.now() + within);
        self.write(Encoded::event(namespace, Some(id), name, args));
        Ok(id)
    }

    /// Answers an event of the client.
    ///
    /// # Errors
    /// When it is no longer connected there.
    pub fn ack(&mut self, namespace: &Namespace, id: u64, args: Args) -> Result<(), NotSent> {
        if !self.seats.is_connected(namespace) {
            return Err(NotSent::NotConnected);
        }
        self.put(namespace, Content::Ack { id, args });
        Ok(())
    }

    /// Puts the client out of a namespace; what it still says there is not heard. `false` when it was not in.
    pub fn disconnect(&mut self, namespace: &Namespace) -> bool {
        let connected = self.seats.is_connected(namespace);
        if connected {
            self.seats.set(namespace, Seat::PutOut);
            self.put(namespace, Content::Disconnect);
        }
        connected
    }

    /// Ends the connection, once what was sent before has left.
    pub fn close(&mut self) {
        self.transport(Session::close);
    }

    fn put(&mut self, namespace: &Namespace, content: Content) {
        let namespace = namespace.clone();
        self.write(Packet { namespace, content }.encode());
    }

    fn write(&mut self, encoded: Encoded) {
        for frame in encoded.into_frames() {
            self.session.send(frame);
        }
    }

    fn look_at_the_time(&mut self) {
        let now = self.session.now();
        if !self.session.is_open() {
            return;
        }
        if self.connect_until.is_some_and(|until| until <= now) {
            self.end(Ending::NothingConnected);
        }
        while let Some((namespace, id)) = self.seats.expired(now) {
            self.tell(Event::Unanswered { namespace, id });
        }
    }

    fn end(&mut self, ending: Ending) {
        self.connect_until = None;
        self.ending.get_or_insert(ending);
        self.session.close();
    }

    fn tell(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    /// Reads what the session has to say, until it has no more.
    fn digest(&mut self) {
        loop {
            let effects = self.session.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Event(event) => self.hear(event),
                    Effect::Answer { poll, body } => self.effects.push(Effect::Answer { poll, body }),
                    Effect::Send { socket, frame } => self.effects.push(Effect::Send { socket, frame }),
                    Effect::HangUp { socket } => self.effects.push(Effect::HangUp { socket }),
                }
            }
        }
    }

    fn hear(&mut self, event: engine::Event) {
        match event {
            engine::Event::Message(data) => self.message(data),
            engine::Event::Upgraded(socket) => self.tell(Event::Upgraded(socket)),
            engine::Event::Closed(end) => {
                self.connect_until = None;
                self.seats = Seats::default();
                let ending = self.ending.unwrap_or(Ending::Session(end));
                self.tell(Event::Closed(ending));
            }
        }
    }

    fn message(&mut self, data: Data) {
        if self.ending.is_some() {
            return;
        }
        let read = self.decoder.read(data).and_then(|packet| match packet {
            Some(packet) => self.packet(packet),
            None => Ok(()),
        });
        if let Err(malformed) = read {
            self.end(Ending::Malformed(malformed));
        }
    }

    fn packet(&mut self, packet: Packet) -> Result<(), Malformed> {
        let Packet { namespace, content } = packet;
        let seat = self.seats.get(&namespace);
        match (content, seat) {
            (Content::Connect(auth), None | Some(Seat::PutOut)) => self.connecting(namespace, auth),
            (Content::Event { id, name, args }, Some(Seat::Connected)) => self.tell(Event::Event {
                namespace,
                id,
                name,
                args,
            }),
            (Content::Ack { id, args }, Some(Seat::Connected)) => {
                // One that came too late, or twice, is nobody's.
                if self.seats.acked(&namespace, id) {
                    self.tell(Event::Acked { namespace, id, args });
                }
            }
            (Content::Disconnect, Some(Seat::Connected | Seat::Asking)) => {
                self.seats.remove(&namespace);
                self.tell(Event::Disconnected { namespace });
            }
            (Content::Disconnect | Content::Event { .. } | Content::Ack { .. }, Some(Seat::PutOut)) => {}
            _ => return Err(Malformed::OutOfPlace),
        }
        Ok(())
    }

    fn connecting(&mut self, namespace: Namespace, auth: Option<Json>) {
        if !self.settings.namespaces.contains(&namespace) {
            let error = ConnectError::invalid_namespace().json();
            return self.put(&namespace, Content::ConnectError(error));
        }
        self.seats.set(&namespace, Seat::Asking);
        let auth = auth.unwrap_or(Json::EMPTY);
        let resume = self.settings.recovery.then(|| Resume::of(&auth)).flatten();
        self.tell(Event::Connecting {
            namespace,
            auth,
            resume,
        });
    }
}
