//! What an incident is, and the states it goes through.

use super::geo::Position;
use super::ids::RoomId;
use super::time::Timestamp;

named! {
    /// What has happened.
    IncidentType {
        /// Fire.
        Fire = "FIRE",
        /// Somebody is ill or hurt.
        Medical = "MEDICAL",
        /// An accident.
        Accident = "ACCIDENT",
        /// A crime.
        Crime = "CRIME",
        /// A natural disaster.
        Disaster = "DISASTER",
        /// Not said.
        Anonymous = "ANONYMOUS",
        /// Something else.
        Other = "OTHER",
    }
}

named! {
    /// How bad it is.
    Severity {
        /// Can wait.
        Low = "LOW",
        /// Soon.
        Medium = "MEDIUM",
        /// Now.
        High = "HIGH",
        /// Life is in danger.
        Critical = "CRITICAL",
    }
}

named! {
    /// Who may find it.
    Visibility {
        /// Anybody near.
        Public = "PUBLIC",
        /// Staff and those who were brought in.
        Restricted = "RESTRICTED",
    }
}

named! {
    /// Where an incident stands (protocol page, section 3, States).
    Status {
        /// Raised.
        Active = "ACTIVE",
        /// Somebody was sent.
        Assigned = "ASSIGNED",
        /// Help is on the way.
        Responding = "RESPONDING" | "EN_ROUTE" | "IN_PROGRESS",
        /// Help is there.
        Arrived = "ARRIVED",
        /// It is over.
        Resolved = "RESOLVED" | "COMPLETED",
        /// It was called off.
        Cancelled = "CANCELLED" | "CANCELED",
        /// Staff closed the file.
        Closed = "CLOSED",
    }
}

impl Status {
    /// Whether people are still at work on it.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Self::Active | Self::Assigned | Self::Responding | Self::Arrived
        )
    }

    /// Whether the state machine has this move: forwards with steps skipped, `CANCELLED` from any open
    /// state, `CLOSED` from any other.
    pub fn can_become(self, next: Self) -> bool {
        match next {
            Self::Closed => self != Self::Closed,
            Self::Cancelled => self.is_open(),
            _ => self.is_open() && next > self,
        }
    }

    /// Where it can go from here.
    pub fn next(self) -> Vec<Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(|next| self.can_become(*next))
            .collect()
    }
}

/// Where it happens, for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// City.
    pub city: Option<String>,
    /// Barangay, the smallest district.
    pub barangay: Option<String>,
}

/// What was said when the SOS was raised.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What has happened.
    pub kind: IncidentType,
    /// In the words of whoever raised it.
    pub message: String,
    /// Raised without a sound: seen by staff and participants only.
    pub silent: bool,
    /// An exercise: everything runs, and everybody is told that it is one.
    pub drill: bool,
    /// When it was raised by the clock of the device, if it said so: long ago when it had no connection.
    pub raised_at: Option<Timestamp>,
    /// Whoever raised it proves by their PIN that it is them who call it off.
    pub guarded: bool,
    /// How bad.
    pub severity: Severity,
    /// Where; a circle's SOS may come without.
    pub position: Option<Position>,
    /// Radius of `position` in metres.
    pub accuracy: Option<f64>,
    /// For a person.
    pub address: Address,
    /// The city's code, from the token or the address.
    pub city_id: Option<String>,
    /// Who may find it.
    pub visibility: Visibility,
    /// The trip it was raised on.
    pub trip_id: Option<String>,
    /// The booking it was raised on.
    pub booking_id: Option<String>,
    /// The rooms it was raised from: their members are joined, and they end when it ends.
    pub raised_from: Vec<RoomId>,
}

impl Report {
    /// Whether it was raised on a trip whose people were told.
    pub fn is_from_trip(&self) -> bool {
        let named = self.trip_id.is_some() || self.booking_id.is_some();
        named && !self.raised_from.is_empty()
    }

    /// Whether strangers may see it.
    pub fn is_public(&self) -> bool {
        !self.silent && self.visibility == Visibility::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_machine_is_the_one_of_the_contract() {
        use Status::{Active, Arrived, Assigned, Cancelled, Closed, Resolved, Responding};
        assert_eq!(
            Active.next(),
            [Assigned, Responding, Arrived, Resolved, Cancelled, Closed]
        );
        assert_eq!(Responding.next(), [Arrived, Resolved, Cancelled, Closed]);
        assert_eq!(Arrived.next(), [Resolved, Cancelled, Closed]);
        assert_eq!(Resolved.next(), [Closed]);
        assert_eq!(Cancelled.next(), [Closed]);
        assert_eq!(Closed.next(), []);
    }

    #[test]
    fn states_are_read_in_any_case_and_by_their_synonyms() {
        assert_eq!(Status::parse("en_route"), Some(Status::Responding));
        assert_eq!(Status::parse("In_Progress"), Some(Status::Responding));
        assert_eq!(Status::parse("completed"), Some(Status::Resolved));
        assert_eq!(Status::parse("gone"), None);
    }
}
