//! HTTP: parses, calls a handle, renders; decides nothing.

pub mod access;
pub mod address;
pub mod auth;
pub mod cluster;
pub mod connections;
pub mod credential;
pub mod device_tokens;
pub mod envelope;
pub mod error;
pub mod etag;
pub mod extract;
pub mod forwarded;
pub mod gate;
pub mod h2;
pub mod hints;
pub mod jwt;
pub mod keys;
pub mod limits;
pub mod pages;
pub mod request;
pub mod routes;
pub mod services;
pub mod sister;
pub mod socketio;
pub mod tickets;
pub mod upgrade;
