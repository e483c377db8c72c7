//! One connection as its worker sees it: the socket and what is done with it.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::outbox::Call;
use super::socket::Socket;
use super::state::Phase;
use super::stats::Written;
use super::{EndReason, Outbox, Taken};

/// Bytes gathered for one system call.
const BATCH_BYTES: usize = 64 * 1024;

/// A frame of this size is written from where it lies; smaller ones are copied together, which is
/// cheaper than telling the kernel of each.
const COPY_MAX_BYTES: usize = 16 * 1024;

/// Writes to one connection before the others on the list get their turn.
const WRITES_A_VISIT: usize = 4;

/// Reads to throw away after the close frame before others get their turn.
const DISCARDS_A_VISIT: usize = 16;

/// Storage for one write, shared by all connections of a worker.
#[derive(Debug, Default)]
pub(super) struct Batch {
    taken: Vec<Taken>,
    bytes: Vec<u8>,
}

/// What a visit found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Nothing to do until the outbox or the socket calls.
    Done,
    /// There is more to write, and others wait.
    More,
    /// The connection can be forgotten.
    Over,
}

/// A connection: its socket, its outbox, and when it was last heard of.
#[derive(Debug)]
pub struct Conn {
    socket: Socket,
    outbox: Arc<Outbox>,
    /// Tick at which bytes last came in.
    last_seen: Cell<u32>,
    /// Whether a ping went out since.
    pinged: Cell<bool>,
    /// Tick at which a connection that is being closed is dropped; `None` while it is open.
    deadline: Cell<Option<u32>>,
    /// Whether nobody reads any more, so that the hub waits for the peer's end itself.
    unread: Cell<bool>,
}

impl Conn {
    pub(super) fn new(socket: Socket, outbox: Arc<Outbox>, now: u32) -> Self {
        Self {
            socket,
            outbox,
            last_seen: Cell::new(now),
            pinged: Cell::new(false),
            deadline: Cell::new(None),
            unread: Cell::new(false),
        }
    }

    /// The outbox of this connection.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Waits for bytes to read.
    ///
    /// # Errors
    /// When the runtime goes down.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_readable(cx)
    }

    /// Reads what there is into the free room of `buf`; `Ok(0)` is the end.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing now, else what broke the connection.
    pub fn read(&self, buf: &mut BytesMut) -> io::Result<usize> {
        let n = self.socket.read(buf);
        if self.socket.owes() {
            self.outbox.call_hub();
        }
        if matches!(n, Ok(1..)) {
            self.seen();
        }
        n
    }

    /// The session reads no more: from here on the hub waits for the peer's end.
    pub fn leave(&self) {
        self.unread.set(true);
        self.outbox.call_hub();
    }

    fn seen(&self) {
        if let Some(hub) = self.outbox.hub() {
            self.last_seen.set(hub.now());
        }
        self.pinged.set(false);
    }

    /// How many ticks nothing was heard.
    pub(super) fn silence(&self, now: u32) -> u32 {
        now.wrapping_sub(self.last_seen.get())
    }

    /// Notes that a ping goes out; false if one is still unanswered.
    pub(super) fn ping(&self) -> bool {
        !self.pinged.replace(true)
    }

    pub(super) fn is_overdue(&self, now: u32) -> bool {
        self.deadline
            .get()
            .is_some_and(|deadline| now.wrapping_sub(deadline) < u32::MAX / 2)
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Writes what the outbox holds, as far as the socket takes it.
    pub(super) fn flush(
        &self,
        batch: &mut Batch,
        written: &mut Written,
        now: u32,
        close_ticks: u32,
    ) -> Visit {
        for _ in 0..WRITES_A_VISIT {
            let mut cell = self.outbox.lock();
            cell.called = Call::None;
            let phase = cell.state.phase();
            if phase == Phase::Gone {
                return Visit::Over;
            }
            if phase != Phase::Open && self.deadline.get().is_none() {
                self.deadline.set(Some(now.wrapping_add(close_ticks)));
                drop(cell);
                self.outbox.wake_reader();
                cell = self.outbox.lock();
            }
            if cell.blocked {
                return Visit::Done;
            }
            if self.socket.owes() {
                drop(cell);
                match self.push_owed(written) {
                    Ok(true) => continue,
                    Ok(false) => return Visit::Done,
                    Err(error) => return self.broken(batch, &error),
                }
            }
            let due = cell.tally(&mut written.sent, |state, _| {
                state.take(&mut batch.taken, BATCH_BYTES)
            });
            let waiter = cell.has_waiter();
            drop(cell);
            if due == 0 {
                return self.await_end();
            }
            match self.write(batch) {
                Ok(n) if n == due => {
                    written.writes += 1;
                    written.bytes += due as u64;
                    written.frames += batch.taken.iter().map(Taken::count).sum::<u64>();
                    self.all_written(batch, waiter);
                }
                Ok(n) => {
                    written.writes += 1;
                    written.blocked += 1;
                    written.bytes += n as u64;
                    if !self.blocked(batch, written, n) {
                        return Visit::Done;
                    }
                }
                Err(error) => return self.broken(batch, &error),
            }
        }
        Visit::More
    }

    fn broken(&self, batch: &mut Batch, error: &io::Error) -> Visit {
        tracing::debug!(%error, "write failed");
        batch.taken.clear();
        self.outbox.fail(EndReason::Broken);
        Visit::Over
    }

    /// Moves on what TLS has encrypted but not written. Returns whether there is room for more.
    fn push_owed(&self, written: &mut Written) -> io::Result<bool> {
        if self.socket.push()? {
            return Ok(true);
        }
        written.blocked += 1;
        self.outbox.lock().blocked = true;
        Ok(self.has_room())
    }

    /// Writes the batch; fewer bytes than it holds means that the socket takes no more now.
    fn write(&self, batch: &mut Batch) -> io::Result<usize> {
        let bytes = match batch.taken.as_slice() {
            [one] => one.bytes(),
            many => {
                batch.bytes.clear();
                for item in many {
                    batch.bytes.extend_from_slice(item.bytes());
                }
                &batch.bytes
            }
        };
        self.socket.write(bytes)
    }

    fn all_written(&self, batch: &mut Batch, waiter: bool) {
        let closed = batch.taken.last().is_some_and(Taken::is_close);
        batch.taken.clear();
        if closed {
            self.outbox.lock().state.close_sent();
            // Says "nothing more comes" at once; the peer's own end is then awaited.
            if let Err(error) = self.socket.finish() {
                tracing::debug!(%error, "half-close failed");
            }
        }
        if waiter || closed {
            let waiters = self.outbox.lock().room_waiters();
            if let Some(waiters) = waiters {
                waiters.wake();
            }
        }
    }

    /// Puts the rest back and waits for room. Returns whether there is some already.
    fn blocked(&self, batch: &mut Batch, written: &mut Written, n: usize) -> bool {
        let mut cell = self.outbox.lock();
        cell.tally(&mut written.sent, |state, sent| {
            state.give_back(&mut batch.taken, n, sent);
        });
        cell.blocked = true;
        let waiters = cell.room_waiters();
        drop(cell);
        if let Some(waiters) = waiters {
            waiters.wake();
        }
        self.has_room()
    }

    /// Whether the socket takes more already; if not, the hub is called when it does.
    fn has_room(&self) -> bool {
        let waker = Waker::from(Arc::clone(&self.outbox));
        let ready = self
            .socket
            .tcp()
            .poll_write_ready(&mut Context::from_waker(&waker))
            .is_ready();
        if ready {
            self.outbox.lock().blocked = false;
        }
        ready
    }

    /// After the close frame, and when nobody reads any more: reads to the peer's end, so that
    /// closing the socket does not cut off the close frame on its way.
    fn await_end(&self) -> Visit {
        if !self.unread.get() || self.outbox.phase() != Phase::CloseSent {
            return Visit::Done;
        }
        let waker = Waker::from(Arc::clone(&self.outbox));
        let mut cx = Context::from_waker(&waker);
        let mut discard = BytesMut::new();
        for _ in 0..DISCARDS_A_VISIT {
            match self.socket.poll_readable(&mut cx) {
                Poll::Pending => return Visit::Done,
                Poll::Ready(Err(_)) => return Visit::Over,
                Poll::Ready(Ok(())) => {}
            }
            discard.clear();
            discard.reserve(COPY_MAX_BYTES);
            match self.socket.read(&mut discard) {
                Ok(0) => return Visit::Over,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Visit::Over,
                _ => {}
            }
        }
        Visit::More
    }
}
