//! What stands in the keys: JSON and fields that other programs read (protocol page, section 6). Names are only added.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::bus::{IncidentNote, SessionNote, Sighting};
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{ParticipantId, RoomId, UserId};
use crate::domain::people::{Contact, Role};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::RoomKind;
use crate::domain::time::Timestamp;
use crate::store::KeptFix;
use crate::wire::stamp::rfc3339_text;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    sos_id: &'a str,
    citizen_id: Option<&'a str>,
    status: &'static str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Place>,
    last_location_update: Option<String>,
    participants: Vec<Member>,
    participants_count: usize,
    seq: u64,
}

#[derive(Serialize)]
struct Place {
    latitude: f64,
    longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    id: String,
    user_type: &'static str,
}

/// An incident as JSON.
pub(super) fn state(note: &IncidentNote) -> String {
    let (closed_at, closed_by) = note.closed.unzip();
    let state = State {
        sos_id: note.sos.as_str(),
        citizen_id: note.citizen.as_deref(),
        status: note.status.as_str(),
        created_at: rfc3339_text(note.created_at),
        closed_at: closed_at.map(rfc3339_text),
        closed_by: closed_by.flatten().map(|who| who.to_string()),
        location: note.location.map(|(position, accuracy)| Place {
            latitude: position.latitude(),
            longitude: position.longitude(),
            accuracy,
        }),
        last_location_update: note.located_at.map(rfc3339_text),
        participants: note
            .participants
            .iter()
            .map(|(who, user_type)| Member {
                id: who.to_string(),
                user_type: user_type.as_str(),
            })
            .collect(),
        participants_count: note.count,
        seq: note.seq,
    };
    serde_json::to_string(&state).unwrap_or_default()
}

/// The fields of a session's hash.
pub(super) fn session(note: &SessionNote) -> Vec<(&'static str, String)> {
    vec![
        ("userId", note.user.to_string()),
        ("role", note.role.as_str().to_owned()),
        ("name", note.name.clone().unwrap_or_default()),
        ("sessionId", note.session.clone()),
        ("connectedAt", note.connected_at.ms().to_string()),
        ("lastSeen", note.seen_at.ms().to_string()),
        ("node", note.node.clone()),
        ("online", u8::from(note.online).to_string()),
    ]
}

/// Reads what [`session`] wrote; `None` for what no node wrote.
pub(super) fn read_session(fields: &std::collections::HashMap<String, String>) -> Option<SessionNote> {
    let text = |name: &str| fields.get(name).cloned();
    let ms = |name: &str| text(name)?.parse().ok().map(Timestamp::from_ms);
    Some(SessionNote {
        user: UserId::new(text("userId")?).ok()?,
        role: Role::parse(&text("role")?)?,
        name: text("name").filter(|name| !name.is_empty()),
        session: text("sessionId")?,
        connected_at: ms("connectedAt")?,
        seen_at: ms("lastSeen")?,
        node: text("node")?,
        online: text("online")? == "1",
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Here<'a> {
    status: &'static str,
    session_id: &'a str,
    last_seen: i64,
}

/// What a node says of a user who is connected to it.
pub(super) fn presence(note: &SessionNote) -> String {
    let here = Here {
        status: "online",
        session_id: &note.session,
        last_seen: note.seen_at.ms(),
    };
    serde_json::to_string(&here).unwrap_or_default()
}

#[derive(Serialize, Deserialize)]
struct Listed {
    name: String,
    phone_no: String,
}

/// A contact as JSON.
pub(super) fn contact(contact: &Contact) -> String {
    let listed = Listed {
        name: contact.name.clone(),
        phone_no: contact.phone.reveal().to_owned(),
    };
    serde_json::to_string(&listed).unwrap_or_default()
}

/// Reads what [`contact`] wrote.
pub(super) fn read_contact(text: &str) -> Option<Contact> {
    let listed: Listed = serde_json::from_str(text).ok()?;
    // How else they are told nobody asks the board.
    Some(Contact::new(
        listed.name,
        PhoneNumber::from_e164(&listed.phone_no).ok()?,
    ))
}

/// The names of an entry's fields in the stream, in their order; what is not known is an empty text.
pub(super) const ENTRY: [&str; 9] = [
    "roomId",
    "participantId",
    "latitude",
    "longitude",
    "accuracy",
    "speed",
    "heading",
    "timestamp",
    "late",
];

/// The field of an entry that history is to keep: that of others is not there.
pub(super) const KEEP: &str = "keep";

/// The field that says what the room is, where staff may see it.
pub(super) const KIND: &str = "kind";

/// What an entry says of its room: that of a circle says nothing.
pub(super) fn shown_kind(kind: RoomKind) -> Option<&'static str> {
    matches!(kind, RoomKind::Sos | RoomKind::Trip).then(|| kind.as_str())
}

/// Reads an entry of an incident or a trip; `None` for any other.
pub(super) fn read_sighting(fields: &HashMap<String, String>) -> Option<Sighting> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    let kind = field(KIND)?;
    let kind = RoomKind::ALL
        .iter()
        .copied()
        .find(|known| known.as_str() == kind)?;
    let mut values = ENTRY[2..8].iter();
    Some(Sighting {
        room: RoomId::new(field(ENTRY[0])?).ok()?,
        participant: field(ENTRY[1])?.parse().ok()?,
        fix: read_fix(|| field(values.next()?))?,
        newest: field(ENTRY[8])? == "0",
        kind,
        keep: field(KEEP).is_some(),
    })
}

/// The values of an entry's fields behind the room's and the participant's, in a buffer that is used again.
pub(super) fn entry(fix: &Fix, late: bool, mut field: impl FnMut(&[u8])) {
    let mut text = String::with_capacity(24);
    let mut number = |number: &dyn std::fmt::Display| {
        text.clear();
        // Writing into a text cannot fail.
        let _ = write!(text, "{number}");
        field(text.as_bytes());
    };
    number(&fix.position.latitude());
    number(&fix.position.longitude());
    for extra in [fix.accuracy, fix.speed, fix.heading] {
        match extra {
            Some(extra) => number(&extra),
            None => number(&""),
        }
    }
    number(&fix.at.ms());
    number(&u8::from(late));
}

/// Reads an entry of the stream, names and values in turn: `None` for what is none, `Some(None)` for one that history
/// does not keep.
pub(super) fn read_entry(fields: &[Vec<u8>]) -> Option<Option<KeptFix>> {
    let field = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0] == name.as_bytes())?;
        std::str::from_utf8(&pair[1]).ok()
    };
    let room = RoomId::new(field(ENTRY[0])?).ok()?;
    if field(KEEP).is_none() {
        return Some(None);
    }
    let mut values = ENTRY[2..8].iter();
    let fix = read_fix(|| field(values.next()?))?;
    Some(Some(KeptFix {
        room,
        participant: field(ENTRY[1])?.parse().ok()?,
        fix,
        // A late one is held against those around it by the store.
        sampled: field(ENTRY[8])? == "0",
    }))
}

/// A newest position: what is known of it, separated by commas.
pub(super) fn newest(fix: &Fix) -> String {
    let mut text = String::with_capacity(64);
    entry(fix, false, |field| {
        text.push_str(std::str::from_utf8(field).unwrap_or_default());
        text.push(',');
    });
    text
}

/// Reads what [`newest`] wrote.
pub(super) fn read_newest(who: &str, text: &str) -> Option<(ParticipantId, Fix)> {
    let mut fields = text.split(',');
    Some((who.parse().ok()?, read_fix(|| fields.next())?))
}

/// Reads what [`entry`] wrote of a fix, field by field.
fn read_fix<'a>(mut field: impl FnMut() -> Option<&'a str>) -> Option<Fix> {
    let mut number = || field()?.parse::<f64>().ok();
    let position = Position::new(number()?, number()?).ok()?;
    let mut extra = || match field()? {
        "" => Some(None),
        text => text.parse::<f64>().ok().map(Some),
    };
    let (accuracy, speed, heading) = (extra()?, extra()?, extra()?);
    let at = Timestamp::from_ms(field()?.parse().ok()?);
    Fix::new(position, at).with_motion(accuracy, speed, heading).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::Status;
    use crate::domain::room::UserType;
    use crate::domain::testing::{person, room};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn an_incident_is_told_as_the_contract_says() {
        let mut note = IncidentNote {
            sos: room("s1"),
            citizen: Some("u-1".into()),
            status: Status::Responding,
            created_at: Timestamp::from_ms(1_763_687_926_087),
            closed: None,
            location: None,
            located_at: None,
            participants: vec![(person(1), UserType::Citizen)],
            count: 1,
            seq: 3,
        };
        let read = |note: &IncidentNote| serde_json::from_str::<Value>(&state(note)).unwrap();
        assert_eq!(
            read(&note),
            json!({
                "sosId": "s1", "citizenId": "u-1", "status": "RESPONDING", "createdAt": "2025-11-21T01:18:46.087Z",
                "lastLocationUpdate": null, "participantsCount": 1, "seq": 3,
                "participants": [{"id": "p-0000000000000001", "userType": "CITIZEN"}],
            })
        );
        note.closed = Some((Timestamp::from_ms(1_763_687_927_000), Some(person(2))));
        note.location = Some((Position::new(14.5, 121.0).unwrap(), Some(5.0)));
        note.located_at = Some(Timestamp::from_ms(1_763_687_926_500));
        let told = read(&note);
        assert_eq!(told["closedAt"], "2025-11-21T01:18:47.000Z");
        assert_eq!(told["closedBy"], "p-0000000000000002");
        assert_eq!(
            told["location"],
            json!({"latitude": 14.5, "longitude": 121.0, "accuracy": 5.0})
        );
        assert_eq!(told["lastLocationUpdate"], "2025-11-21T01:18:46.500Z");
    }

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let note = SessionNote {
            user: UserId::new("u-1").unwrap(),
            role: Role::Rescuer,
            name: None,
            session: "c1".into(),
            connected_at: Timestamp::from_ms(5),
            seen_at: Timestamp::from_ms(7),
            node: "00ff".into(),
            online: true,
        };
        let fields = session(&note)
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text));
        let mut fields: std::collections::HashMap<_, _> = fields.collect();
        assert_eq!(read_session(&fields), Some(note));
        fields.insert("role".into(), "KING".into());
        assert_eq!(read_session(&fields), None);
    }

    #[test]
    fn a_contact_is_read_as_it_was_written() {
        let ben = Contact::new("Ben \"B\"", PhoneNumber::from_e164("+639171234502").unwrap());
        assert_eq!(read_contact(&contact(&ben)), Some(ben));
        assert_eq!(read_contact("{}"), None);
    }

    proptest! {
        #[test]
        fn a_position_is_read_as_it_was_written(
            lat in -90.0..=90.0f64, lon in -180.0..=180.0f64, accuracy in proptest::option::of(0.0..=1e8f64),
            speed in proptest::option::of(0.0..=1e5f64), heading in proptest::option::of(0.0..=360.0f64),
            at in 0i64..253_402_300_799_999, bits in any::<u64>(),
        ) {
            let fix = Fix::new(Position::new(lat, lon).unwrap(), Timestamp::from_ms(at));
            let fix = fix.with_motion(accuracy, speed, heading).unwrap();
            let who = ParticipantId::from_bits(bits);
            prop_assert_eq!(read_newest(&who.to_string(), &newest(&fix)), Some((who, fix)));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            let _ = (read_newest("p-0000000000000001", &text), read_contact(&text));
        }
    }
}
