//! A client's seat in a namespace: a session like any other.

use std::any::Any;
use std::sync::Arc;

use crate::actors::node::Node;
use crate::actors::ops::Following;
use crate::actors::session::voice::{Incident, Voice};
use crate::actors::session::{Lease, SessionShared};
use crate::delivery::{EndReason, Outbox};
use crate::wire::socketio::Namespace;

use super::door::Admitted;

/// A seat.
pub(super) struct Seat {
    pub namespace: Namespace,
    pub session: Arc<SessionShared>,
    pub lease: Lease,
    /// The feed that they follow, in `/admin`.
    pub following: Option<Following>,
    _guard: Box<dyn Any + Send>,
}

impl Seat {
    /// Somebody sits down. With `recovers` they are told how far they are in every room.
    pub fn take(
        node: &Arc<Node>,
        outbox: &Arc<Outbox>,
        namespace: Namespace,
        admitted: Admitted,
        recovers: bool,
    ) -> Self {
        let Admitted {
            credential,
            pass,
            guard,
        } = admitted;
        let voice = Voice::Incident(Box::new(Incident::new(&namespace, recovers)));
        let session = SessionShared::new(
            credential.identity,
            (Arc::clone(outbox), voice),
            Arc::clone(&node.clock),
            pass,
            node.settings.session_rooms_max,
        );
        node.directory.count_in();
        node.directory.add(&session);
        node.note_session(&session, true);
        Self {
            namespace,
            session,
            lease: Lease::new(credential.expires_at, credential.judge),
            following: None,
            _guard: guard,
        }
    }

    /// They are gone: no room seats them any more.
    pub fn leave(self, node: &Node) {
        let session = &self.session;
        let reason = session.outbox().end_reason().map_or("left", EndReason::label);
        tracing::debug!(session = %session.id(), reason, "session ended");
        node.directory.count_out();
        node.directory.remove(session);
        node.note_session(session, false);
        for room in session.end() {
            if let Some(room) = node.registry.peek(&room) {
                room.depart(session.id());
            }
        }
    }
}
