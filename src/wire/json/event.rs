//! Which frame a durable event becomes: the same live and in a replay, with the event's own `seq` and time.

use super::server::ServerMessage;
use super::views::UserView;
use crate::domain::ids::ParticipantId;
use crate::domain::people::Person;
use crate::domain::room::{Actor, Event, EventBody};

/// What stands for a client id where the engine itself acted.
const SYSTEM: &str = "system";

/// The frame of `event`; `None` for events that circle clients are not told of.
///
/// `people` finds the record of a participant (an erased one is shown without a name), `phone_visible` says
/// whose number those may see who get this frame, and `client_id` is the connection whose doing it was, when
/// the frame is for that connection; others know them by their participant id.
pub fn encode_event<'p>(
    event: &Event,
    people: &dyn Fn(ParticipantId) -> Option<&'p Person>,
    phone_visible: &dyn Fn(ParticipantId) -> bool,
    client_id: Option<&str>,
) -> Option<Vec<u8>> {
    let view = |who| match people(who) {
        Some(person) => UserView::of(person, phone_visible(who)),
        None => UserView::unknown(who),
    };
    let doer = match event.body {
        EventBody::Joined { who, .. } | EventBody::Left { who, .. } => Some(who),
        _ => event.actor.participant(),
    };
    let doer_text = doer.map_or_else(|| SYSTEM.to_owned(), |who| who.to_string());
    let client_id = client_id.unwrap_or(&doer_text);
    let (room, seq) = (&event.room, Some(event.seq));
    let message = match &event.body {
        EventBody::Joined {
            who,
            as_contact: true,
            ..
        } => ServerMessage::EmergencyContactJoined {
            room,
            contact: *who,
            name: view(*who).name,
            seq,
        },
        EventBody::Joined { who, .. } => ServerMessage::UserJoined {
            room,
            seq,
            client_id,
            user: view(*who),
        },
        EventBody::Left { who, .. } => ServerMessage::UserLeft {
            room,
            participant: *who,
            seq,
            client_id,
            user_name: view(*who).name,
        },
        EventBody::MessageSent { id, content, .. } => {
            let Actor::Participant(who) = event.actor else {
                return None;
            };
            let user = view(who);
            ServerMessage::RoomMessage {
                room,
                seq: event.seq,
                id,
                content,
                client_id,
                user_name: user.name,
                user,
            }
        }
        EventBody::Activated => ServerMessage::RoomActivated { room, seq },
        EventBody::Deactivated => ServerMessage::RoomDeactivated { room, seq },
        EventBody::EmergencyRaised { sos } => {
            let user = doer.map(view);
            let user_name = user.and_then(|user| user.name);
            ServerMessage::EmergencyActivated {
                room,
                seq,
                client_id,
                user_name,
                user,
                sos,
            }
        }
        EventBody::EmergencyEnded { sos } => ServerMessage::EmergencyEnded {
            room,
            seq,
            client_id,
            sos: Some(sos),
        },
        EventBody::TripEnded => ServerMessage::TripEnded {
            trip: room,
            seq: event.seq,
        },
        EventBody::StatusChanged { from, to, .. } => ServerMessage::StatusChanged {
            room,
            seq: event.seq,
            status: *to,
            from: *from,
            client_id,
        },
        EventBody::TypeChanged { from, to } => ServerMessage::TypeChanged {
            room,
            seq: event.seq,
            kind: *to,
            from: *from,
            client_id,
        },
        EventBody::Acknowledged { means } => ServerMessage::Acknowledged {
            room,
            seq: event.seq,
            client_id,
            user: doer.map(view),
            means: *means,
        },
        EventBody::Created(_)
        | EventBody::JoinRequested { .. }
        | EventBody::JoinDenied { .. }
        | EventBody::Emptied
        | EventBody::ContactAlerted { .. }
        | EventBody::LinkRaised { .. }
        | EventBody::LinkEnded { .. }
        | EventBody::NotificationsPlanned { .. }
        | EventBody::NotificationMoved(_)
        | EventBody::ContactUnreached { .. }
        | EventBody::Duress { .. } => return None,
    };
    Some(message.encode(event.at))
}
