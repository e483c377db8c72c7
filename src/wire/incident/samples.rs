//! Every event that an incident client may get, for documents and tests. What a document shows is what the encoders
//! write.

use super::admin;
use super::answers::{Said, error, heartbeat, history_response, participants_response, pong, typing};
use super::event::encode_event;
use super::live::translate;
use super::words::{Word, Words};
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{MessageId, ParticipantId, RoomId, UserId};
use crate::domain::incident::{IncidentType, Severity, Status, Visibility};
use crate::domain::ops::Summary;
use crate::domain::people::{Person, Role, Subject};
use crate::domain::room::{Actor, Event, EventBody, LeaveReason, Means, Relay, RoomKind, Seq, UserType};
use crate::wire::json::{ServerMessage, UserView, samples};
use crate::wire::rest::{OpsEventView, OpsPositionView, OpsPositionsView, ParticipantView, Sender};
use crate::wire::socketio::Json;

pub use samples::AT;

const ANA: ParticipantId = ParticipantId::from_bits(0xfdb2_0809_4e9b_2779);
const BEN: ParticipantId = ParticipantId::from_bits(0xb447_fcbc_8b87_f80c);
pub(super) const SOS: &str = "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1";

/// What the samples are made of.
struct Cast {
    sos: RoomId,
    message: MessageId,
    ben: Person,
    fix: Fix,
    relay: Relay,
}

/// With everything that may be there, or without what may be missing.
fn cast(full: bool) -> Cast {
    let position = Position::new(14.6001, 120.9839).expect("invariant: it is in Manila");
    let bare = Fix::new(position, AT);
    let moving = bare.with_motion(Some(8.0), Some(1.4), Some(270.0));
    let user = UserId::new("u-ben").expect("invariant: it is an id");
    Cast {
        sos: RoomId::new(SOS).expect("invariant: it is an id"),
        message: MessageId::new("m-1").expect("invariant: it is an id"),
        ben: Person {
            participant: BEN,
            subject: Subject::User(user),
            name: full.then(|| "Ben".to_owned()),
            phone: None,
            role: Role::Rescuer,
        },
        fix: if full { moving.unwrap_or(bare) } else { bare },
        relay: Relay {
            sender: None,
            notice: true,
            written_at: AT,
        },
    }
}

/// Shows `to` every event, some more than once: with everything that may be there, or (`full` is false) without what
/// may be missing or `null`.
pub fn each(full: bool, mut to: impl FnMut(&Word)) {
    let cast = cast(full);
    let mut all = |words: Words| words.iter().for_each(&mut to);
    for message in said_live(&cast, full) {
        all(translate(&message, AT));
    }
    for body in logged(&cast, full) {
        all(encode_event(
            &Event {
                room: cast.sos.clone(),
                seq: Seq::new(7),
                at: AT,
                actor: if full {
                    Actor::Participant(BEN)
                } else {
                    Actor::System
                },
                body,
            },
            &|who| (who == BEN).then_some(&cast.ben),
            &|who| (who == BEN).then_some(UserType::Rescuer),
        ));
    }
    all(typing(&cast.sos, BEN, true, full.then_some("Ben")));
    all(typing(&cast.sos, BEN, false, full.then_some("Ben")));
    all(Words::from_iter(asked_for(&cast, full)));
    all(Words::from_iter(for_operators(&cast, full)));
}

fn for_operators(cast: &Cast, full: bool) -> Vec<Word> {
    let event = Event {
        room: cast.sos.clone(),
        seq: Seq::new(7),
        at: AT,
        actor: Actor::Participant(BEN),
        body: EventBody::StatusChanged {
            from: Status::Active,
            to: Status::Responding,
            note: None,
            lower_case: false,
        },
    };
    let summary = Summary {
        status: Status::Responding,
        kind: IncidentType::Medical,
        severity: Severity::High,
        city_id: full.then(|| "MNL".to_owned()),
        position: full.then_some(cast.fix.position),
        silent: false,
        visibility: Visibility::Public,
        created_at: AT,
    };
    let unreached = Event {
        body: EventBody::ContactUnreached { who: BEN },
        ..event.clone()
    };
    let cursor = "0-19a7d0c2b5e-3-0";
    let shown = OpsEventView::of(if full { &unreached } else { &event }, &summary, cursor);
    let kind = if full { RoomKind::Sos } else { RoomKind::Trip };
    let position = OpsPositionView::of(&cast.sos, kind, BEN, &cast.fix);
    let positions = OpsPositionsView::new(AT, vec![position]);
    let json = |value: Result<String, serde_json::Error>| value.expect("invariant: views are JSON");
    vec![
        admin::subscribed(cursor, !full),
        admin::event(json(serde_json::to_string(&shown))),
        admin::positions(json(serde_json::to_string(&positions))),
    ]
}

fn said_live(cast: &Cast, full: bool) -> Vec<ServerMessage<'_>> {
    let room = &cast.sos;
    let user_name = full.then_some("Ben");
    vec![
        ServerMessage::JoinApproved {
            room,
            seq: Seq::new(6),
            recovered: full,
            participant: BEN,
        },
        ServerMessage::AutoJoined {
            room,
            owner_name: None,
            on_trip: false,
            participant: BEN,
            seq: Seq::new(6),
        },
        ServerMessage::UserJoined {
            room,
            seq: None,
            client_id: "",
            user: UserView::of(&cast.ben, false),
        },
        ServerMessage::UserLeft {
            room,
            participant: BEN,
            seq: None,
            client_id: "",
            user_name,
        },
        ServerMessage::RoomLeft {
            room,
            participant: BEN,
        },
        ServerMessage::LocationUpdate {
            room,
            user: BEN,
            name: user_name,
            visible_phone: None,
            fix: &cast.fix,
            rescuer: true,
        },
        ServerMessage::Error {
            code: "INVALID_FIELD",
            message: "content is missing",
            field: full.then_some("content"),
        },
        ServerMessage::CredentialExpiring { expires_at: AT },
        ServerMessage::CredentialRefreshed { expires_at: AT },
        ServerMessage::ServerDraining {
            reconnect_in_ms: 1_840,
        },
    ]
}

fn logged(cast: &Cast, full: bool) -> Vec<EventBody> {
    vec![
        EventBody::Joined {
            who: BEN,
            user_type: UserType::Rescuer,
            as_contact: false,
        },
        EventBody::Left {
            who: BEN,
            reason: LeaveReason::Left,
        },
        EventBody::MessageSent {
            id: cast.message.clone(),
            content: "Two minutes away".to_owned(),
            relay: (!full).then_some(cast.relay),
        },
        EventBody::StatusChanged {
            from: Status::Active,
            to: Status::Responding,
            note: None,
            lower_case: !full,
        },
        EventBody::TypeChanged {
            from: IncidentType::Other,
            to: IncidentType::Medical,
        },
        EventBody::Acknowledged { means: Means::Link },
        EventBody::StatusChanged {
            from: Status::Responding,
            to: Status::Closed,
            note: None,
            lower_case: false,
        },
    ]
}

fn asked_for(cast: &Cast, full: bool) -> [Word; 5] {
    let (sos, name) = (&cast.sos, cast.ben.name.as_deref());
    let said = Said {
        id: &cast.message,
        seq: Seq::new(5),
        at: AT,
        sender: full.then_some(Sender {
            id: BEN,
            user_type: UserType::Rescuer,
            name,
        }),
        content: "Two minutes away",
        relay: None,
    };
    let left_at = (!full).then_some(AT);
    let stays = [
        ParticipantView::new(sos, ANA, UserType::Citizen, AT, left_at, Some("Ana")),
        ParticipantView::new(sos, BEN, UserType::Rescuer, AT, None, name),
    ];
    let echo = if full { r#"{"sentAt":1763687926001}"# } else { "{}" };
    [
        history_response(sos, &[said]),
        participants_response(sos, &stays, stays.len(), AT),
        pong(&Json::new(echo).unwrap_or(Json::EMPTY), AT),
        heartbeat(AT),
        error("INVALID_SOS_ID", "sosId is missing", full.then_some("sosId")),
    ]
}
