//! Redis: where it is, the connection that all share, and what goes over it.

mod address;
mod board;
mod channel;
mod connection;
mod failure;
mod inbound;
mod link;
mod options;
mod order;
mod outbound;
mod subscriptions;

pub use address::{Address, BadUrl, BusUrl, Credentials, Host, Kind};
pub use board::{BoardSettings, FixStream, Found, RedisBoard, Taken};
pub use channel::Channels;
pub use connection::{Connection, Counts, State};
pub use failure::Failure;
pub use inbound::{Inbound, InboundCounts};
pub use link::{Listen, Push, Server};
pub use options::{Options, TlsFiles};
pub use order::{OrderSettings, RedisOrder};
pub use outbound::{Message, Outbound, OutboundLimits};
pub use subscriptions::{Subscriptions, Work};
