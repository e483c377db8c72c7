//! A room: a log of events, the state that is left when they are applied, and what may come next.

mod apply;
mod command;
mod deadline;
mod decide;
mod event;
mod participant;
mod state;
mod told;
mod trip;

pub use command::{Command, Proof, Rejection, Standing};
pub use deadline::{Deadline, Policy, Presence, due, next_deadline};
pub use decide::decide;
pub use event::{Actor, Event, EventBody, Genesis, LeaveReason, Relay, Seq, UserType};
pub use participant::{Participant, Statistics};
pub use state::{Incident, Link, LinkWork, RoomKind, RoomState};
pub use told::{Means, Move, NOTIFICATIONS_MAX, Notification, Planned, Told};
pub use trip::{Manifest, Trip};

#[cfg(test)]
mod properties;
