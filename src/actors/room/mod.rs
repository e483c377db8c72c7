//! A room as an actor: the shell round `domain::room`.
//!
//! `door` and `handle` are what others hold; `core` joins the state with the records beside it; `actor` is
//! the mailbox, the queue and the store; `steps` decides, `release` carries out what became durable,
//! `announce` tells everybody; `seats` are those who listen, `seating` their coming and going, `catch_up`
//! their past; `links` ties an incident to the rooms it was raised from; `heard` and `elsewhere` are what other nodes
//! did and whom they have; `noted` is what is put where all nodes can read it.

mod actor;
mod announce;
mod answers;
mod catch_up;
mod core;
mod door;
mod elsewhere;
mod glimpse;
mod handle;
mod heard;
mod life;
mod links;
mod messages;
mod noted;
mod release;
#[cfg(test)]
mod replicas;
mod seating;
mod seats;
mod steps;
mod unknown;

pub use actor::RoomActor;
pub use door::Door;
pub use glimpse::{Glimpse, stored_view};
pub use handle::RoomHandle;
pub use messages::{Act, Admission, By, Look, Manner, Outcome, Reply, RoomView, Work};
pub use seats::{Phase, RoomShared};
