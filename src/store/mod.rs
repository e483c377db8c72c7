//! The store contract and its implementations. Knows no actors.
//!
//! The log is written first; everything else is a projection of it, or a record that it points to.

pub mod cards;
pub mod codec;
pub mod contract;
pub mod embedded;
pub mod feed;
pub(crate) mod history_page;
pub mod jobs;
pub mod meters;
pub mod mongo;
pub mod outbox;
pub mod projection;
pub mod reach;
pub mod schema;
pub mod types;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod contract_tests;

pub use cards::{Card, CardText, CardWrite};
pub use contract::{AppendError, Store, StoreError};
pub use embedded::{Embedded, EmbeddedOptions, backup};
pub use feed::{FeedEvent, FeedPage};
pub use jobs::{
    Job, JobClaim, JobHold, JobId, JobSettle, JobThen, JobWrite, Lane, LaneDepth, NewJob, Receipt,
};
pub use mongo::{Mongo, MongoOptions};
pub use outbox::{Claim, Claimed, DeadLetter, DeadPlace, OutboxDepth, Settle, Settled, Then};
pub use types::*;
