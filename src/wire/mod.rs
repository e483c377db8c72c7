//! Bytes to types and back: the JSON dialect of circle clients, the bodies of REST. No I/O, no clock, no
//! actor; time is an argument.
//!
//! `json` is the WebSocket dialect (protocol page, section 2), `incident` the vocabulary of incident clients on
//! Socket.IO (section 4), `rest` the bodies and queries of HTTP (sections 2 and 3). All read fields by the same checks
//! (`field`), so a latitude is wrong in the same words wherever it is sent. `socketio` is Engine.IO and Socket.IO,
//! whatever they carry. Wire types are converted to domain types here and nowhere else.

mod field;
mod frame;
pub mod incident;
pub mod json;
mod loose;
pub mod rest;
pub mod schema;
#[cfg(test)]
mod schema_tests;
pub mod socketio;
pub mod stamp;
mod token;

use std::time::Duration;

use crate::domain::time::Timestamp;

pub use token::SentToken;

/// What the reader of a message or body must know besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The present.
    pub now: Timestamp,
    /// How far ahead of the present a fix may claim to be.
    pub max_ahead: Duration,
    /// The largest area that can be watched, in km.
    pub radius_max_km: u32,
    /// The longest message, in characters.
    pub content_max_chars: usize,
}

/// What somebody without a name is called.
pub const NAMELESS: &str = "Anonymous";
