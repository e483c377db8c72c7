//! What the nodes of a cluster tell each other.
//!
//! A message is a hint, never the truth: the truth is the store. Whoever misses one finds a jump in a room's `seq`,
//! or hears that the bus was away, and reads the store. So a bus may lose, repeat and reorder; it may not wait.

mod contract;
mod news;
pub mod redis;

pub use contract::{Bus, Health, Listener};
pub use news::{News, NodeId, Topic};
