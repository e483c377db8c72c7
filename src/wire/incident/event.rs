//! What a durable event becomes: the same live and in a replay, with the event's own time and place in the log.

use super::answers::{Said, write_said};
use super::live::{came, went};
use super::words::{PERSON, SMALL, Word, Words, doer, under};
use crate::domain::ids::ParticipantId;
use crate::domain::incident::Status;
use crate::domain::people::Person;
use crate::domain::room::{Event, EventBody, UserType};
use crate::wire::NAMELESS;
use crate::wire::frame::Frame;
use crate::wire::rest::Sender;

/// `event` in an incident client's words; empty for what they are not told of.
///
/// `people` finds the record of a participant (an erased one is shown without a name), `user_type` as what they came
/// last: who has said something and was never in is a citizen, as over HTTP.
pub fn encode_event<'p>(
    event: &Event,
    people: &dyn Fn(ParticipantId) -> Option<&'p Person>,
    user_type: &dyn Fn(ParticipantId) -> Option<UserType>,
) -> Words {
    let name = |who| people(who).and_then(|person| person.name.as_deref());
    match &event.body {
        EventBody::Joined { who, user_type, .. } => {
            let mut words = came(
                &event.room,
                *who,
                Some(*user_type),
                name(*who),
                event.at,
                Some(event.seq),
            );
            let mut frame = stay(event, *who);
            frame.word("userType", user_type.as_str());
            frame.text("displayName", name(*who).unwrap_or(NAMELESS));
            frame.instant("joinedAt", event.at);
            words.push(Word::new("participant:joined", placed(frame, event)));
            words
        }
        EventBody::Left { who, .. } => {
            let mut frame = stay(event, *who);
            frame.instant("leftAt", event.at);
            let left = Word::new("participant:left", placed(frame, event));
            Words::from_iter([went(&event.room, *who, event.at, Some(event.seq)), left])
        }
        EventBody::MessageSent { id, content, relay } => {
            let sender = event.actor.participant().map(|who| Sender {
                id: who,
                user_type: user_type(who).unwrap_or(UserType::Citizen),
                name: name(who),
            });
            let said = Said {
                id,
                seq: event.seq,
                at: event.at,
                sender,
                content,
                relay: relay.as_ref(),
            };
            let mut frame = Frame::bare(said.size());
            write_said(&mut frame, &event.room, &said);
            Words::from_iter([Word::new("message:broadcast", frame)])
        }
        EventBody::StatusChanged {
            from, to, lower_case, ..
        } => moved(event, *from, *to, *lower_case),
        EventBody::TypeChanged { from, to } => {
            let mut frame = deed(event, "updatedBy");
            frame.word("type", to.as_str());
            frame.word("oldType", from.as_str());
            Words::from_iter([Word::new("sos:updated", placed(frame, event))])
        }
        EventBody::Acknowledged { means } => {
            let mut frame = deed(event, "acknowledgedBy");
            frame.word("means", means.as_str());
            Words::from_iter([Word::new("sos:acknowledged", placed(frame, event))])
        }
        EventBody::Created(_)
        | EventBody::JoinRequested { .. }
        | EventBody::JoinDenied { .. }
        | EventBody::Activated
        | EventBody::Deactivated
        | EventBody::Emptied
        | EventBody::EmergencyRaised { .. }
        | EventBody::EmergencyEnded { .. }
        | EventBody::ContactAlerted { .. }
        | EventBody::TripEnded
        | EventBody::LinkRaised { .. }
        | EventBody::LinkEnded { .. }
        | EventBody::NotificationsPlanned { .. }
        | EventBody::NotificationMoved(_)
        | EventBody::ContactUnreached { .. }
        | EventBody::Duress { .. } => Words::new(),
    }
}

/// The incident moved along its states; that it was closed has names of its own. The states are spelled as whoever
/// moved it spelled the one.
fn moved(event: &Event, from: Status, to: Status, lower_case: bool) -> Words {
    let spell = |frame: &mut Frame, key, status: Status| {
        if lower_case {
            frame.word(key, &status.as_str().to_ascii_lowercase());
        } else {
            frame.word(key, status.as_str());
        }
    };
    let (doer, names) = if to == Status::Closed {
        ("closedBy", ["sos:close", "sos:closed"])
    } else {
        ("updatedBy", ["sos:status:broadcast", "sos:updated"])
    };
    let mut frame = deed(event, doer);
    spell(&mut frame, "status", to);
    if to != Status::Closed {
        spell(&mut frame, "oldStatus", from);
    }
    under(&names, placed(frame, event))
}

fn stay(event: &Event, who: ParticipantId) -> Frame {
    let mut frame = Frame::bare(PERSON);
    frame.room("sosId", &event.room);
    frame.person("userId", who);
    frame
}

fn deed(event: &Event, key: &str) -> Frame {
    let mut frame = Frame::bare(SMALL + SMALL / 4);
    frame.room("sosId", &event.room);
    doer(&mut frame, key, event.actor.participant());
    frame.millis("timestamp", event.at);
    frame
}

/// With its place in the log.
fn placed(mut frame: Frame, event: &Event) -> Frame {
    frame.whole("seq", event.seq.get());
    frame
}
