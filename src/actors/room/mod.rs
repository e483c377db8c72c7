//! A room as an actor: the shell round `domain::room`.
//!
//! `handle` is what others hold; `core` joins the state with the records beside it; `actor` is the mailbox,
//! the queue and the store; `release` carries out what became durable; `seats` are those who listen.

mod actor;
mod catch_up;
mod core;
mod door;
mod handle;
mod links;
mod messages;
mod release;
mod seating;
mod seats;

pub use actor::RoomActor;
pub use door::Door;
pub use handle::RoomHandle;
pub use messages::{Act, Admission, By, Look, Manner, Outcome, Reply, RoomView, Work};
pub use seats::RoomShared;
