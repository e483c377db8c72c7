//! How clients and the engine speak: JSON objects at `/api/ws`, or Socket.IO's events at `/socket.io/`. What a
//! scenario wants said is the same in both, and so is what it wants to know of what comes back.
//!
//! Texts of the JSON dialect begin with a brace, packets of Socket.IO with a digit.

use clap::ValueEnum;

use crate::scan::{self, until_quote};
use crate::ws;

/// A dialect.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// One JSON object in each message.
    Json,
    /// Events of Socket.IO, by WebSocket; what is told under two names counts as one delivery.
    Socketio,
}

/// How a socket begins: what is asked for, and what the client says once the engine has greeted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub path: String,
    /// A frame; empty where the path says all.
    pub greeting: Vec<u8>,
}

/// What a message of the engine means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// One may join rooms now.
    Connected,
    /// One is in the room, or was.
    Joined,
    /// Where somebody else is.
    Position,
    /// The same position under its other name.
    PositionAgain,
    /// What somebody said; whoever said it hears it, too.
    Message,
    /// What one asked for is done.
    Done,
    /// What one asked for is not done.
    Refused,
    /// Something is wrong. In Socket.IO an acknowledgement says so, too, where one was asked for.
    Trouble,
    Other,
}

/// What somebody keeps of a room to come back to it.
#[derive(Debug, Default)]
pub struct Trail {
    /// The newest seq seen.
    pub seq: u64,
    /// The secret of one's seat, and how far one is in the seat's rooms; in JSON there are none.
    pid: String,
    offset: String,
}

impl Trail {
    /// Takes what a message says of how far one is; `seq` is the one in it.
    pub fn note(&mut self, payload: &[u8], seq: Option<u64>) {
        self.seq = self.seq.max(seq.unwrap_or(0));
        if let Some(offset) = offset(payload) {
            self.offset.clear();
            self.offset.push_str(offset);
        }
    }

    /// Takes the greeting, and says whether one sits where one sat.
    pub fn greeted(&mut self, payload: &[u8]) -> bool {
        const PID: &[u8] = b"\"pid\":\"";
        let Some(at) = memchr::memmem::find(payload, PID) else {
            return false;
        };
        let pid = until_quote(&payload[at + PID.len()..]);
        let is_known = pid == self.pid.as_bytes();
        self.pid = String::from_utf8_lossy(pid).into_owned();
        is_known
    }
}

/// The offset at the end of an event: its last argument, a text.
fn offset(payload: &[u8]) -> Option<&str> {
    let rest = payload.strip_prefix(b"42")?.strip_suffix(b"\"]")?;
    let at = memchr::memrchr(b'"', rest)?;
    let offset = rest[..at].ends_with(b",").then(|| &rest[at + 1..])?;
    std::str::from_utf8(offset).ok()
}

impl Dialect {
    /// For outcomes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Socketio => "Socket.IO",
        }
    }

    /// As `--dialect` takes it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Socketio => "socketio",
        }
    }

    /// Opens a device's socket; with a trail it comes back.
    pub fn opening(self, device: &str, back: Option<&Trail>) -> Opening {
        match self {
            Self::Json => Opening {
                path: format!("/api/ws?deviceId={device}"),
                greeting: Vec::new(),
            },
            Self::Socketio => {
                let seat = back.map_or_else(String::new, |trail| {
                    format!(",\"pid\":\"{}\",\"offset\":\"{}\"", trail.pid, trail.offset)
                });
                Opening {
                    path: "/socket.io/?EIO=4&transport=websocket".into(),
                    greeting: frame(&format!("40{{\"deviceId\":\"{device}\"{seat}}}")),
                }
            }
        }
    }

    /// The frame that joins a room, or in JSON resumes in it; in Socket.IO the opening does that.
    pub fn join(self, room: &str, back: Option<&Trail>) -> Vec<u8> {
        match self {
            Self::Json => {
                let since = back.map_or_else(String::new, |trail| format!(",\"since\":{}", trail.seq));
                frame(&format!(
                    "{{\"type\":\"join-room\",\"roomId\":\"{room}\"{since}}}"
                ))
            }
            // As a citizen: a rescuer's positions have a third name, and every device without an account is one
            // unless it says otherwise.
            Self::Socketio => frame(&format!(
                "42[\"join:sos\",{{\"sosId\":\"{room}\",\"userType\":\"CITIZEN\"}}]"
            )),
        }
    }

    /// The frame of a position with these fields. `ask`: Socket.IO acknowledges it; JSON always does.
    pub fn position(self, room: &str, fields: &str, ask: bool) -> Vec<u8> {
        match self {
            Self::Json => frame(&format!(
                "{{\"type\":\"location-update\",\"roomId\":\"{room}\",{fields}}}"
            )),
            Self::Socketio => {
                let ask = if ask { "0" } else { "" };
                frame(&format!(
                    "42{ask}[\"location:update\",{{\"sosId\":\"{room}\",{fields}}}]"
                ))
            }
        }
    }

    /// The frame of a message. With an `id` it is acknowledged, in JSON always.
    pub fn message(self, room: &str, content: &str, id: Option<&str>) -> Vec<u8> {
        let named = id.map_or_else(String::new, |id| format!(",\"id\":\"{id}\""));
        match self {
            Self::Json => frame(&format!(
                "{{\"type\":\"room-message\",\"roomId\":\"{room}\",\"content\":\"{content}\"{named}}}"
            )),
            Self::Socketio => {
                let ask = if id.is_some() { "0" } else { "" };
                frame(&format!(
                    "42{ask}[\"message:send\",{{\"sosId\":\"{room}\",\"content\":\"{content}\"{named}}}]"
                ))
            }
        }
    }

    /// How each of the names begins under which a position reaches the others.
    pub fn position_names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["{"],
            Self::Socketio => &["42[\"location:broadcast\",", "42[\"location:updated\","],
        }
    }

    /// The same of a message.
    pub fn message_names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["{"],
            Self::Socketio => &["42[\"message:broadcast\","],
        }
    }

    /// What a message of the engine means.
    pub fn hear(self, payload: &[u8]) -> Heard {
        match self {
            Self::Json => match scan::kind(payload) {
                b"connected" => Heard::Connected,
                b"join-approved" => Heard::Joined,
                b"location-update" => Heard::Position,
                b"room-message" => Heard::Message,
                b"location-update-confirmed" | b"message-accepted" => Heard::Done,
                // Who raised the SOS may be in its room already.
                b"error" if holds(payload, b"Already in room") => Heard::Joined,
                b"error" | b"join-denied" => Heard::Refused,
                _ => Heard::Other,
            },
            Self::Socketio => match payload {
                [b'4', b'0', ..] => Heard::Connected,
                [b'4', b'2', b'[', b'"', event @ ..] => hear_event(until_quote(event), payload),
                [b'4', b'3', ..] if holds(payload, b"[{\"success\":true") => Heard::Done,
                [b'4', b'3' | b'4', ..] => Heard::Refused,
                _ => Heard::Other,
            },
        }
    }

    /// The object that a message of the engine tells something by.
    pub fn object(self, payload: &[u8]) -> Option<serde_json::Value> {
        let at = match self {
            Self::Json => 0,
            Self::Socketio => memchr::memchr(b'[', payload)?,
        };
        let value: serde_json::Value = serde_json::from_slice(&payload[at..]).ok()?;
        match self {
            Self::Json => value.get("data").cloned(),
            Self::Socketio => value.get(1).cloned(),
        }
    }
}

fn hear_event(name: &[u8], payload: &[u8]) -> Heard {
    match name {
        // Others hear of it by the same name; only who came is told whether anything is missing.
        b"sos:init" if holds(payload, b"\"recovered\":") => Heard::Joined,
        b"location:broadcast" => Heard::Position,
        b"location:updated" => Heard::PositionAgain,
        b"message:broadcast" => Heard::Message,
        b"error" if holds(payload, b"\"ALREADY_JOINED\"") => Heard::Joined,
        b"error" => Heard::Trouble,
        _ => Heard::Other,
    }
}

fn holds(payload: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(payload, text).is_some()
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    ws::push_frame(&mut frame, ws::TEXT, text.as_bytes());
    frame
}
