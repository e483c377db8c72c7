//! The vendors who carry messages, each behind [`Provider`].
//!
//! A provider speaks one vendor's format, once for each call: it keeps no queue, repeats nothing and decides nothing.
//! What an answer means for the message is one of [`Sent`]; what is done about it is decided by whoever called.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::notify::{DeliveryState, Destination, Outgoing, Vendor};

/// What came of handing a message to a vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The vendor has it.
    Accepted {
        /// By which its later news names the message; `None`: there will be none.
        reference: Option<String>,
    },
    /// The vendor certainly does not have it, and may take it later: too many requests, or no connection was made.
    Busy {
        /// The vendor's code or a word for what failed, at most 64 characters; never an address or a text.
        code: String,
        /// When the vendor wants to be asked again.
        after: Option<Duration>,
    },
    /// The vendor may or may not have it: it did not answer in time, or failed while it worked.
    Unknown {
        /// As above.
        code: String,
    },
    /// The vendor will never take this message; another one may.
    Refused {
        /// As above.
        code: String,
    },
    /// Nothing reaches this destination, whoever carries it: a dead token, a number that is none, somebody who opted out.
    Dead {
        /// As above.
        code: String,
        /// The vendor says that the destination is gone for good: whoever keeps it forgets it.
        forget: bool,
    },
    /// The vendor refuses every message for now: its credentials are wrong or its account is suspended.
    Barred {
        /// As above.
        code: String,
    },
}

/// What a vendor says when it is asked about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// How it stands: `Accepted`, `Delivered`, `Read`, or `FailedTemporary` when it was given back (another vendor may
    /// be tried).
    Stands {
        /// The state.
        state: DeliveryState,
        /// The vendor's code when it failed.
        code: Option<String>,
    },
    /// The vendor knows of no such message.
    Unheard,
    /// It did not say.
    Unanswered,
}

/// A vendor.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Which.
    fn vendor(&self) -> Vendor;

    /// Whether it can carry something to this destination.
    fn carries(&self, to: &Destination) -> bool;

    /// Hands it a message, once; returns within its timeout.
    async fn send(&self, message: &Outgoing) -> Sent;

    /// Asks about a message that it took, by its reference. `None`: this vendor cannot be asked.
    async fn ask(&self, reference: &str) -> Option<Asked> {
        let _ = reference;
        None
    }

    /// Whether it can be asked what it took for a destination lately, to find out about an attempt of unknown outcome.
    fn can_search(&self) -> bool {
        false
    }

    /// Looks for a message among what the vendor took since the attempt began, `age` ago. Answers with its reference.
    /// `Ok(None)`: it certainly has none. `Err`: it did not say, or cannot be asked.
    async fn search(&self, message: &Outgoing, age: Duration) -> Result<Option<String>, ()> {
        let _ = (message, age);
        Err(())
    }
}
