//! The actix actors: thin shells round the domain. They know no HTTP.
//!
//! Every room, device session, shard of the location batcher and shard of the map is an actor. Others hold
//! typed handles, never bare addresses; every message is awaited, refused with a named error or conflated.

pub mod area;
pub mod asking;
pub mod batcher;
pub mod blocks;
mod boarding;
pub mod check_ins;
pub mod clock;
pub mod cluster;
pub mod contacts;
pub mod directory;
pub mod engine;
pub mod error;
pub mod feed;
pub mod gate;
pub mod history;
pub mod janitor;
pub mod lookup;
pub mod memberships;
pub mod node;
pub mod notes;
pub mod notify;
pub mod observer;
pub mod ops;
pub mod otp;
pub mod pass;
pub mod pins;
pub mod push;
pub mod redis_bridge;
pub mod registry;
pub mod room;
pub mod session;
pub mod settings;
pub mod socketio;
pub mod trips;
pub mod turns;

pub use clock::{Clock, SystemClock};
pub use engine::Engine;
pub use error::CommandError;
pub use observer::{NoObserver, Observer};
pub use session::{Credential, Credentials};
pub use settings::Settings;
