//! The engine from outside: every promise of the wire contract as a story, and what it does when things
//! break. One binary, so that it links once.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect fails so"
)]

#[allow(dead_code, reason = "what one story does not use another does")]
mod support;

mod abuse;
mod alerts;
mod auth;
mod backup;
mod bus;
mod circle;
mod cluster;
mod docs;
mod faults;
mod fuzzed;
mod incident;
mod layers;
mod life;
mod mongo;
mod nodes;
mod notify;
mod ops;
mod pages;
mod privacy;
mod rest;
mod services;
mod socketio;
mod trips;
mod upgrade;

mod http;
