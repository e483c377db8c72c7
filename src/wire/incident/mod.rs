//! The vocabulary of incident clients on Socket.IO (protocol page, section 4): the events that they emit and those
//! that they get, each with one JSON object as its argument.
//!
//! `client` is what they say, `parse` reads it; `live` says what a message of a room becomes in their words, `event`
//! what a durable event becomes, `answers` what they are told that was asked for. How events travel is `socketio`'s
//! affair, and who is in which incident the rooms'.
//!
//! Most things have two names, the one that clients in the field listen for and the one that followed it. A client
//! hears each thing once under each of its names ([`Words`]), and a client of another dialect under neither.

pub mod admin;
mod answers;
mod client;
mod event;
mod live;
mod parse;
pub mod samples;
pub mod schema;
mod words;

#[cfg(test)]
mod encode_tests;
#[cfg(test)]
mod parse_tests;

pub use answers::{
    Said, ack_error, ack_ok, error, heartbeat, history_response, participants_response, pong, typing,
};
pub use client::{
    ClientError, ClientMessage, HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX, HISTORY_SKIP_MAX, INVALID_FIELD,
    INVALID_LOCATION, INVALID_SOS_ID, INVALID_STATUS_DATA, PING_MAX_BYTES, UNAUTHORIZED, UNAUTHORIZED_SOS,
    UNKNOWN_EVENT, code_for,
};
pub use event::encode_event;
pub use live::translate;
pub use parse::parse;
pub use words::{Word, Words};
