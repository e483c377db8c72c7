//! One connection: who it is, which rooms it sits in, and what it says.

mod actor;
mod commands;
mod credential;
mod shared;
pub mod voice;

pub use actor::SessionActor;
pub use credential::{Credential, Credentials, Lease, NotRenewed};
pub use shared::{Entry, SessionId, SessionShared};
