//! Mayday: a realtime emergency engine.
//!
//! The layers, each of which knows only those to its left (a test keeps it so):
//! `domain` ← `wire`, `store`, `delivery`, `notify` ← `bus`, `transport` ← `actors` ← `http` ← `app`.
//! `ARCHITECTURE.md` is the map.

pub mod actors;
pub mod app;
pub mod bus;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod domain;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod notify;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod wire;
