//! In which dialect a session is spoken to, and what an incident client gets beside the news: how far it is in each
//! room, so that it can come back (protocol page, section 4; Socket.IO's connection state recovery).

use std::fmt::Write as _;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::delivery::{Frame, Mark, Tongue};
use crate::domain::ids::RoomId;
use crate::domain::room::Seq;
use crate::wire::incident::Word;
use crate::wire::socketio::Namespace;

/// The tongue of the JSON dialect.
pub const JSON: Tongue = Tongue::new(0);

/// The namespaces of incident clients, in which the same is said, each with its tongue.
pub static INCIDENT: [(Namespace, Tongue); 2] = [
    (Namespace::MAIN, Tongue::new(1)),
    (Namespace::of_static("/sos"), Tongue::new(2)),
];

/// That of seats in which no room is heard.
const SILENCE: Tongue = Tongue::new(3);

/// The dialect of a session.
#[derive(Debug)]
pub enum Voice {
    /// One JSON object in each frame.
    Json,
    /// Events of Socket.IO.
    Incident(Box<Incident>),
}

/// An incident client's seat in a namespace.
#[derive(Debug)]
pub struct Incident {
    namespace: Namespace,
    tongue: Tongue,
    /// How far they are in each room; `None` when they are not told.
    places: Option<Mutex<Places>>,
}

type Places = SmallVec<[Place; 1]>;

/// How far somebody is in a room.
#[derive(Debug)]
struct Place {
    /// The room's number on this node.
    number: u64,
    room: RoomId,
    seq: u64,
}

impl Incident {
    /// A seat in a namespace; in one that is none of [`INCIDENT`] no room is heard. With `recovers` the client is told how far it
    /// is.
    pub fn new(namespace: &Namespace, recovers: bool) -> Self {
        let known = INCIDENT.iter().find(|(known, _)| known == namespace);
        Self {
            namespace: namespace.clone(),
            tongue: known.map_or(SILENCE, |(_, tongue)| *tongue),
            places: recovers.then(Mutex::default),
        }
    }

    /// Whether rooms are heard there.
    pub(super) fn hears_rooms(&self) -> bool {
        self.tongue != SILENCE
    }

    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(super) fn tongue(&self) -> Tongue {
        self.tongue
    }

    pub(super) fn recovers(&self) -> bool {
        self.places.is_some()
    }

    pub(super) fn frame(&self, words: &[Word]) -> Option<Frame> {
        frame(&self.namespace, words)
    }

    /// They begin in a room, having what stands before `seq`.
    pub(super) fn begin(&self, room: &RoomId, mark: Mark) {
        if let Some(places) = &self.places {
            let mut places = places.lock();
            places.retain(|place| place.room != *room);
            places.push(Place {
                number: mark.room,
                room: room.clone(),
                seq: mark.seq,
            });
        }
    }

    pub(super) fn leave(&self, room: &RoomId) {
        if let Some(places) = &self.places {
            places.lock().retain(|place| place.room != *room);
        }
    }

    /// What everybody gets, with how far these are.
    pub(super) fn version(&self, shared: &Frame, mark: Mark) -> Frame {
        let Some(places) = &self.places else {
            return shared.clone();
        };
        let mut places = places.lock();
        let mut offset = String::with_capacity(48);
        for place in places.iter_mut() {
            if place.number == mark.room {
                place.seq = place.seq.max(mark.seq);
            }
            // Writing into a string does not fail.
            let separator = if offset.is_empty() { "" } else { ";" };
            let _ = write!(offset, "{separator}{}:{}", place.room.as_str(), place.seq);
        }
        drop(places);
        with_offset(shared, &offset)
    }
}

/// What a client tells of how far it was, as [`Incident`] told it; `None` when it is not that, or of more rooms than
/// `max`.
pub fn read_offset(offset: &str, max: usize) -> Option<Vec<(RoomId, Seq)>> {
    let mut places = Vec::new();
    for place in offset.split(';').filter(|place| !place.is_empty()) {
        let (room, seq) = place.rsplit_once(':')?;
        let place = (RoomId::new(room).ok()?, Seq::new(seq.parse().ok()?));
        if places.len() >= max {
            return None;
        }
        places.push(place);
    }
    Some(places)
}

/// Events for a namespace, as they leave by a WebSocket; `None` when there are none.
pub fn frame(namespace: &Namespace, words: &[Word]) -> Option<Frame> {
    if words.is_empty() {
        return None;
    }
    let mut frames: SmallVec<[Frame; 3]> = SmallVec::new();
    let mut text = Vec::with_capacity(words.iter().map(|word| word.body.len()).max().unwrap_or(0) + 64);
    for word in words {
        text.clear();
        text.extend_from_slice(b"42");
        if !namespace.is_main() {
            text.extend_from_slice(namespace.as_str().as_bytes());
            text.push(b',');
        }
        text.extend_from_slice(b"[\"");
        text.extend_from_slice(word.name.as_bytes());
        text.extend_from_slice(b"\",");
        text.extend_from_slice(word.body.as_bytes());
        text.push(b']');
        frames.push(Frame::text(&text));
    }
    Some(Frame::joined(&frames))
}

/// Adds a last argument to each event. The offset is of our own letters and needs no escaping.
fn with_offset(events: &Frame, offset: &str) -> Frame {
    let mut frames: SmallVec<[Frame; 3]> = SmallVec::new();
    let mut text = Vec::with_capacity(events.len() + offset.len() + 8);
    for event in events.apart() {
        let Some(rest) = event.payload().strip_suffix(b"]") else {
            frames.push(event);
            continue;
        };
        text.clear();
        text.extend_from_slice(rest);
        text.extend_from_slice(b",\"");
        text.extend_from_slice(offset.as_bytes());
        text.extend_from_slice(b"\"]");
        frames.push(Frame::text(&text));
    }
    Frame::joined(&frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::room;

    fn texts(frame: &Frame) -> Vec<String> {
        let text = |frame: Frame| String::from_utf8_lossy(frame.payload()).into_owned();
        frame.apart().map(text).collect()
    }

    fn words() -> Vec<Word> {
        ["sos:close", "sos:closed"]
            .map(|name| Word {
                name,
                body: "{\"a\":1}".into(),
            })
            .into()
    }

    #[test]
    fn a_thing_is_told_under_each_of_its_names() {
        let main = frame(&Namespace::MAIN, &words()).unwrap();
        assert_eq!(
            texts(&main),
            ["42[\"sos:close\",{\"a\":1}]", "42[\"sos:closed\",{\"a\":1}]"]
        );
        let sos = frame(&Namespace::new("/sos").unwrap(), &words()[..1]).unwrap();
        assert_eq!(texts(&sos), ["42/sos,[\"sos:close\",{\"a\":1}]"]);
        assert_eq!(frame(&Namespace::MAIN, &[]), None);
    }

    #[test]
    fn the_offset_tells_how_far_one_is_in_every_room() {
        let incident = Incident::new(&Namespace::MAIN, true);
        let mark = |room, seq| Mark { room, seq };
        incident.begin(&room("a"), mark(1, 3));
        incident.begin(&room("b"), mark(2, 7));
        let shared = frame(&Namespace::MAIN, &words()).unwrap();
        let told = texts(&incident.version(&shared, mark(1, 4)));
        let offset = format!("{}:4;{}:7", room("a").as_str(), room("b").as_str());
        assert_eq!(told[0], format!("42[\"sos:close\",{{\"a\":1}},\"{offset}\"]"));
        assert_eq!(told[1], format!("42[\"sos:closed\",{{\"a\":1}},\"{offset}\"]"));
        let places = read_offset(&offset, 2).unwrap();
        assert_eq!(places, [(room("a"), Seq::new(4)), (room("b"), Seq::new(7))]);
        assert_eq!(read_offset(&offset, 1), None);

        incident.leave(&room("a"));
        let told = texts(&incident.version(&shared, mark(2, 8)));
        assert!(
            told[0].ends_with(&format!("\"{}:8\"]", room("b").as_str())),
            "{told:?}"
        );
        // One that comes late does not move anybody back.
        let told = texts(&incident.version(&shared, mark(2, 5)));
        assert!(told[0].ends_with(":8\"]"), "{told:?}");
    }

    #[test]
    fn an_offset_that_is_none_is_seen() {
        for wrong in ["x", "a:b", ":3", "a:-1", "a:3;b"] {
            assert_eq!(read_offset(wrong, 9), None, "{wrong}");
        }
        assert_eq!(read_offset("", 9), Some(vec![]));
    }

    #[test]
    fn a_client_that_does_not_recover_gets_what_all_get() {
        let incident = Incident::new(&Namespace::MAIN, false);
        let shared = frame(&Namespace::MAIN, &words()).unwrap();
        assert_eq!(incident.version(&shared, Mark { room: 1, seq: 1 }), shared);
        assert!(!Incident::new(&Namespace::new("/admin").unwrap(), true).hears_rooms());
    }
}
