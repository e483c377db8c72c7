//! Engine.IO 4 and Socket.IO 5, the server's side: bytes and time in, bytes and events out. No socket, no clock,
//! no actor, and nothing of incidents.
//!
//! `engine` is the connection below: packets, polling, WebSocket, the upgrade, heartbeats. On it stands
//! [`Connection`]: namespaces, events, acknowledgements, attachments. `packet` says what travels, `decoder` puts
//! it together. Whoever carries the bytes tells what came in and carries out the [`engine::Effect`]s;
//! `examples/socketio_echo.rs` shows the whole of it.

mod args;
mod connection;
mod decoder;
pub mod engine;
mod error;
mod namespace;
mod packet;
mod seats;
mod settings;

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod packet_tests;

pub use args::{Args, ArgsBuilder, Json};
pub use connection::{Connection, Ending, Event, NotSent};
pub use decoder::Decoder;
pub use error::Malformed;
pub use namespace::Namespace;
pub use packet::{ConnectError, Content, Encoded, Packet, Resume};
pub use settings::{AttachmentLimits, Settings};
