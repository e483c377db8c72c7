//! A trip: a driver and passengers, from when a sister service says that it begins until it says that it is over.
//! Nobody else ever is in it, and where the driver is reaches nobody else.

use std::collections::BTreeSet;

use crate::domain::ids::ParticipantId;
use crate::domain::time::Timestamp;

/// Who is on a trip, as it was told at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    driver: ParticipantId,
    passengers: BTreeSet<ParticipantId>,
    booking: Option<String>,
}

impl Manifest {
    /// A driver is no passenger: if they are named as one too, they drive.
    pub fn new(
        driver: ParticipantId,
        mut passengers: BTreeSet<ParticipantId>,
        booking: Option<String>,
    ) -> Self {
        passengers.remove(&driver);
        Self {
            driver,
            passengers,
            booking,
        }
    }

    /// Who drives, and whose positions are shown.
    pub fn driver(&self) -> ParticipantId {
        self.driver
    }

    /// Everybody else.
    pub fn passengers(&self) -> &BTreeSet<ParticipantId> {
        &self.passengers
    }

    /// The booking that it belongs to, by its service's name for it.
    pub fn booking(&self) -> Option<&str> {
        self.booking.as_deref()
    }

    /// Driver and passengers.
    pub fn people(&self) -> impl Iterator<Item = ParticipantId> + '_ {
        std::iter::once(self.driver).chain(self.passengers.iter().copied())
    }

    /// Whether `who` is one of them.
    pub fn names(&self, who: ParticipantId) -> bool {
        who == self.driver || self.passengers.contains(&who)
    }
}

/// A trip's own part of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Trip {
    /// Who is on it.
    pub manifest: Manifest,
    /// Those of them who have not come with a credential of their own yet: the log knows no more of them than that
    /// they are on it.
    pub awaited: BTreeSet<ParticipantId>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Trip {
    pub(super) fn begun(manifest: &Manifest) -> Self {
        Self {
            awaited: manifest.people().collect(),
            manifest: manifest.clone(),
            ended_at: None,
        }
    }

    /// Whether it goes on.
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }
}
