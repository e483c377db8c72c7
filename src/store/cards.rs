//! Cards: small records by name, each replaced whole by whoever saw its last version.
//!
//! What a card says is its writer's affair. The store knows its name, whose it is, the shelf that it is found on with others,
//! and when it may go. Codes that wait to be typed in, PINs, where somebody's devices are pushed to: what two nodes may
//! write at once without either losing the other's word.

use crate::domain::people::Subject;
use crate::domain::time::Timestamp;

/// A card.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    /// Its name: 1 to 200 characters.
    pub key: String,
    /// Which version of it: positive, from a good random source, another one each time.
    pub version: i64,
    /// What it says. It may hold numbers, addresses and hashes: it reaches no log line.
    pub text: CardText,
}

/// What a card says, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardText {
    /// Where it is found with others; 1 to 200 characters.
    pub shelf: Option<String>,
    /// Whose it is: it goes when they are erased.
    pub whose: Option<Subject>,
    /// When a purge may remove it; `None`: never. Whoever reads it looks at that themselves.
    pub until: Option<Timestamp>,
    /// What it says.
    pub body: String,
}

/// A card is to be another, or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardWrite {
    /// Its name.
    pub key: String,
    /// The version that the writer saw; 0: there was no such card.
    pub seen: i64,
    /// What it is to be, and its version from then on; `None`: gone.
    pub then: Option<(i64, CardText)>,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Card({})", self.version)
    }
}
