//! Operators in `/admin`: they follow the feed of all incidents.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::outcome::{Done, Refused};
use crate::actors::node::Node;
use crate::actors::ops::{Cursor, Following, OpsError, OpsEvent, OpsPositions, OpsSink};
use crate::actors::session::SessionShared;
use crate::actors::session::voice::frame;
use crate::delivery::{Frame, SignalKey};
use crate::domain::ops::Filter;
use crate::domain::room::Rejection;
use crate::domain::scopes::Scope;
use crate::wire::incident::{INVALID_FIELD, Word, admin};
use crate::wire::socketio::Namespace;

/// Where they sit.
pub static ADMIN: Namespace = Namespace::of_static("/admin");

/// Names where everybody is among the signals of a session. Rooms count from 1, and 0 is taken by confirmations.
const POSITIONS: SignalKey = SignalKey { room: 0, subject: 1 };

/// Has somebody follow what passes the filter, after the cursor if there is one. They follow as long as what this answers
/// is held.
pub(super) fn follow(
    node: &Node,
    session: &Arc<SessionShared>,
    filter: Filter,
    cursor: Option<&str>,
) -> Result<(Following, Done), Refused> {
    let reading = session.identity().allows(Scope::IncidentsRead);
    reading.map_err(Rejection::OutOfScope)?;
    let cursor = cursor
        .map(str::parse::<Cursor>)
        .transpose()
        .map_err(|bad| Refused {
            field: Some("cursor"),
            ..Refused::new(INVALID_FIELD, bad.to_string())
        })?;
    let sink = Arc::new(Seat(Arc::clone(session)));
    let following = node.ops.follow(filter, cursor, sink).map_err(|error| {
        let code = match error {
            OpsError::TooMany => "BUSY",
            OpsError::Away => "TIMEOUT",
        };
        Refused::new(code, error.to_string())
    })?;
    Ok((following, Done::nothing()))
}

/// An operator's seat, as the feed knows it.
struct Seat(Arc<SessionShared>);

/// Written once for all who get it.
fn written(word: Word) -> Option<Frame> {
    frame(&ADMIN, &[word])
}

impl OpsSink for Seat {
    fn event(&self, event: &Arc<OpsEvent>) {
        let frame = event.encoded(|event| written(admin::event(event.json())));
        if let Some(frame) = &*frame {
            let _ = self.0.outbox().push_event(frame);
        }
    }

    fn positions(&self, positions: &Arc<OpsPositions>) {
        let frame = positions.encoded(|positions| written(admin::positions(positions.json())));
        if let Some(frame) = &*frame {
            self.0.push_signal(POSITIONS, frame);
        }
    }

    fn begins(&self, cursor: Cursor, gap: bool) {
        self.0.say(&[admin::subscribed(&cursor.to_string(), gap)]);
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn queued_bytes(&self) -> usize {
        self.0.outbox().queued_bytes()
    }

    fn drained(&self, below: usize) -> BoxFuture<'static, ()> {
        self.0.outbox().drained(below).boxed()
    }
}
