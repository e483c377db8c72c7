//! The store contract and its implementations. Knows no actors.
//!
//! The log is written first; everything else is a projection of it, or a record that it points to.

pub mod contract;
pub mod types;

pub use contract::{AppendError, Store, StoreError};
pub use types::*;
