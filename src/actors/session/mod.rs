//! One connection: who it is, which rooms it sits in, and what it says.

mod actor;
mod commands;
mod credential;
mod shared;

pub use actor::SessionActor;
pub use credential::{Credential, Credentials};
pub use shared::{Entry, SessionId, SessionShared};
