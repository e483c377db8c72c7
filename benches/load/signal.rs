//! A position that says which it is: its sender's place is written into the digits of the longitude, its number
//! into those of the latitude, and both are read back from whatever the engine makes of them.
//!
//! Both have nine significant digits, of which the last is never zero, so any honest float brings them back. A
//! sender moves 11 cm from one number to the next: it walks or drives, it does not jump, so that the engine keeps
//! no more of its history than of a real one.

use crate::dialect::Dialect;
use crate::scan::{Key, number};

const DIGITS: usize = 6;
/// Numbers of one sender that are told apart; so many places there may be, too.
const PART: u64 = 1_000_000;

/// Bytes that hold a position, a frame or a request, whose digits are written over for each use.
pub struct Template {
    pub bytes: Vec<u8>,
    latitude: usize,
    longitude: usize,
    /// `None`: it has none.
    timestamp: Option<usize>,
}

impl Template {
    /// The frame of a position to a room; `ask` for an acknowledgement where there is a choice.
    pub fn position(dialect: Dialect, room: &str, ask: bool) -> Self {
        Self::around(dialect.position(room, &fields(), ask))
    }

    /// The frame of a message to a room; the number and the place are its words.
    pub fn message(dialect: Dialect, room: &str) -> Self {
        let bytes = dialect.message(room, "n=000000 p=000000", None);
        let after = |key: &str| memchr::memmem::find(&bytes, key.as_bytes()).map_or(0, |at| at + key.len());
        let (latitude, longitude) = (after("\"n="), after(" p="));
        Self {
            bytes,
            latitude,
            longitude,
            timestamp: None,
        }
    }

    /// Anything that has `fields()` in it once.
    pub fn around(bytes: Vec<u8>) -> Self {
        let after = |key: &str| memchr::memmem::find(&bytes, key.as_bytes()).map_or(0, |at| at + key.len());
        let (latitude, longitude) = (after("\"latitude\":10."), after("\"longitude\":20."));
        let timestamp = Some(after("\"timestamp\":"));
        Self {
            bytes,
            latitude,
            longitude,
            timestamp,
        }
    }

    /// Writes the number, the place and the fix time (Unix ms) into the bytes.
    pub fn write(&mut self, number: u64, place: u64, unix_ms: u64) {
        put(
            &mut self.bytes[self.latitude..self.latitude + DIGITS],
            number % PART,
        );
        put(
            &mut self.bytes[self.longitude..self.longitude + DIGITS],
            place % PART,
        );
        if let Some(at) = self.timestamp {
            put(&mut self.bytes[at..at + 13], unix_ms);
        }
    }
}

/// The fields of a position, as JSON, to be written over.
pub fn fields() -> String {
    "\"latitude\":10.0000005,\"longitude\":20.0000005,\"accuracy\":5,\"timestamp\":1000000000000".into()
}

fn put(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Reads the numbers back, under each of the names by which they are told.
pub struct Reader {
    names: Vec<Name>,
}

/// Where the numbers are under a name: for each it is another place.
struct Name {
    beginning: &'static [u8],
    number: Key,
    place: Key,
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Which of the names it came under.
    pub name: usize,
    /// The number's last digits, see `whole`.
    pub low: u64,
    pub place: u64,
}

impl Reader {
    pub fn of_positions(dialect: Dialect) -> Self {
        Self::new(dialect.position_names(), "\"latitude\":10.", "\"longitude\":20.")
    }

    pub fn of_messages(dialect: Dialect) -> Self {
        Self::new(dialect.message_names(), "\"content\":\"n=", " p=")
    }

    fn new(names: &[&'static str], number: &str, place: &str) -> Self {
        let name = |beginning: &&'static str| Name {
            beginning: beginning.as_bytes(),
            number: Key::new(number),
            place: Key::new(place),
        };
        Self {
            names: names.iter().map(name).collect(),
        }
    }

    /// What a message carries, if it is one of ours.
    #[inline]
    pub fn read(&mut self, message: &[u8]) -> Option<Signal> {
        let mut names = self.names.iter_mut().enumerate();
        let (name, keys) = names.find(|(_, name)| message.starts_with(name.beginning))?;
        let low = keys.number.after(message)?.get(..DIGITS)?;
        let place = keys.place.after(message)?.get(..DIGITS)?;
        Some(Signal {
            name,
            low: number(low)?,
            place: number(place)?,
        })
    }
}

/// The newest number with these last digits, none being newer than `newest`.
#[inline]
pub fn whole(low: u64, newest: u64) -> Option<u64> {
    newest.checked_sub((newest % PART + PART - low) % PART)
}

/// Unix milliseconds now.
pub fn unix_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}
