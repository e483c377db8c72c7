//! The dialect of circle clients: one JSON object in each text frame, always with `type` (protocol page,
//! section 2).
//!
//! `client` is what they send, `parse` reads it, `server` is what they get, `encode` writes it, `event` says
//! which frame a durable event becomes.

mod client;
mod encode;
mod error;
mod event;
mod parse;
pub mod samples;
pub mod schema;
mod server;
mod views;

#[cfg(test)]
mod encode_tests;
#[cfg(test)]
mod parse_tests;

pub use super::{Reading, SentToken};
pub use client::{ClientMessage, EmergencySos, HISTORY_LIMIT_MAX};
pub use error::{BAD_JSON, ClientError, INVALID_FIELD, UNKNOWN_TYPE};
pub use event::encode_event;
pub use parse::parse;
pub use server::ServerMessage;
pub use views::{SosSummary, UserView};
