//! What the nodes of a cluster tell each other.
//!
//! A message is a hint, never the truth: the truth is the store. Whoever misses one finds a jump in a room's `seq`,
//! or hears that the bus was away, and reads the store. So a bus may lose, repeat and reorder; it may not wait.

mod alone;
mod board;
mod contract;
#[doc(hidden)]
pub mod contract_tests;
pub mod envelope;
pub mod local;
mod news;
pub mod order;
pub mod redis;

pub use alone::Alone;
pub use board::{
    Around, Board, BoardCounts, Cached, IncidentNote, Moves, NAMED_MAX, NoBoard, Note, SessionNote, Sighting,
    TripPlace,
};
pub use contract::{Bus, Health, Listener, Peer, Vitals};
pub use local::{Hub, LocalBus};
pub use news::{Attendance, News, NodeId, Topic};
pub use order::Order;
