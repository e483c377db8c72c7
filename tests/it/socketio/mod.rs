//! Engine.IO and Socket.IO from outside, by the example that carries the library: what the published conformance
//! suites look at, and the real client.

mod echo;
mod engine;
mod events;
mod node;

use echo::{Echo, Socket};
