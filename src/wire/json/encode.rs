//! Writes server messages. The names are those of the protocol page; what clients rely on is never renamed,
//! only added to.

use super::server::ServerMessage;
use super::views::{UserView, write_self};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::Seq;
use crate::domain::time::Timestamp;
use crate::wire::NAMELESS;
use crate::wire::frame::Frame;

/// Room for a message without lists or texts.
const SMALL: usize = 192;
/// Room for a position with the longest numbers that devices send.
const POSITION: usize = 384;
/// Room for a message about a person.
const PERSON: usize = 384;

impl ServerMessage<'_> {
    /// The message's JSON text, said at `now`.
    pub fn encode(&self, now: Timestamp) -> Vec<u8> {
        let mut frame = Frame::typed(self.kind(), now, self.size());
        self.fill(&mut frame);
        frame.finish()
    }

    /// Its `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::AutoJoined { .. } => "auto-joined",
            Self::AutoJoinSummary { .. } => "auto-join-summary",
            Self::EmergencyContactJoined { .. } => "emergency-contact-joined",
            Self::RoomCreated { .. } => "room-created",
            Self::JoinApproved { .. } => "join-approved",
            Self::TripJoined { .. } => "trip:joined",
            Self::TripLeft { .. } => "trip:left",
            Self::TripEnded { .. } => "trip:ended",
            Self::JoinDenied { .. } => "join-denied",
            Self::UserJoined { .. } => "user-joined",
            Self::RoomLeft { .. } => "room-left",
            Self::UserLeft { .. } => "user-left",
            Self::RoomDeactivated { .. } => "room-deactivated",
            Self::RoomActivated { .. } => "room-activated",
            Self::JoinRequested { .. } => "join-requested",
            Self::JoinRequest { .. } => "join-request",
            Self::MessageAccepted { .. } => "message-accepted",
            Self::RoomMessage { .. } => "room-message",
            Self::EmergencyConfirmed { .. } => "emergency-confirmed",
            Self::EmergencyAlert { .. } => "emergency-alert",
            Self::EmergencyActivated { .. } => "emergency-activated",
            Self::EmergencyResolved { .. } => "emergency-resolved",
            Self::EmergencyEnded { .. } => "emergency-ended",
            Self::LocationUpdate { .. } => "location-update",
            Self::LocationUpdateConfirmed { .. } => "location-update-confirmed",
            Self::RoomUsers { .. } => "room-users",
            Self::History { .. } => "history",
            Self::Area { .. } => "area",
            Self::SosCreated(_) => "sos-created",
            Self::SosUpdated(_) => "sos-updated",
            Self::SosClosed(_) => "sos-closed",
            Self::StatusChanged { .. } => "sos-status",
            Self::TypeChanged { .. } => "sos-type",
            Self::Acknowledged { .. } => "sos-acknowledged",
            Self::Pong => "pong",
            Self::CredentialExpiring { .. } => "credential-expiring",
            Self::CredentialRefreshed { .. } => "credential-refreshed",
            Self::Error { .. } => "error",
            Self::AddedAsEmergencyContact { .. } => "added-as-emergency-contact",
            Self::RemovedAsEmergencyContact { .. } => "removed-as-emergency-contact",
            Self::ServerDraining { .. } => "server-draining",
        }
    }

    /// About how many bytes it takes; too few costs one more allocation, nothing else.
    fn size(&self) -> usize {
        match self {
            Self::LocationUpdate { .. } => POSITION,
            Self::LocationUpdateConfirmed { rooms } | Self::EmergencyResolved { rooms } => {
                SMALL / 2 + rooms.iter().map(|room| room.as_str().len() + 3).sum::<usize>()
            }
            Self::RoomMessage { content, .. } => PERSON + content.len(),
            Self::History { events, .. } => SMALL + events.iter().map(|event| event.len() + 1).sum::<usize>(),
            Self::RoomUsers { users, .. } => SMALL + PERSON * users.len(),
            Self::Area { sos } => SMALL + PERSON * sos.len(),
            Self::Connected { .. }
            | Self::UserJoined { .. }
            | Self::JoinRequest { .. }
            | Self::EmergencyActivated { .. }
            | Self::Acknowledged { .. } => PERSON,
            _ => SMALL,
        }
    }

    /// The protocol page's table, a row an arm. One match, so that no message can be forgotten.
    fn fill(&self, frame: &mut Frame) {
        match *self {
            Self::Connected {
                client_id,
                user,
                rooms,
                session_id,
            } => {
                frame.text("clientId", client_id);
                frame.object("user", |frame| write_self(frame, user));
                frame.rooms("roomIds", rooms);
                frame.whole("protocol", 1);
                frame.text("sessionId", session_id);
            }
            Self::LocationUpdate {
                room,
                user,
                name,
                visible_phone,
                fix,
                rescuer: _,
            } => {
                frame.room("roomId", room);
                frame.object("data", |frame| write_fix(frame, user, name, visible_phone, fix));
            }
            Self::LocationUpdateConfirmed { rooms } | Self::EmergencyResolved { rooms } => {
                frame.rooms("rooms", rooms);
            }
            Self::RoomUsers { room, users } => {
                frame.room("roomId", room);
                frame.list("users", users, |frame, user| {
                    frame.nested(|frame| write_member(frame, user));
                });
            }
            Self::History {
                room,
                events,
                seq,
                more,
            } => {
                frame.room("roomId", room);
                frame.list("events", events, |frame, event| frame.raw(event));
                frame.whole("seq", seq.get());
                frame.flag("more", more);
            }
            Self::Area { sos } => {
                frame.list("sos", sos, |frame, sos| frame.nested(|frame| sos.write(frame)));
            }
            Self::SosCreated(sos) | Self::SosUpdated(sos) | Self::SosClosed(sos) => {
                frame.room("sosId", &sos.sos);
                frame.object("sos", |frame| sos.write(frame));
            }
            Self::Pong => {}
            Self::CredentialExpiring { expires_at } | Self::CredentialRefreshed { expires_at } => {
                frame.instant("expiresAt", expires_at);
            }
            Self::Error { code, message, field } => {
                frame.text("code", code);
                frame.text("message", message);
                if let Some(field) = field {
                    frame.text("field", field);
                }
            }
            Self::ServerDraining { reconnect_in_ms } => frame.whole("reconnectInMs", reconnect_in_ms),
            Self::AutoJoined {
                room,
                owner_name,
                on_trip,
                participant,
                seq,
            } => {
                let owner = owner_name.unwrap_or(NAMELESS);
                frame.room("roomId", room);
                frame.text("roomOwner", owner);
                let sentence = if on_trip {
                    format!("You are in the room of {owner}, who calls for help on your trip.")
                } else {
                    format!("You are in the room of {owner} as an emergency contact.")
                };
                frame.text("message", &sentence);
                frame.person("participantId", participant);
                frame.whole("seq", seq.get());
            }
            Self::AutoJoinSummary { rooms } => {
                frame.list("roomsJoined", rooms, |frame, (room, owner)| {
                    frame.nested(|frame| {
                        frame.room("roomId", room);
                        frame.text("owner", owner.as_deref().unwrap_or(NAMELESS));
                    });
                });
                frame.text("message", &auto_join_sentence(rooms.len()));
            }
            Self::EmergencyContactJoined {
                room,
                contact,
                name,
                seq,
            } => {
                frame.room("roomId", room);
                write_seq(frame, seq);
                frame.person("contactId", contact);
                frame.text("contactName", name.unwrap_or(NAMELESS));
            }
            Self::RoomCreated {
                room,
                owner,
                emergency_contacts,
                participant,
                seq,
            } => {
                frame.room("roomId", room);
                frame.person("owner", owner);
                frame.list("emergencyContacts", emergency_contacts, |frame, phone| {
                    frame.escaped(phone.reveal());
                });
                frame.person("participantId", participant);
                frame.whole("seq", seq.get());
            }
            Self::JoinApproved {
                room,
                seq,
                recovered,
                participant,
            } => {
                frame.room("roomId", room);
                frame.whole("seq", seq.get());
                frame.flag("recovered", recovered);
                frame.person("participantId", participant);
            }
            Self::TripJoined {
                trip,
                seq,
                recovered,
                participant,
                manifest,
            } => {
                frame.room("tripId", trip);
                frame.whole("seq", seq.get());
                frame.flag("recovered", recovered);
                frame.person("participantId", participant);
                frame.person("driverId", manifest.driver());
                let passengers: Vec<_> = manifest.passengers().iter().copied().collect();
                frame.list("passengerIds", &passengers, |frame, who| {
                    frame.escaped(&who.to_string());
                });
                frame.maybe_text("bookingId", manifest.booking());
            }
            Self::TripLeft { trip } => frame.room("tripId", trip),
            Self::TripEnded { trip, seq } => {
                frame.room("tripId", trip);
                frame.room("roomId", trip);
                frame.whole("seq", seq.get());
            }
            Self::JoinDenied { room, message } => {
                frame.room("roomId", room);
                frame.text("message", message);
            }
            Self::UserJoined {
                room,
                seq,
                client_id,
                user,
            } => {
                write_deed(frame, room, seq, client_id);
                frame.object("user", |frame| user.write(frame));
            }
            Self::UserLeft {
                room,
                seq,
                client_id,
                user_name,
                participant: _,
            } => {
                write_deed(frame, room, seq, client_id);
                frame.text("userName", user_name.unwrap_or(NAMELESS));
            }
            Self::RoomLeft { room, .. } | Self::JoinRequested { room } => frame.room("roomId", room),
            Self::RoomDeactivated { room, seq } | Self::RoomActivated { room, seq } => {
                frame.room("roomId", room);
                write_seq(frame, seq);
            }
            Self::JoinRequest {
                room,
                requester,
                name,
                user,
            } => {
                frame.person("requesterId", requester);
                frame.text("requesterName", name.unwrap_or(NAMELESS));
                frame.object("requesterUser", |frame| user.write(frame));
                frame.room("roomId", room);
            }
            Self::AddedAsEmergencyContact { room, owner_name }
            | Self::RemovedAsEmergencyContact { room, owner_name } => {
                frame.room("roomId", room);
                frame.text("roomOwner", owner_name.unwrap_or(NAMELESS));
            }
            Self::MessageAccepted { room, seq, id } => {
                frame.room("roomId", room);
                frame.whole("seq", seq.get());
                frame.word("id", id.as_str());
            }
            Self::RoomMessage {
                room,
                seq,
                id,
                content,
                client_id,
                user_name,
                user,
            } => {
                write_deed(frame, room, Some(seq), client_id);
                frame.word("id", id.as_str());
                frame.text("content", content);
                frame.text("userName", user_name.unwrap_or(NAMELESS));
                frame.object("user", |frame| user.write(frame));
            }
            Self::EmergencyConfirmed { activated_rooms, sos } => {
                frame.rooms("activatedRooms", activated_rooms);
                frame.room("sosId", sos);
            }
            Self::EmergencyAlert {
                user,
                user_name,
                room,
                sos,
                message,
            } => {
                let name = user_name.unwrap_or(NAMELESS);
                frame.person("emergencyUserId", user);
                frame.text("emergencyUserName", name);
                frame.room("roomId", room);
                frame.room("sosId", sos);
                match message {
                    Some(message) => frame.text("message", message),
                    None => frame.text("message", &format!("{name} has raised an SOS and needs help.")),
                }
            }
            Self::EmergencyActivated {
                room,
                seq,
                client_id,
                user_name,
                user,
                sos,
            } => {
                write_deed(frame, room, seq, client_id);
                frame.text("userName", user_name.unwrap_or(NAMELESS));
                match user {
                    Some(user) => frame.object("user", |frame| user.write(frame)),
                    None => frame.null("user"),
                }
                frame.room("sosId", sos);
            }
            Self::EmergencyEnded {
                room,
                seq,
                client_id,
                sos,
            } => {
                write_deed(frame, room, seq, client_id);
                if let Some(sos) = sos {
                    frame.room("sosId", sos);
                }
            }
            Self::StatusChanged {
                room,
                seq,
                status,
                from,
                client_id,
            } => {
                write_deed(frame, room, Some(seq), client_id);
                frame.room("sosId", room);
                frame.word("status", status.as_str());
                frame.word("from", from.as_str());
            }
            Self::TypeChanged {
                room,
                seq,
                kind,
                from,
                client_id,
            } => {
                write_deed(frame, room, Some(seq), client_id);
                frame.room("sosId", room);
                frame.word("incidentType", kind.as_str());
                frame.word("from", from.as_str());
            }
            Self::Acknowledged {
                room,
                seq,
                client_id,
                user,
                means,
            } => {
                write_deed(frame, room, Some(seq), client_id);
                frame.room("sosId", room);
                frame.maybe_text("userName", user.map(|user| user.shown_name()));
                frame.word("means", means.as_str());
            }
        }
    }
}

fn write_seq(frame: &mut Frame, seq: Option<Seq>) {
    if let Some(seq) = seq {
        frame.whole("seq", seq.get());
    }
}

/// Somebody did something in a room.
fn write_deed(frame: &mut Frame, room: &RoomId, seq: Option<Seq>, client_id: &str) {
    frame.room("roomId", room);
    write_seq(frame, seq);
    frame.text("clientId", client_id);
}

fn write_member(frame: &mut Frame, user: &UserView<'_>) {
    frame.person("id", user.id);
    frame.text("name", user.shown_name());
    frame.object("user", |frame| user.write(frame));
}

fn write_fix(
    frame: &mut Frame,
    user: ParticipantId,
    name: Option<&str>,
    visible_phone: Option<&PhoneNumber>,
    fix: &Fix,
) {
    frame.person("userId", user);
    frame.text("userName", name.unwrap_or(NAMELESS));
    frame.maybe_text("visiblePhone", visible_phone.map(PhoneNumber::reveal));
    frame.number("latitude", fix.position.latitude());
    frame.number("longitude", fix.position.longitude());
    frame.maybe_number("accuracy", fix.accuracy);
    frame.maybe_number("speed", fix.speed);
    frame.maybe_number("heading", fix.heading);
    frame.instant("timestamp", fix.at);
}

fn auto_join_sentence(rooms: usize) -> String {
    match rooms {
        0 => "No room lists you as an emergency contact.".to_owned(),
        1 => "You are in 1 room as an emergency contact.".to_owned(),
        n => format!("You are in {n} rooms as an emergency contact."),
    }
}
