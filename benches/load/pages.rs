//! Pages of `GET /sos` as a client meets them: what is on one, where the next begins, and whether a whole walk
//! through them told everything once and in order.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use memchr::memmem::{Finder, FinderRev};

/// The mean radius of the Earth in metres, by which the engine measures.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// One page: entries by the first half of their (random) id, with their distance, and the next page's cursor.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    pub entries: Vec<(u64, f64)>,
    pub next: Option<String>,
}

/// Reads pages without parsing the JSON in them.
pub struct Reader {
    id: Finder<'static>,
    distance: Finder<'static>,
    next: FinderRev<'static>,
}

impl Reader {
    pub fn new() -> Self {
        Self {
            id: Finder::new(b"\"sosId\":\""),
            distance: Finder::new(b"\"distanceM\":"),
            next: FinderRev::new(b"\"nextCursor\":"),
        }
    }

    /// Reads an answer; `None` when it is not one.
    pub fn read(&self, body: &[u8], page: &mut Page) -> Option<()> {
        page.entries.clear();
        let tail = &body[self.next.rfind(body)? + 13..];
        page.next = match tail.strip_prefix(b"\"") {
            Some(text) => Some(
                std::str::from_utf8(crate::scan::until_quote(text))
                    .ok()?
                    .to_owned(),
            ),
            None => tail.starts_with(b"null").then_some(None)?,
        };
        let mut rest = body;
        while let Some(at) = self.id.find(rest) {
            rest = &rest[at + 9..];
            let id = std::str::from_utf8(rest.get(..16)?).ok()?;
            let id = u64::from_str_radix(id, 16).ok()?;
            let at = self.distance.find(rest)?;
            rest = &rest[at + 12..];
            let end = rest.iter().position(|byte| b",}".contains(byte))?;
            page.entries
                .push((id, std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?));
        }
        Some(())
    }
}

/// What a walk found wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Entries that were told before on this walk.
    pub twice: u64,
    /// Entries nearer than the one before them.
    pub disordered: u64,
    /// Entries that should have been there and were not, or the other way round.
    pub missing: u64,
    pub surplus: u64,
}

impl std::ops::AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.twice += other.twice;
        self.disordered += other.disordered;
        self.missing += other.missing;
        self.surplus += other.surplus;
    }
}

/// A walk through all pages round one place.
#[derive(Debug, Default)]
pub struct Walk {
    seen: HashSet<u64>,
    farthest: f64,
}

impl Walk {
    /// Takes a page.
    pub fn take(&mut self, page: &Page) -> Faults {
        let mut faults = Faults::default();
        for (id, distance) in &page.entries {
            faults.twice += u64::from(!self.seen.insert(*id));
            faults.disordered += u64::from(*distance < self.farthest);
            self.farthest = distance.max(self.farthest);
        }
        faults
    }

    /// Ends the walk, which should have met so many.
    pub fn end(&mut self, expected: &RangeInclusive<u64>) -> Faults {
        let met = self.seen.len() as u64;
        self.seen.clear();
        self.farthest = 0.0;
        Faults {
            missing: expected.start().saturating_sub(met),
            surplus: met.saturating_sub(*expected.end()),
            ..Faults::default()
        }
    }
}

/// Metres between two places.
pub fn distance_m(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (north, east) = ((b.0 - a.0).to_radians(), (b.1 - a.1).to_radians());
    let chord = (north / 2.0).sin().powi(2)
        + a.0.to_radians().cos() * b.0.to_radians().cos() * (east / 2.0).sin().powi(2);
    2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
}

/// How many of `places` lie within `radius` metres. A range: whoever is within a metre of the edge may count or not.
pub fn within(
    centre: (f64, f64),
    radius: f64,
    places: impl Iterator<Item = (f64, f64)>,
) -> RangeInclusive<u64> {
    let (mut least, mut most) = (0, 0);
    for place in places {
        let distance = distance_m(centre, place);
        least += u64::from(distance < radius - 1.0);
        most += u64::from(distance < radius + 1.0);
    }
    least..=most
}
