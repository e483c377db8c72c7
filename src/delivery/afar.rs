//! A client that fetches what it is owed, now and then, rather than being sent it.
//!
//! Its outbox stands on the worker's hub like that of a socket: between two visits it is like one that takes nothing,
//! so that newer signals replace older ones; while somebody waits to fetch, the hub calls them instead of writing. When
//! the client comes by a socket, the socket takes its place ([`Inbound::board`](crate::transport::Inbound::board)), and
//! what waits leaves by it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::hub::Local;
use super::{Conn, EndReason, Frame, Outbox, Phase, Socket};

/// The place of such a client. Dropped, its outbox is closed for good.
#[derive(Debug)]
pub struct Afar {
    local: Rc<Local>,
    outbox: Arc<Outbox>,
    /// A socket has taken the place.
    boarded: Cell<bool>,
}

impl Afar {
    pub(super) fn new(local: Rc<Local>, outbox: Arc<Outbox>) -> Self {
        Self {
            local,
            outbox,
            boarded: Cell::new(false),
        }
    }

    /// What the client is owed.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Waits until something can be fetched, or the outbox is being closed.
    pub fn poll_owed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut cell = self.outbox.lock();
        cell.blocked = false;
        if cell.state.queued_bytes() > 0 || cell.state.phase() != Phase::Open {
            return Poll::Ready(());
        }
        cell.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Nobody waits to fetch any more: newer signals replace older ones until somebody does.
    pub fn pause(&self) {
        self.outbox.lock().blocked = true;
    }

    /// Takes about so many bytes of what the client is owed. The close frame, of which it would understand nothing, is
    /// left out: see [`Outbox::end_reason`].
    #[must_use]
    pub fn fetch(&self, max_bytes: usize) -> Vec<Frame> {
        self.outbox.fetch(max_bytes)
    }

    /// Puts a socket in the client's place.
    pub(crate) fn board(&self, socket: Socket) -> Rc<Conn> {
        self.boarded.set(true);
        self.local.board(socket, &self.outbox)
    }

    /// The connection that `conn` is on is to end here: its socket goes elsewhere. `None` when somebody else holds it.
    pub(crate) fn release(&self, conn: Rc<Conn>) -> Option<Socket> {
        self.local.release(conn)
    }
}

impl Drop for Afar {
    fn drop(&mut self) {
        if !self.boarded.get() {
            self.outbox.fail(EndReason::PeerGone);
            self.local.remove(self.outbox.slot());
        }
    }
}
