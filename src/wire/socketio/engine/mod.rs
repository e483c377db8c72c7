//! Engine.IO 4: a connection made of long polls, of a WebSocket, or of the first and then the second.
//!
//! `entry` reads a request and has the words of its refusal, `packet` and `payload` are what travels,
//! [`Session`] is the state machine, `effect` what it asks to be done.

mod effect;
mod entry;
mod packet;
mod payload;
mod session;
mod settings;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod session_tests;

pub use effect::{Effect, End, Event, PollId, SocketId};
pub use entry::{Entry, EntryError, Refusal, Transport};
pub use packet::{Data, Frame, Malformed, Packet};
pub use payload::{decode as decode_payload, encode as encode_payload};
pub use session::Session;
pub use settings::Settings;
