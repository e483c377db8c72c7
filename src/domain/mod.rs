//! The pure core: what a room is and what may happen in it.
//!
//! Nothing in `domain` knows JSON, a clock, a socket, randomness or an actor. Time and fresh ids are
//! arguments; the same inputs always give the same outputs.

#[macro_use]
mod named;

pub mod area;
pub mod bounds;
pub mod breaker;
pub mod budget;
pub mod check_in;
pub mod conduct;
pub mod dead_letter;
pub mod geo;
pub mod hints;
pub mod ids;
pub mod incident;
pub mod location;
pub mod notify;
pub mod ops;
pub mod otp;
pub mod people;
pub mod phone;
pub mod pin;
pub mod room;
pub mod scopes;
pub mod time;

#[cfg(test)]
pub mod testing;
