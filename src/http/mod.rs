//! HTTP: parses, calls a handle, renders; decides nothing.

pub mod access;
pub mod address;
pub mod auth;
pub mod connections;
pub mod device_tokens;
pub mod envelope;
pub mod error;
pub mod extract;
pub mod gate;
pub mod jwt;
pub mod limits;
pub mod pages;
pub mod request;
pub mod routes;
pub mod tickets;
pub mod upgrade;
