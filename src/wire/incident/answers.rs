//! What incident clients are told that they asked for, and what is told by them and not kept.

use super::words::{PERSON, SMALL, Word, Words};
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::room::{Relay, Seq, UserType};
use crate::domain::time::Timestamp;
use crate::wire::NAMELESS;
use crate::wire::frame::Frame;
use crate::wire::rest::{ParticipantView, Sender};
use crate::wire::socketio::Json;

/// A message of an incident.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Its id.
    pub id: &'a MessageId,
    /// Its place in the log.
    pub seq: Seq,
    /// When it came into the log.
    pub at: Timestamp,
    /// By whom; `None`: the system.
    pub sender: Option<Sender<'a>>,
    /// The words.
    pub content: &'a str,
    /// What the service says of it that passed it on.
    pub relay: Option<&'a Relay>,
}

impl Said<'_> {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        PERSON + SMALL / 2 + self.content.len()
    }
}

/// A message as `message:broadcast` has it, and the same in a history. What a service passed on is shown as the
/// service has it: as what its sender said it, and when it was written.
pub(super) fn write_said(frame: &mut Frame, sos: &RoomId, said: &Said<'_>) {
    const SYSTEM: &str = "SYSTEM";
    frame.word("id", said.id.as_str());
    frame.room("sosId", sos);
    let sender_type = match said.relay {
        Some(relay) => relay.sender,
        None => said.sender.map(|sender| sender.user_type),
    };
    frame.word("senderType", sender_type.map_or(SYSTEM, UserType::as_str));
    match said.sender {
        Some(sender) => {
            frame.person("senderId", sender.id);
            frame.text("senderDisplayName", sender.name.unwrap_or(NAMELESS));
        }
        None => {
            frame.null("senderId");
            frame.word("senderDisplayName", "System");
        }
    }
    let notice = said.relay.map_or(said.sender.is_none(), |relay| relay.notice);
    frame.word("contentType", if notice { "system" } else { "text" });
    frame.text("content", said.content);
    frame.instant("createdAt", said.relay.map_or(said.at, |relay| relay.written_at));
    frame.millis("timestamp", said.at);
    frame.whole("seq", said.seq.get());
}

/// Somebody writes, or has stopped.
pub fn typing(sos: &RoomId, who: ParticipantId, on: bool, display_name: Option<&str>) -> Words {
    let mut frame = Frame::bare(SMALL);
    frame.room("sosId", sos);
    frame.person("userId", who);
    frame.text("displayName", display_name.unwrap_or(NAMELESS));
    let name = if on {
        "message:typing:start"
    } else {
        "message:typing:stop"
    };
    Words::from_iter([Word::new(name, frame)])
}

/// The answer to `ping`: the object that came with it, and when it was answered.
pub fn pong(echo: &Json, now: Timestamp) -> Word {
    let echo = echo.as_str();
    let mut frame = Frame::bare(echo.len() + SMALL / 2);
    let members = echo
        .strip_prefix('{')
        .and_then(|echo| echo.strip_suffix('}'))
        .map(str::trim_ascii);
    // Whatever it calls `respondedAt` comes first, and the last of a name counts.
    if let Some(members) = members {
        frame.raw(members.as_bytes());
    }
    frame.millis("respondedAt", now);
    Word::new("pong", frame)
}

/// The answer to `heartbeat`.
pub fn heartbeat(now: Timestamp) -> Word {
    let mut frame = Frame::bare(SMALL / 2);
    frame.millis("timestamp", now);
    Word::new("heartbeat:ack", frame)
}

/// Something was not done. `code` is one of [`schema::ERRORS`](super::schema::ERRORS).
pub fn error(code: &str, message: &str, field: Option<&str>) -> Word {
    let mut frame = Frame::bare(SMALL);
    write_error(&mut frame, code, message, field);
    Word::new("error", frame)
}

fn write_error(frame: &mut Frame, code: &str, message: &str, field: Option<&str>) {
    frame.text("code", code);
    frame.text("message", message);
    if let Some(field) = field {
        frame.text("field", field);
    }
}

/// The answer to `message:history:request`: messages in the order given.
pub fn history_response(sos: &RoomId, messages: &[Said<'_>]) -> Word {
    let size = messages.iter().map(Said::size).sum::<usize>();
    let mut frame = Frame::bare(SMALL + size);
    frame.room("sosId", sos);
    frame.list("messages", messages, |frame, said| {
        frame.nested(|frame| write_said(frame, sos, said));
    });
    Word::new("message:history:response", frame)
}

/// The answer to `participants:active:request`: who is in, as over HTTP. `count` is how many are in, who may be more
/// than are named.
pub fn participants_response(
    sos: &RoomId,
    participants: &[ParticipantView<'_>],
    count: usize,
    now: Timestamp,
) -> Word {
    let mut frame = Frame::bare(SMALL + PERSON * participants.len());
    frame.room("sosId", sos);
    frame.list("participants", participants, Frame::value);
    frame.whole("count", count as u64);
    frame.millis("timestamp", now);
    Word::new("participants:active:response", frame)
}

/// The one argument of an acknowledgement: it was done, and is durable where it is in the log (`seq`).
pub fn ack_ok(sos: &RoomId, seq: Option<Seq>, id: Option<&MessageId>) -> String {
    let mut frame = Frame::bare(SMALL);
    frame.flag("success", true);
    frame.room("sosId", sos);
    if let Some(seq) = seq {
        frame.whole("seq", seq.get());
    }
    if let Some(id) = id {
        frame.word("id", id.as_str());
    }
    frame.text_of().into()
}

/// The one argument of an acknowledgement: it was not done.
pub fn ack_error(code: &str, message: &str, field: Option<&str>) -> String {
    let mut frame = Frame::bare(SMALL);
    frame.flag("success", false);
    write_error(&mut frame, code, message, field);
    frame.text_of().into()
}
