//! A position that carries a number: written into the digits of a latitude and a longitude, read back from
//! whatever the engine makes of them.
//!
//! Both have seven significant digits, of which the last is never zero, so any honest float brings them back.

use crate::scan::{Key, number};
use crate::ws;

const DIGITS: usize = 5;
const PART: u64 = 100_000;

/// Numbers that fit: ten digits.
pub const NUMBERS: u64 = PART * PART;

/// Bytes that hold a position, a frame or a request, whose digits are written over for each use.
pub struct Template {
    pub bytes: Vec<u8>,
    latitude: usize,
    longitude: usize,
    timestamp: usize,
}

impl Template {
    /// The frame of a `location-update` to a room.
    pub fn frame(room: &str) -> Self {
        let mut bytes = Vec::new();
        let body = format!(
            "{{\"type\":\"location-update\",\"roomId\":\"{room}\",{}}}",
            fields()
        );
        ws::push_frame(&mut bytes, ws::TEXT, body.as_bytes());
        Self::around(bytes)
    }

    /// Anything that has `fields()` in it once.
    pub fn around(bytes: Vec<u8>) -> Self {
        let after = |key: &str| memchr::memmem::find(&bytes, key.as_bytes()).map_or(0, |at| at + key.len());
        let (latitude, longitude) = (after("\"latitude\":10."), after("\"longitude\":20."));
        let timestamp = after("\"timestamp\":");
        Self {
            bytes,
            latitude,
            longitude,
            timestamp,
        }
    }

    /// Writes a number and a fix time (Unix ms) into the bytes.
    pub fn write(&mut self, value: u64, unix_ms: u64) {
        self.write_parts(value / PART, value % PART, unix_ms);
    }

    /// The same, the two halves given: fractions of a degree in 1e-5.
    pub fn write_parts(&mut self, latitude: u64, longitude: u64, unix_ms: u64) {
        put(
            &mut self.bytes[self.latitude..self.latitude + DIGITS],
            latitude % PART,
        );
        put(
            &mut self.bytes[self.longitude..self.longitude + DIGITS],
            longitude % PART,
        );
        put(&mut self.bytes[self.timestamp..self.timestamp + 13], unix_ms);
    }
}

/// The fields of a position, as JSON, to be written over.
pub fn fields() -> String {
    "\"latitude\":10.000005,\"longitude\":20.000005,\"accuracy\":5,\"timestamp\":1000000000000".into()
}

fn put(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Reads the numbers back.
pub struct Reader {
    latitude: Key,
    longitude: Key,
}

impl Reader {
    pub fn new() -> Self {
        Self {
            latitude: Key::new("\"latitude\":10."),
            longitude: Key::new("\"longitude\":20."),
        }
    }

    /// The number that a message carries, if it is one of ours.
    #[inline]
    pub fn read(&mut self, message: &[u8]) -> Option<u64> {
        let high = self.latitude.after(message)?.get(..DIGITS)?;
        let low = self.longitude.after(message)?.get(..DIGITS)?;
        Some(number(high)? * PART + number(low)?)
    }
}

/// Unix milliseconds now.
pub fn unix_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}
