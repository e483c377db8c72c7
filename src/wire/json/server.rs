//! What a circle client gets.

use super::views::{SosSummary, UserView};
use crate::domain::geo::Fix;
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::incident::{IncidentType, Status};
use crate::domain::people::Identity;
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Manifest, Means, Seq};
use crate::domain::time::Timestamp;

/// A message to a client. Each variant is the message of the same name in kebab case; `seq` is its place
/// in the room's log, and absent when it is not in one.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are those of the protocol page's table")]
pub enum ServerMessage<'a> {
    /// The first message of every connection.
    Connected {
        client_id: &'a str,
        user: &'a Identity,
        rooms: &'a [RoomId],
        session_id: &'a str,
    },
    /// To an emergency contact, or to whoever is on a trip (`on_trip`) with somebody who calls for help: they are in a
    /// room without having asked.
    AutoJoined {
        room: &'a RoomId,
        owner_name: Option<&'a str>,
        on_trip: bool,
        participant: ParticipantId,
        seq: Seq,
    },
    /// Which rooms list them, with their owners' names.
    AutoJoinSummary {
        rooms: &'a [(RoomId, Option<String>)],
    },
    /// To the members: a contact of the owner is in.
    EmergencyContactJoined {
        room: &'a RoomId,
        contact: ParticipantId,
        name: Option<&'a str>,
        seq: Option<Seq>,
    },
    RoomCreated {
        room: &'a RoomId,
        owner: ParticipantId,
        emergency_contacts: &'a [PhoneNumber],
        participant: ParticipantId,
        seq: Seq,
    },
    JoinApproved {
        room: &'a RoomId,
        seq: Seq,
        recovered: bool,
        participant: ParticipantId,
    },
    /// The answer to `trip:join`.
    TripJoined {
        trip: &'a RoomId,
        seq: Seq,
        recovered: bool,
        participant: ParticipantId,
        manifest: &'a Manifest,
    },
    /// The answer to `trip:leave`.
    TripLeft {
        trip: &'a RoomId,
    },
    /// To those on a trip: it is over.
    TripEnded {
        trip: &'a RoomId,
        seq: Seq,
    },
    JoinDenied {
        room: &'a RoomId,
        message: &'a str,
    },
    UserJoined {
        room: &'a RoomId,
        seq: Option<Seq>,
        client_id: &'a str,
        user: UserView<'a>,
    },
    RoomLeft {
        room: &'a RoomId,
        /// Who has left: they to whom it is said.
        participant: ParticipantId,
    },
    UserLeft {
        room: &'a RoomId,
        participant: ParticipantId,
        seq: Option<Seq>,
        client_id: &'a str,
        user_name: Option<&'a str>,
    },
    RoomDeactivated {
        room: &'a RoomId,
        seq: Option<Seq>,
    },
    RoomActivated {
        room: &'a RoomId,
        seq: Option<Seq>,
    },
    JoinRequested {
        room: &'a RoomId,
    },
    /// To the owner: a stranger wants in.
    JoinRequest {
        room: &'a RoomId,
        requester: ParticipantId,
        name: Option<&'a str>,
        user: UserView<'a>,
    },
    /// The sender's message is durable.
    MessageAccepted {
        room: &'a RoomId,
        seq: Seq,
        id: &'a MessageId,
    },
    RoomMessage {
        room: &'a RoomId,
        seq: Seq,
        id: &'a MessageId,
        content: &'a str,
        client_id: &'a str,
        user_name: Option<&'a str>,
        user: UserView<'a>,
    },
    /// To who raised it: the SOS is durable.
    EmergencyConfirmed {
        activated_rooms: &'a [RoomId],
        sos: &'a RoomId,
    },
    /// To every contact. `message` in the raiser's words, else a sentence that says who needs help.
    EmergencyAlert {
        user: ParticipantId,
        user_name: Option<&'a str>,
        room: &'a RoomId,
        sos: &'a RoomId,
        message: Option<&'a str>,
    },
    /// To every member. `user` is absent when the engine itself raised it.
    EmergencyActivated {
        room: &'a RoomId,
        seq: Option<Seq>,
        client_id: &'a str,
        user_name: Option<&'a str>,
        user: Option<UserView<'a>>,
        sos: &'a RoomId,
    },
    EmergencyResolved {
        rooms: &'a [RoomId],
    },
    EmergencyEnded {
        room: &'a RoomId,
        seq: Option<Seq>,
        client_id: &'a str,
        sos: Option<&'a RoomId>,
    },
    /// `visible_phone` only for those who may see it.
    LocationUpdate {
        room: &'a RoomId,
        user: ParticipantId,
        name: Option<&'a str>,
        visible_phone: Option<&'a PhoneNumber>,
        fix: &'a Fix,
        /// They came to help: incident clients have a name of its own for that.
        rescuer: bool,
    },
    LocationUpdateConfirmed {
        rooms: &'a [RoomId],
    },
    RoomUsers {
        room: &'a RoomId,
        users: &'a [UserView<'a>],
    },
    /// `events` are frames as [`encode_event`](super::encode_event) makes them.
    History {
        room: &'a RoomId,
        events: &'a [Vec<u8>],
        seq: Seq,
        more: bool,
    },
    /// The active incidents in the watched area, now.
    Area {
        sos: &'a [SosSummary],
    },
    SosCreated(&'a SosSummary),
    SosUpdated(&'a SosSummary),
    SosClosed(&'a SosSummary),
    /// `sos-status`: an incident moved along its states; `room` is the incident.
    StatusChanged {
        room: &'a RoomId,
        seq: Seq,
        status: Status,
        from: Status,
        client_id: &'a str,
    },
    /// `sos-type`: an incident is of another type than it was taken for.
    TypeChanged {
        room: &'a RoomId,
        seq: Seq,
        kind: IncidentType,
        from: IncidentType,
        client_id: &'a str,
    },
    /// `sos-acknowledged`: somebody knows of an incident and acts.
    Acknowledged {
        room: &'a RoomId,
        seq: Seq,
        client_id: &'a str,
        user: Option<UserView<'a>>,
        means: Means,
    },
    Pong,
    /// The connection's credential ends then.
    CredentialExpiring {
        expires_at: Timestamp,
    },
    /// Another took its place, which ends then.
    CredentialRefreshed {
        expires_at: Timestamp,
    },
    Error {
        code: &'a str,
        message: &'a str,
        field: Option<&'a str>,
    },
    AddedAsEmergencyContact {
        room: &'a RoomId,
        owner_name: Option<&'a str>,
    },
    RemovedAsEmergencyContact {
        room: &'a RoomId,
        owner_name: Option<&'a str>,
    },
    /// The connection will be closed; come back after this many milliseconds.
    ServerDraining {
        reconnect_in_ms: u64,
    },
}
