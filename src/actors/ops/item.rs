//! What operators get: events, positions, and the cursor to go on from. Each is encoded once for all who get it.

use std::any::Any;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use crate::bus::order::Place;
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::ops::Summary;
use crate::domain::room::{Event, RoomKind};
use crate::domain::time::Timestamp;
use crate::wire::rest::{OpsEventView, OpsPositionView, OpsPositionsView};

/// A place in the feed, opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) Place);

/// A cursor that the feed did not give out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cursor must be one that the feed gave")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { epoch, at, nth } = self.0;
        write!(f, "{epoch:x}-{:x}-{:x}-{nth:x}", at.0, at.1)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        // Four numbers of 16 digits at most, and what stands between them.
        if text.len() > 4 * 16 + 3 {
            return Err(BadCursor);
        }
        let number = |part: Option<&str>| {
            let digits = part.filter(|part| part.bytes().all(|digit| digit.is_ascii_hexdigit()));
            u64::from_str_radix(digits.ok_or(BadCursor)?, 16).map_err(|_| BadCursor)
        };
        let mut parts = text.split('-');
        let place = Place {
            epoch: number(parts.next())?,
            at: (number(parts.next())?, number(parts.next())?),
            nth: number(parts.next())?,
        };
        if parts.next().is_some() {
            return Err(BadCursor);
        }
        Ok(Self(place))
    }
}

/// Something that is encoded once: the first who asks does it for all.
#[derive(Default)]
struct Once(OnceLock<Arc<dyn Any + Send + Sync>>);

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

impl Once {
    fn get<T: Send + Sync + 'static>(&self, encode: impl Fn() -> T) -> Arc<T> {
        let known = self.0.get_or_init(|| Arc::new(encode()));
        // Somebody who wants another form than the first one has to make it.
        Arc::clone(known)
            .downcast()
            .unwrap_or_else(|_| Arc::new(encode()))
    }
}

/// An event of an incident.
#[derive(Debug)]
pub struct OpsEvent {
    /// Its place.
    pub(super) place: Place,
    /// The event, as the log has it.
    pub event: Event,
    /// How the incident stands after it.
    pub summary: Summary,
    encoded: Once,
}

impl OpsEvent {
    pub(super) fn new(place: Place, event: Event, summary: Summary) -> Self {
        Self {
            place,
            event,
            summary,
            encoded: Once::default(),
        }
    }

    /// Where to go on from when this was seen.
    pub fn cursor(&self) -> Cursor {
        Cursor(self.place)
    }

    /// As JSON: the entry of `GET /sos/{id}/events`, with `sos` and `cursor`.
    pub fn json(&self) -> String {
        let cursor = self.cursor().to_string();
        let view = OpsEventView::of(&self.event, &self.summary, &cursor);
        serde_json::to_string(&view)
            .expect("invariant: it has neither maps with odd keys nor numbers that are none")
    }

    /// In somebody's own form, which is made once for all who get this event.
    pub fn encoded<T: Send + Sync + 'static>(&self, encode: impl Fn(&Self) -> T) -> Arc<T> {
        self.encoded.get(|| encode(self))
    }
}

/// Where somebody is.
#[derive(Clone, Debug, PartialEq)]
pub struct OpsPosition {
    /// The incident or the trip.
    pub room: RoomId,
    /// Which of the two.
    pub kind: RoomKind,
    /// Who.
    pub participant: ParticipantId,
    /// Where, and when.
    pub fix: Fix,
}

/// The newest position of everybody who moved since the last time, over all nodes.
#[derive(Debug)]
pub struct OpsPositions {
    /// When they were gathered.
    pub at: Timestamp,
    /// Each participant of each incident and trip once.
    pub positions: Vec<OpsPosition>,
    encoded: Once,
}

impl OpsPositions {
    pub(super) fn new(at: Timestamp, positions: Vec<OpsPosition>) -> Self {
        Self {
            at,
            positions,
            encoded: Once::default(),
        }
    }

    /// As JSON: `{positions: [{sosId | tripId, participantId, latitude, …}], at}`.
    pub fn json(&self) -> String {
        let shown = self.positions.iter();
        let shown = shown.map(|one| OpsPositionView::of(&one.room, one.kind, one.participant, &one.fix));
        let view = OpsPositionsView::new(self.at, shown.collect());
        serde_json::to_string(&view).expect("invariant: a position has numbers only")
    }

    /// In somebody's own form, which is made once for all.
    pub fn encoded<T: Send + Sync + 'static>(&self, encode: impl Fn(&Self) -> T) -> Arc<T> {
        self.encoded.get(|| encode(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_are_written_and_nothing_else_is() {
        let cursor = Cursor(Place {
            epoch: u64::MAX,
            at: (1_700_000_000_000, 3),
            nth: 2,
        });
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let bad = [
            "",
            "1-2-3",
            "1-2-3-4-5",
            "x-1-2-3",
            "+1-2-3-4",
            "1-2-3-",
            &"f".repeat(80),
        ];
        for text in bad {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }

    #[test]
    fn what_many_get_is_encoded_once() {
        let positions = OpsPositions::new(Timestamp::default(), vec![]);
        let one = positions.encoded(OpsPositions::json);
        assert!(Arc::ptr_eq(&one, &positions.encoded(|_| String::new())));
        assert_eq!(*positions.encoded(|_| 7_u8), 7, "another form");
    }
}
