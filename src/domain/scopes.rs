//! What a credential lets its bearer do, where it says so: keys of sister services, and tokens that are bound
//! to one incident.

use std::fmt;

macro_rules! scopes {
    ($($(#[$doc:meta])* $scope:ident = $name:literal),* $(,)?) => {
        /// One kind of thing that may be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope {
            $($(#[$doc])* $scope),*
        }

        impl Scope {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$scope),*];

            /// The name that keys and tokens give it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$scope => $name),*
                }
            }
        }
    };
}

scopes! {
    /// See incidents: their state, log, messages, participants and positions, lists and areas.
    IncidentsRead = "incidents:read",
    /// Raise incidents, and move them along their states.
    IncidentsWrite = "incidents:write",
    /// Write messages.
    MessagesWrite = "messages:write",
    /// Send positions.
    PositionsWrite = "positions:write",
    /// Join, leave, and put others out.
    ParticipantsWrite = "participants:write",
    /// Read and decide on reports, block devices and lift blocks.
    DevicesWrite = "devices:write",
    /// Find trips.
    TripsRead = "trips:read",
    /// Begin and end trips.
    TripsWrite = "trips:write",
    /// Look at the event feed and its dead letters.
    OutboxRead = "outbox:read",
    /// Send dead letters again.
    OutboxWrite = "outbox:write",
    /// Tell that somebody's contacts have changed where they are kept.
    ContactsWrite = "contacts:write",
    /// Send codes that prove that a number or an address is somebody's, and judge them.
    OtpWrite = "otp:write",
}

impl Scope {
    /// Parses a name in any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str().eq_ignore_ascii_case(text))
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scopes(u16);

impl Scopes {
    /// Everything, what is added later included: who has no list of scopes is not bound by one.
    pub const ALL: Self = Self(u16::MAX);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// With `scope` beside what is in it.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// With everything in `more` beside what is in it.
    #[must_use]
    pub const fn union(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether `scope` is in it.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self::NONE.with(scope)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_it = Scope::ALL.iter().filter(|scope| self.allow(**scope));
        f.debug_set().entries(in_it.map(|scope| scope.as_str())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_known_by_its_name_in_any_letter_case() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(*scope));
            assert_eq!(Scope::parse(&scope.as_str().to_uppercase()), Some(*scope));
        }
        assert_eq!(Scope::parse("incidents"), None);
        assert_eq!(Scope::parse(""), None);
    }

    #[test]
    fn a_set_allows_what_was_put_in_and_nothing_else() {
        let set: Scopes = [Scope::MessagesWrite, Scope::IncidentsRead].into_iter().collect();
        for scope in Scope::ALL {
            let put_in = matches!(scope, Scope::MessagesWrite | Scope::IncidentsRead);
            assert_eq!(set.allow(*scope), put_in, "{scope:?}");
            assert!(Scopes::ALL.allow(*scope) && !Scopes::NONE.allow(*scope));
        }
        assert_eq!(format!("{set:?}"), r#"{"incidents:read", "messages:write"}"#);
    }
}
