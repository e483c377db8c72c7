//! Section 3 of the contract, as far as it is there: incidents by REST. And section 1: who is speaking.

mod conditional;
mod credentials;
mod devices;
mod frame;
mod limits;
mod listing;
mod messages;
mod participants;
mod privacy;
mod raising;
mod status;
mod tracking;
