//! One message of each kind, for documents and tests. What a document shows is what [`encode`] writes.
//!
//! [`encode`]: ServerMessage::encode

use super::server::ServerMessage;
use super::views::{SosSummary, UserView};
use crate::domain::geo::{Fix, Position};
use crate::domain::ids::{MessageId, ParticipantId, RoomId, UserId};
use crate::domain::incident::{IncidentType, Severity, Status};
use crate::domain::people::{Identity, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Manifest, Means, Seq};
use crate::domain::time::Timestamp;

/// When the samples happened.
pub const AT: Timestamp = Timestamp::from_ms(1_763_687_926_087);

const ANA: ParticipantId = ParticipantId::from_bits(0xfdb2_0809_4e9b_2779);
const BEN: ParticipantId = ParticipantId::from_bits(0xb447_fcbc_8b87_f80c);
const ANA_TEXT: &str = "p-fdb208094e9b2779";
const BEN_TEXT: &str = "p-b447fcbc8b87f80c";
const CONNECTION: &str = "27c059c801000003";

/// What the samples are made of.
struct Cast {
    circle: RoomId,
    incident: RoomId,
    trip: RoomId,
    manifest: Manifest,
    phone: PhoneNumber,
    message: MessageId,
    identity: Identity,
    fix: Fix,
    summary: SosSummary,
    event: Vec<u8>,
}

fn room(id: &str) -> RoomId {
    RoomId::new(id).expect("invariant: the samples' ids are ids")
}

/// With everything that may be there, or without what may be missing.
fn cast(full: bool) -> Cast {
    let (circle, incident) = (
        room("364ac461f8049bb1154b4caf7f112da1"),
        room("7b0d3a4f6d0e4a53b6c1f09a77a3d2f1"),
    );
    let phone = PhoneNumber::from_e164("+639171234502").expect("invariant: it is a number");
    let position = Position::new(14.6001, 120.9839).expect("invariant: it is in Manila");
    let bare = Fix::new(position, AT);
    let moving = bare.with_motion(Some(8.0), Some(1.4), Some(270.0));
    let user = UserId::new("u-ben").expect("invariant: it is an id");
    Cast {
        identity: Identity {
            subject: Subject::User(user),
            role: Role::Citizen,
            name: full.then(|| "Ben".to_owned()),
            phone: full.then(|| phone.clone()),
            email: full.then(|| "ben@example.org".to_owned()),
            ..Identity::device(crate::domain::ids::DeviceId::from_random([0; 16]))
        },
        message: MessageId::new("m-1").expect("invariant: it is an id"),
        fix: if full { moving.unwrap_or(bare) } else { bare },
        summary: SosSummary {
            sos: incident.clone(),
            kind: IncidentType::Medical,
            message: "I fell and cannot stand up".to_owned(),
            severity: Severity::Medium,
            status: Status::Active,
            position: full.then_some(position),
            city_id: full.then(|| "Manila".to_owned()),
            created_at: AT,
            updated_at: AT,
            seq: Seq::new(2),
            active_participants: 1,
        },
        event: ServerMessage::RoomActivated {
            room: &circle,
            seq: Some(Seq::new(5)),
        }
        .encode(AT),
        circle,
        incident,
        trip: room("trip-4711"),
        manifest: Manifest::new(
            ANA,
            full.then_some(BEN).into_iter().collect(),
            full.then(|| "b-4711".to_owned()),
        ),
        phone,
    }
}

/// Shows `to` one message of each kind: with everything that may be there, or (`full` is false) without what may
/// be missing or `null`.
pub fn each(full: bool, mut to: impl FnMut(&ServerMessage<'_>)) {
    let cast = cast(full);
    connection(&cast, full, &mut to);
    membership(&cast, full, &mut to);
    requests(&cast, full, &mut to);
    words(&cast, full, &mut to);
    emergencies(&cast, full, &mut to);
    positions(&cast, full, &mut to);
    incidents(&cast, &mut to);
}

fn user(cast: &Cast, full: bool) -> UserView<'_> {
    UserView {
        id: BEN,
        name: full.then_some("Ben"),
        role: Role::Citizen,
        phone: full.then_some(&cast.phone),
    }
}

fn connection(cast: &Cast, full: bool, to: &mut impl FnMut(&ServerMessage<'_>)) {
    to(&ServerMessage::Connected {
        client_id: CONNECTION,
        user: &cast.identity,
        rooms: if full {
            std::slice::from_ref(&cast.circle)
        } else {
            &[]
        },
        session_id: CONNECTION,
    });
    to(&ServerMessage::CredentialExpiring { expires_at: AT });
    to(&ServerMessage::CredentialRefreshed { expires_at: AT });
    to(&ServerMessage::Pong);
    to(&ServerMessage::Error {
        code: "INVALID_FIELD",
        message: "roomId is missing",
        field: full.then_some("roomId"),
    });
    to(&ServerMessage::ServerDraining {
        reconnect_in_ms: 1_840,
    });
}

fn membership(cast: &Cast, full: bool, to: &mut impl FnMut(&ServerMessage<'_>)) {
    let (room, seq, owner_name) = (&cast.circle, full.then_some(Seq::new(3)), full.then_some("Ana"));
    to(&ServerMessage::AutoJoined {
        room,
        owner_name,
        on_trip: !full,
        participant: BEN,
        seq: Seq::new(3),
    });
    to(&ServerMessage::AutoJoinSummary {
        rooms: &[(cast.circle.clone(), owner_name.map(str::to_owned))],
    });
    to(&ServerMessage::EmergencyContactJoined {
        room,
        contact: BEN,
        name: full.then_some("Ben"),
        seq,
    });
    to(&ServerMessage::RoomCreated {
        room,
        owner: ANA,
        emergency_contacts: std::slice::from_ref(&cast.phone),
        participant: ANA,
        seq: Seq::new(2),
    });
    to(&ServerMessage::JoinApproved {
        room,
        seq: Seq::new(15),
        recovered: full,
        participant: BEN,
    });
    to(&ServerMessage::TripJoined {
        trip: &cast.trip,
        seq: Seq::new(4),
        recovered: full,
        participant: BEN,
        manifest: &cast.manifest,
    });
    to(&ServerMessage::TripLeft { trip: &cast.trip });
    to(&ServerMessage::TripEnded {
        trip: &cast.trip,
        seq: Seq::new(5),
    });
    to(&ServerMessage::JoinDenied {
        room,
        message: "Not authorized to join this room",
    });
    to(&ServerMessage::UserJoined {
        room,
        seq,
        client_id: BEN_TEXT,
        user: user(cast, full),
    });
    to(&ServerMessage::RoomLeft {
        room,
        participant: BEN,
    });
    to(&ServerMessage::UserLeft {
        room,
        participant: BEN,
        seq,
        client_id: BEN_TEXT,
        user_name: full.then_some("Ben"),
    });
    to(&ServerMessage::RoomDeactivated { room, seq });
    to(&ServerMessage::RoomActivated { room, seq });
    to(&ServerMessage::AddedAsEmergencyContact { room, owner_name });
    to(&ServerMessage::RemovedAsEmergencyContact { room, owner_name });
}

fn requests(cast: &Cast, full: bool, to: &mut impl FnMut(&ServerMessage<'_>)) {
    let room = &cast.circle;
    to(&ServerMessage::JoinRequested { room });
    to(&ServerMessage::JoinRequest {
        room,
        requester: BEN,
        name: full.then_some("Ben"),
        user: user(cast, full),
    });
}

fn words(cast: &Cast, full: bool, to: &mut impl FnMut(&ServerMessage<'_>)) {
    let (room, id, seq) = (&cast.circle, &cast.message, Seq::new(4));
    to(&ServerMessage::MessageAccepted { room, seq, id });
    to(&ServerMessage::RoomMessage {
        room,
        seq,
        id,
        content: "Home at six",
        client_id: BEN_TEXT,
        user_name: full.then_some("Ben"),
        user: user(cast, full),
    });
    to(&ServerMessage::RoomUsers {
        room,
        users: &[user(cast, full)],
    });
    to(&ServerMessage::History {
        room,
        events: if full {
            std::slice::from_ref(&cast.event)
        } else {
            &[]
        },
        seq: Seq::new(5),
        more: full,
    });
}

fn emergencies(cast: &Cast, full: bool, to: &mut impl FnMut(&ServerMessage<'_>)) {
    let (room, sos, seq) = (&cast.circle, &cast.incident, full.then_some(Seq::new(6)));
    let rooms = std::slice::from_ref(room);
    let user_name = full.then_some("Ben");
    to(&ServerMessage::EmergencyConfirmed {
        activated_rooms: rooms,
        sos,
    });
    to(&ServerMessage::EmergencyAlert {
        user: BEN,
        user_name,
        room,
        sos,
        message: full.then_some("I fell and cannot stand up"),
    });
    to(&ServerMessage::EmergencyActivated {
        room,
        seq,
        client_id: if full { BEN_TEXT } else { "system" },
        user_name,
        user: full.then(|| user(cast, full)),
        sos,
    });
    to(&ServerMessage::EmergencyResolved { rooms });
    to(&ServerMessage::EmergencyEnded {
        room,
        seq,
        client_id: BEN_TEXT,
        sos: full.then_some(sos),
    });
}

fn positions(cast: &Cast, full: bool, to: &mut impl FnMut(&ServerMessage<'_>)) {
    to(&ServerMessage::LocationUpdate {
        room: &cast.circle,
        user: BEN,
        name: full.then_some("Ben"),
        visible_phone: full.then_some(&cast.phone),
        fix: &cast.fix,
        rescuer: full,
    });
    to(&ServerMessage::LocationUpdateConfirmed {
        rooms: std::slice::from_ref(&cast.circle),
    });
}

fn incidents(cast: &Cast, to: &mut impl FnMut(&ServerMessage<'_>)) {
    to(&ServerMessage::Area {
        sos: std::slice::from_ref(&cast.summary),
    });
    to(&ServerMessage::SosCreated(&cast.summary));
    to(&ServerMessage::SosUpdated(&cast.summary));
    to(&ServerMessage::SosClosed(&cast.summary));
    to(&ServerMessage::StatusChanged {
        room: &cast.incident,
        seq: Seq::new(4),
        status: Status::Responding,
        from: Status::Active,
        client_id: ANA_TEXT,
    });
    to(&ServerMessage::Acknowledged {
        room: &cast.incident,
        seq: Seq::new(6),
        client_id: "system",
        user: None,
        means: Means::Link,
    });
    to(&ServerMessage::TypeChanged {
        room: &cast.incident,
        seq: Seq::new(5),
        kind: IncidentType::Medical,
        from: IncidentType::Other,
        client_id: "system",
    });
}
