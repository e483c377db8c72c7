//! What must hold for whatever bytes arrive, for `fuzz/` and for a test that tries a few of them each time.
//!
//! Each function takes any bytes and returns, or fails an assertion: nothing else of the crate uses it.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::domain::phone::Region;
use crate::domain::time::Timestamp;
use crate::wire::Reading;
use crate::wire::json::{self, BAD_JSON, INVALID_FIELD, UNKNOWN_TYPE};
use crate::wire::rest::{
    Batch, BodyError, CancelBody, CloseBody, CreateSos, DeviceInfo, EventsQuery, JoinBody, LocationBody,
    LocationsQuery, MessageBody, MessagesQuery, ParticipantsQuery, SosListQuery, StatusBody, contacts,
};

pub use crate::transport::fuzzing::frames;

const READING: Reading = Reading {
    now: Timestamp::from_ms(1_800_000_000_000),
    max_ahead: Duration::from_secs(120),
    radius_max_km: 25,
    content_max_chars: 2_000,
};
/// Entries of a list, at most.
const ENTRIES_MAX: usize = 100;

/// A text frame of the JSON dialect.
pub fn client_message(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = json::parse(text, &READING);
    assert_eq!(
        read,
        json::parse(text, &READING),
        "it reads otherwise the second time"
    );
    match &read {
        Err(error) => {
            assert!([BAD_JSON, UNKNOWN_TYPE, INVALID_FIELD].contains(&error.code));
            assert_eq!(error.code == BAD_JSON, error.field.is_none(), "{error:?}");
            let field = error.field.unwrap_or_default();
            assert!(
                error.message.contains(field),
                "{field:?} is not named: {}",
                error.message
            );
            assert!(!error.message.is_empty());
        }
        Ok(_) => {
            assert_eq!(
                read,
                json::parse(&format!(" \n{text}\t"), &READING),
                "blanks change it"
            );
            if let Some(again) = rewritten(text) {
                assert_eq!(
                    read,
                    json::parse(&again, &READING),
                    "written anew it reads otherwise: {again}"
                );
            }
        }
    }
}

/// The same JSON as another program would write it; `None` when that may mean something else to us: a number that
/// does not survive, a name that is there twice.
fn rewritten(text: &str) -> Option<String> {
    serde_json::from_str::<NothingTwice>(text).ok()?;
    let value: Value = serde_json::from_str(text).ok()?;
    let again = value.to_string();
    (serde_json::from_str::<Value>(&again).ok()? == value).then_some(again)
}

/// JSON in which no object has two members of one name.
struct NothingTwice;

impl<'de> Deserialize<'de> for NothingTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NothingTwice {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = object.next_entry::<String, Self>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(self)
    }
}

/// A body or a query of a REST request: the first byte says of which.
pub fn rest(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    let region = Region::new("PH").expect("invariant: a country that numbers its phones");
    match which % 15 {
        0 => body(rest, CreateSos::parse),
        1 => body(rest, StatusBody::parse),
        2 => body(rest, CancelBody::parse),
        3 => body(rest, CloseBody::parse),
        4 => body(rest, DeviceInfo::parse),
        5 => body(rest, |body| JoinBody::parse(body, region)),
        6 => body(rest, |body| MessageBody::parse(body, &READING)),
        7 => body(rest, |body| LocationBody::parse(body, &READING)),
        8 => body(rest, |body| Batch::parse(body, &READING, ENTRIES_MAX)),
        9 => body(rest, |body| contacts(body, region, ENTRIES_MAX)),
        10 => query(rest, SosListQuery::parse, |query| {
            assert!((1..=ENTRIES_MAX).contains(&query.limit));
            query
                .cursor
                .as_ref()
                .map(crate::wire::rest::IncidentCursor::encode)
        }),
        11 => query(rest, LocationsQuery::parse, |query| {
            assert!((1..=ENTRIES_MAX).contains(&query.limit));
            query.cursor.as_ref().map(crate::wire::rest::PersonCursor::encode)
        }),
        12 => query(rest, ParticipantsQuery::parse, |query| {
            query.cursor.as_ref().map(crate::wire::rest::PersonCursor::encode)
        }),
        13 => query(rest, MessagesQuery::parse, |_| None),
        _ => query(rest, EventsQuery::parse, |_| None),
    }
}

fn body<T: Debug>(bytes: &[u8], parse: impl Fn(&[u8]) -> Result<T, BodyError>) {
    let read = parse(bytes);
    let said = format!("{read:?}");
    assert_eq!(
        said,
        format!("{:?}", parse(bytes)),
        "it reads otherwise the second time"
    );
    match read {
        Err(error) => refused(&error),
        Ok(_) => {
            let again = std::str::from_utf8(bytes).ok().and_then(rewritten);
            if let Some(again) = again {
                let read = format!("{:?}", parse(again.as_bytes()));
                assert_eq!(said, read, "written anew it reads otherwise: {again}");
            }
        }
    }
}

fn query<T: Debug + PartialEq>(
    bytes: &[u8],
    parse: impl Fn(&str) -> Result<T, BodyError>,
    cursor: impl Fn(&T) -> Option<String>,
) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = parse(text);
    match &read {
        Err(error) => refused(error),
        Ok(query) => {
            assert_eq!(read, parse(text), "it reads otherwise the second time");
            let Some(cursor) = cursor(query) else { return };
            // A cursor that was taken is one that we would write.
            let again = parse(&format!("cursor={cursor}"));
            assert!(again.is_ok(), "{cursor} is refused: {again:?}");
        }
    }
}

fn refused(error: &BodyError) {
    assert!(!error.to_string().is_empty());
    match error {
        BodyError::Json(why) => assert!(!why.is_empty()),
        BodyError::Fields(fields) => {
            assert!(!fields.is_empty(), "nothing is said to be wrong");
            for field in fields {
                assert!(!field.field.is_empty() && !field.message.is_empty(), "{field:?}");
            }
        }
    }
}

/// A message from another node.
pub fn bus_message(bytes: &[u8]) {
    use crate::bus::envelope::{Unread, decode, encode, speaker};

    match decode(bytes) {
        Ok((from, news)) => {
            assert_eq!(speaker(bytes), Some(from));
            let again = encode(from, &news);
            assert_eq!(
                decode(&again),
                Ok((from, news)),
                "written anew it reads otherwise"
            );
        }
        Err(Unread::Version(version)) => assert!(version > 1),
        Err(Unread::Kind(kind)) => assert_eq!(bytes.get(9), Some(&kind)),
        Err(Unread::Damaged) => {}
    }
}

/// Bytes of Engine.IO and Socket.IO; the first says what they are.
pub fn socketio(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    match which % 4 {
        0 => engine_payload(rest),
        1 => socketio_messages(rest),
        2 => engine_entry(rest),
        _ => engine_session(rest),
    }
}

fn engine_payload(bytes: &[u8]) {
    use crate::wire::socketio::engine::{Packet, decode_payload};

    let Ok(packets) = decode_payload(bytes.to_vec().into()) else {
        return;
    };
    for packet in packets.flatten() {
        let again = Packet::decode(packet.encode());
        assert_eq!(again, Ok(packet), "written anew it reads otherwise");
    }
}

/// Messages are divided by line ends; one that begins with `b` is binary.
fn socketio_messages(bytes: &[u8]) {
    use crate::wire::socketio::engine::{Data, Packet as Message};
    use crate::wire::socketio::{AttachmentLimits, Decoder};

    let limits = AttachmentLimits {
        max: 10,
        max_bytes: 100,
    };
    let mut decoder = Decoder::new(limits);
    for line in bytes.split(|byte| *byte == b'\n') {
        let message = match line.strip_prefix(b"b") {
            Some(binary) => Data::Binary(binary.to_vec().into()),
            None => Data::Text(String::from_utf8_lossy(line).into_owned().into()),
        };
        let Ok(packet) = decoder.read(message) else {
            return;
        };
        let Some(packet) = packet else { continue };
        let mut again = Decoder::new(limits);
        let mut read = Ok(None);
        for frame in packet.encode().into_frames() {
            let Ok(Message::Message(data)) = Message::decode(frame) else {
                unreachable!("a packet is made of messages");
            };
            read = again.read(data);
        }
        assert_eq!(read, Ok(Some(packet)), "written anew it reads otherwise");
    }
}

fn engine_entry(bytes: &[u8]) {
    use crate::wire::socketio::engine::Entry;

    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (method, query) = text.split_once(' ').unwrap_or(("GET", text));
    for upgrade in [false, true] {
        match Entry::read(method, query, upgrade) {
            Ok(entry) => assert_ne!(entry.sid(), Some(""), "a session without a name"),
            Err(error) => assert!(serde_json::from_str::<Value>(&error.body()).is_ok()),
        }
    }
}

/// Each line is something that happens to a connection that polls: its first byte says what, the rest is the body.
fn engine_session(bytes: &[u8]) {
    use std::sync::Arc;
    use std::time::Instant;

    use crate::wire::socketio::engine::{Effect, Frame, Transport};
    use crate::wire::socketio::{Connection, Event, Settings};

    let mut now = Instant::now();
    let mut connection = Connection::open(Arc::new(Settings::default()), "s".into(), Transport::Polling, now);
    let (mut sockets, mut over) = (Vec::new(), false);
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((what, rest)) = line.split_first() else {
            continue;
        };
        let text = || Frame::Text(String::from_utf8_lossy(rest).into_owned().into());
        connection.transport(|session| match what {
            b'g' => drop(session.poll(now)),
            b'p' => {
                let begun = session.begin_post(None, now);
                drop(begun.and_then(|()| session.post(rest.to_vec().into(), now)));
            }
            b'a' => sockets.extend(session.attach(now)),
            b't' => sockets
                .iter()
                .for_each(|socket| session.frame(*socket, text(), now)),
            b'w' => {
                now += Duration::from_secs(7);
                session.tick(now);
            }
            b'c' => session.close(),
            _ => {}
        });
        let mut asked = Vec::new();
        for effect in connection.take_effects() {
            assert!(!over, "after the end: {effect:?}");
            match effect {
                Effect::Event(Event::Closed(_)) => over = true,
                Effect::Event(Event::Connecting { namespace, .. }) => asked.push(namespace),
                _ => {}
            }
        }
        for namespace in asked {
            connection.accept(&namespace, "x", None);
        }
    }
}
