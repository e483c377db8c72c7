//! Frames, outboxes and fan-out: what is owed to each connection, bounded in bytes.
//!
//! A [`Frame`] is encoded once and shared by everybody who gets it. An [`Outbox`] is what one
//! connection is still owed. An [`Audience`] is whom a room speaks to. A [`Hub`] is a worker
//! thread's writer: it owns the sockets of that worker and empties their outboxes, many frames in
//! one system call and many connections after one wake-up.
//!
//! Nothing here knows rooms, actors or JSON, and nothing here ever waits for a reader.

mod afar;
mod audience;
mod close;
mod conn;
mod frame;
mod hub;
mod outbox;
mod reaper;
mod signals;
mod socket;
mod state;
mod stats;
mod taken;
mod tls;
mod versions;

pub use afar::Afar;
pub use audience::{Audience, Except, Listener, MemberToken};
pub use close::{CloseReason, EndReason, Fault};
pub use conn::Conn;
pub use frame::Frame;
pub use hub::{Hub, HubHandle, HubLimits};
pub use outbox::{Drained, Outbox};
pub use signals::{Signal, SignalKey};
pub use socket::Socket;
pub use state::{OutboxState, Phase, Push};
pub use stats::{DeliverySnapshot, Sent, snapshot as stats};
pub use taken::Taken;
pub use tls::TlsSocket;
pub use versions::{Mark, Own, Tongue, Versions};
