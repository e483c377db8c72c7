//! Redis: where it is, the connection that all share, and what goes over it.

mod address;
mod connection;
mod failure;
mod link;
mod options;

pub use address::{Address, BadUrl, BusUrl, Credentials, Host, Kind};
pub use connection::{Connection, Counts, State};
pub use failure::Failure;
pub use link::{Push, Server};
pub use options::{Options, TlsFiles};
