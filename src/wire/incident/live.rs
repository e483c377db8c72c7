//! What a message of a room becomes for incident clients, as it is said.

use super::answers::error;
use super::client::{UNAUTHORIZED_SOS, code_for};
use super::words::{PERSON, POSITION, SMALL, Word, Words, about, under};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::room::{Seq, UserType};
use crate::domain::time::Timestamp;
use crate::wire::NAMELESS;
use crate::wire::frame::Frame;
use crate::wire::json::ServerMessage;

/// What a room says, to one session or to all, in an incident client's words.
///
/// It is empty for what only circles have, for answers that are an acknowledgement here, and for what has a place in
/// the log: that is told by [`encode_event`](super::encode_event), the same live and in a replay.
pub fn translate(message: &ServerMessage<'_>, now: Timestamp) -> Words {
    match *message {
        ServerMessage::LocationUpdate {
            room,
            user,
            name,
            fix,
            rescuer,
            visible_phone: _,
        } => moved(room, user, name, fix, rescuer),
        ServerMessage::JoinApproved {
            room,
            seq,
            recovered,
            participant,
        } => one(seated(room, participant, seq, recovered, now)),
        ServerMessage::AutoJoined {
            room,
            participant,
            seq,
            ..
        } => one(seated(room, participant, seq, false, now)),
        ServerMessage::UserJoined {
            room,
            seq: None,
            user,
            ..
        } => came(room, user.id, None, user.name, now, None),
        ServerMessage::EmergencyContactJoined {
            room,
            contact,
            name,
            seq: None,
        } => came(room, contact, None, name, now, None),
        ServerMessage::UserLeft {
            room,
            participant,
            seq: None,
            ..
        }
        | ServerMessage::RoomLeft { room, participant } => one(went(room, participant, now, None)),
        ServerMessage::JoinDenied { message, .. } => one(error(UNAUTHORIZED_SOS, message, None)),
        ServerMessage::Error { code, message, field } => {
            // Their events call the incident's id otherwise.
            let field = field.map(|field| if field == "roomId" { "sosId" } else { field });
            one(error(code_for(code), message, field))
        }
        ServerMessage::CredentialExpiring { expires_at } => ends("credential:expiring", expires_at),
        ServerMessage::CredentialRefreshed { expires_at } => ends("credential:refreshed", expires_at),
        ServerMessage::ServerDraining { reconnect_in_ms } => {
            let mut frame = Frame::bare(SMALL);
            frame.whole("reconnectInMs", reconnect_in_ms);
            one(Word::new("server:draining", frame))
        }
        // In the log.
        ServerMessage::UserJoined { .. }
        | ServerMessage::EmergencyContactJoined { .. }
        | ServerMessage::UserLeft { .. }
        | ServerMessage::RoomMessage { .. }
        | ServerMessage::StatusChanged { .. }
        | ServerMessage::TypeChanged { .. }
        | ServerMessage::Acknowledged { .. }
        // Acknowledged, where it was asked for.
        | ServerMessage::MessageAccepted { .. }
        | ServerMessage::LocationUpdateConfirmed { .. }
        | ServerMessage::Pong
        // Of circles, trips and areas.
        | ServerMessage::Connected { .. }
        | ServerMessage::AutoJoinSummary { .. }
        | ServerMessage::RoomCreated { .. }
        | ServerMessage::TripJoined { .. }
        | ServerMessage::TripLeft { .. }
        | ServerMessage::TripEnded { .. }
        | ServerMessage::RoomDeactivated { .. }
        | ServerMessage::RoomActivated { .. }
        | ServerMessage::JoinRequested { .. }
        | ServerMessage::JoinRequest { .. }
        | ServerMessage::EmergencyConfirmed { .. }
        | ServerMessage::EmergencyAlert { .. }
        | ServerMessage::EmergencyActivated { .. }
        | ServerMessage::EmergencyResolved { .. }
        | ServerMessage::EmergencyEnded { .. }
        | ServerMessage::RoomUsers { .. }
        | ServerMessage::History { .. }
        | ServerMessage::Area { .. }
        | ServerMessage::SosCreated(_)
        | ServerMessage::SosUpdated(_)
        | ServerMessage::SosClosed(_)
        | ServerMessage::AddedAsEmergencyContact { .. }
        | ServerMessage::RemovedAsEmergencyContact { .. } => Words::new(),
    }
}

fn one(word: Word) -> Words {
    Words::from_iter([word])
}

/// Where somebody is; who came to help, under one name more. Nobody's number is in it.
fn moved(sos: &RoomId, who: ParticipantId, name: Option<&str>, fix: &Fix, rescuer: bool) -> Words {
    let mut frame = about(who, sos, POSITION);
    frame.number("latitude", fix.position.latitude());
    frame.number("longitude", fix.position.longitude());
    frame.maybe_number("accuracy", fix.accuracy);
    frame.millis("timestamp", fix.at);
    if let Some(name) = name {
        frame.text("displayName", name);
    }
    if let Some(speed) = fix.speed {
        frame.number("speed", speed);
    }
    if let Some(heading) = fix.heading {
        frame.number("heading", heading);
    }
    let names = [
        "location:broadcast",
        "location:updated",
        "rescuer:location:broadcast",
    ];
    under(if rescuer { &names } else { &names[..2] }, frame)
}

/// Begins `sos:init`.
fn init(sos: &RoomId, who: ParticipantId, at: Timestamp) -> Frame {
    let mut frame = about(who, sos, SMALL);
    frame.word("action", "user_joined");
    frame.millis("timestamp", at);
    frame
}

/// To whoever has come in: they are in, and this connection hears the incident.
fn seated(sos: &RoomId, who: ParticipantId, head: Seq, recovered: bool, now: Timestamp) -> Word {
    let mut frame = init(sos, who, now);
    frame.whole("seq", head.get());
    frame.flag("recovered", recovered);
    Word::new("sos:init", frame)
}

/// To the others: somebody came, or (without `seq`) is back.
pub(super) fn came(
    sos: &RoomId,
    who: ParticipantId,
    user_type: Option<UserType>,
    name: Option<&str>,
    at: Timestamp,
    seq: Option<Seq>,
) -> Words {
    let mut begun = init(sos, who, at);
    let mut joined = about(who, sos, PERSON);
    if let Some(user_type) = user_type {
        joined.word("userType", user_type.as_str());
    }
    joined.text("displayName", name.unwrap_or(NAMELESS));
    joined.millis("timestamp", at);
    if let Some(seq) = seq {
        begun.whole("seq", seq.get());
        joined.whole("seq", seq.get());
    }
    Words::from_iter([Word::new("sos:init", begun), Word::new("sos:room:joined", joined)])
}

/// Somebody has left, or (without `seq`) is away.
pub(super) fn went(sos: &RoomId, who: ParticipantId, at: Timestamp, seq: Option<Seq>) -> Word {
    let mut frame = about(who, sos, SMALL);
    frame.millis("timestamp", at);
    if let Some(seq) = seq {
        frame.whole("seq", seq.get());
    }
    Word::new("sos:room:left", frame)
}

fn ends(name: &'static str, at: Timestamp) -> Words {
    let mut frame = Frame::bare(SMALL);
    frame.instant("expiresAt", at);
    one(Word::new(name, frame))
}
