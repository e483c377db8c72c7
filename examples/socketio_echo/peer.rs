//! One client: its session behind a lock, the poll and the sockets that it has, and its one timer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mayday::wire::socketio::engine::{Effect, Frame, PollId, Refusal, Session, SocketId};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

use super::app::App;

/// What may wait for a socket, in frames; one that takes less is closed.
const SOCKET_MAX_FRAMES: usize = 1024;

/// What goes out over a socket; its end means to hang up.
pub type Frames = mpsc::Receiver<Frame>;

pub struct Peer {
    inner: Mutex<Inner>,
    /// The session was told something: its next deadline may be another.
    told: Notify,
}

struct Inner {
    app: App,
    poll: Option<(PollId, oneshot::Sender<String>)>,
    sockets: HashMap<SocketId, mpsc::Sender<Frame>>,
}

impl Peer {
    /// A client, and what goes out over its socket if it has one.
    pub fn new(app: App) -> (Arc<Self>, Frames) {
        let (sender, frames) = mpsc::channel(SOCKET_MAX_FRAMES);
        let socket = app.session().socket();
        let mut inner = Inner {
            app,
            poll: None,
            sockets: socket.map(|socket| (socket, sender)).into_iter().collect(),
        };
        if socket.is_some() {
            inner.work();
        }
        let peer = Self {
            inner: Mutex::new(inner),
            told: Notify::new(),
        };
        (Arc::new(peer), frames)
    }

    /// The socket that carries it.
    pub fn socket(&self) -> Option<SocketId> {
        self.inner.lock().app.session().socket()
    }

    /// Tells the session what came in, and carries out what follows.
    pub fn tell<T>(&self, tell: impl FnOnce(&mut Session, Instant) -> T) -> T {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        let answer = inner.app.transport(|session| tell(session, now));
        inner.work();
        self.told.notify_one();
        answer
    }

    /// The client polls.
    pub fn poll(self: &Arc<Self>) -> Result<Poll, Refusal> {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        let begun = inner.app.transport(|session| session.poll(now));
        let (sender, answer) = oneshot::channel();
        if let Ok(id) = begun {
            inner.poll = Some((id, sender));
        }
        inner.work();
        self.told.notify_one();
        let peer = Arc::clone(self);
        begun.map(|id| Poll { peer, id, answer })
    }

    /// The client posts.
    pub fn begin_post(self: &Arc<Self>, kind: Option<&str>) -> Result<Post, Refusal> {
        self.tell(|session, now| session.begin_post(kind, now))?;
        Ok(Post(Arc::clone(self)))
    }

    /// A WebSocket comes for it.
    pub fn attach(&self) -> Result<(SocketId, Frames), Refusal> {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        let attached = inner.app.transport(|session| session.attach(now));
        let (sender, frames) = mpsc::channel(SOCKET_MAX_FRAMES);
        if let Ok(socket) = attached {
            inner.sockets.insert(socket, sender);
        }
        inner.work();
        self.told.notify_one();
        attached.map(|socket| (socket, frames))
    }

    /// Keeps its time until it is over.
    pub async fn mind(&self) {
        loop {
            let Some(at) = self.inner.lock().app.next_timeout() else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => self.tell(Session::tick),
                () = self.told.notified() => {}
            }
        }
    }
}

impl Inner {
    fn work(&mut self) {
        let Self { app, poll, sockets } = self;
        app.work(|effect| match effect {
            Effect::Answer { poll: id, body } => {
                if let Some((_, sender)) = poll.take_if(|(waits, _)| *waits == id) {
                    let _ = sender.send(body);
                }
            }
            Effect::Send { socket, frame } => {
                let full = sockets
                    .get(&socket)
                    .is_some_and(|sender| sender.try_send(frame).is_err());
                if full {
                    sockets.remove(&socket);
                }
            }
            Effect::HangUp { socket } => drop(sockets.remove(&socket)),
            Effect::Event(()) => {}
        });
    }
}

/// A poll that waits. Dropped, it was given up by the client.
pub struct Poll {
    peer: Arc<Peer>,
    id: PollId,
    answer: oneshot::Receiver<String>,
}

impl Poll {
    pub async fn answer(mut self) -> String {
        (&mut self.answer).await.unwrap_or_default()
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        // Nothing happens when it was answered.
        self.peer.tell(|session, now| session.poll_gone(self.id, now));
    }
}

/// A POST whose body is read. Dropped, it broke off.
pub struct Post(Arc<Peer>);

impl Post {
    pub fn finish(self, body: Bytes) -> Result<(), Refusal> {
        self.0.tell(|session, now| session.post(body, now))
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // Nothing happens when it was finished.
        self.0.tell(Session::post_gone);
    }
}
