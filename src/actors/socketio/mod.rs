//! Connections of incident clients (protocol page, section 4): one actor for each, whatever it travels on.
//!
//! `actor` carries Socket.IO between its carrier (polls, a WebSocket, or the one and then the other) and the seats
//! that the client has in namespaces; `seat` is one of those: a session like any other, in rooms like any other.
//! `commands` hands what a client wants to rooms, `resume` has it come back to where it was. Who may sit down, the
//! [`Door`] knows.

mod actor;
mod admin;
mod carrier;
mod commands;
mod door;
mod events;
mod messages;
mod outcome;
mod resume;
mod seat;
mod seating;
mod settings;

pub use actor::SocketIoActor;
pub use admin::ADMIN;
pub use carrier::Carrier;
pub use door::{Admitted, Door};
pub use messages::{Attach, BeginPost, Poll, PollGone, Post, PostGone, Waiting};
pub use settings::SocketIoSettings;
