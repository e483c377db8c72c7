//! What is said back, on either protocol.

use std::time::Instant;

use mayday::wire::socketio::engine::{self, Effect, Session};
use mayday::wire::socketio::{Args, Connection, Event};

use super::fresh_id;

/// A session by itself, or with Socket.IO on it.
pub enum App {
    Engine(Session),
    SocketIo(Connection),
}

impl App {
    /// Tells the session what came in.
    pub fn transport<T>(&mut self, tell: impl FnOnce(&mut Session) -> T) -> T {
        match self {
            Self::Engine(session) => tell(session),
            Self::SocketIo(connection) => connection.transport(tell),
        }
    }

    pub fn session(&self) -> &Session {
        match self {
            Self::Engine(session) => session,
            Self::SocketIo(connection) => connection.session(),
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::Engine(session) => session.next_timeout(),
            Self::SocketIo(connection) => connection.next_timeout(),
        }
    }

    /// Answers what happened; the rest is for the carrier, until there is no more.
    pub fn work(&mut self, mut carry: impl FnMut(Effect<()>)) {
        loop {
            let effects: Vec<Effect<()>> = match self {
                Self::Engine(session) => {
                    let effects = session.take_effects();
                    effects
                        .into_iter()
                        .map(|effect| on(session, effect, echo))
                        .collect()
                }
                Self::SocketIo(connection) => {
                    let effects = connection.take_effects();
                    effects
                        .into_iter()
                        .map(|effect| on(connection, effect, answer))
                        .collect()
                }
            };
            if effects.is_empty() {
                return;
            }
            effects.into_iter().for_each(&mut carry);
        }
    }
}

/// Lets events be answered and leaves the rest as it is.
fn on<A, E>(app: &mut A, effect: Effect<E>, answer: fn(&mut A, E)) -> Effect<()> {
    match effect {
        Effect::Event(event) => {
            answer(app, event);
            Effect::Event(())
        }
        Effect::Answer { poll, body } => Effect::Answer { poll, body },
        Effect::Send { socket, frame } => Effect::Send { socket, frame },
        Effect::HangUp { socket } => Effect::HangUp { socket },
    }
}

fn echo(session: &mut Session, event: engine::Event) {
    if let engine::Event::Message(data) = event {
        session.send(data.encode());
    }
}

fn answer(connection: &mut Connection, event: Event) {
    // Who is gone in the meantime does not get an answer.
    let _ = match event {
        Event::Connecting { namespace, auth, .. } => {
            connection.accept(&namespace, &fresh_id(), None);
            let args = Args::build().json(&auth).done();
            connection.emit(&namespace, "auth", &args)
        }
        Event::Event {
            namespace,
            id,
            name,
            args,
        } => match (&*name, id) {
            ("message", _) => connection.emit(&namespace, "message-back", &args),
            ("message-with-ack", Some(id)) => connection.ack(&namespace, id, args),
            _ => Ok(()),
        },
        _ => Ok(()),
    };
}
