//! Checks of single fields, the same for every dialect: each answers a domain value or says, for the person
//! who wrote the client, which field is wrong and what it must be.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::loose::Loose;
use super::stamp;
use super::{Reading, SentToken};
use crate::domain::geo::{Fix, InvalidGeo, Position};
use crate::domain::pin::PinEntry;
use crate::domain::time::Timestamp;

/// The longest text of a person's or a place's name on the wire, in characters.
pub(super) const NAME_MAX_CHARS: usize = 80;
/// The longest note, reason or formatted address, in characters.
pub(super) const NOTE_MAX_CHARS: usize = 500;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Its name, without the objects that it is in.
    pub field: &'static str,
    /// A sentence that names it.
    pub message: String,
}

pub(super) type Checked<T> = Result<T, Problem>;

impl Problem {
    /// `field` is not there.
    pub fn missing(field: &'static str) -> Self {
        Self {
            field,
            message: format!("{field} is missing"),
        }
    }

    /// `field` must be `what`.
    pub fn wants(field: &'static str, what: impl Display) -> Self {
        Self {
            field,
            message: format!("{field} must be {what}"),
        }
    }
}

impl From<InvalidGeo> for Problem {
    fn from(error: InvalidGeo) -> Self {
        Self {
            field: error.field(),
            message: error.to_string(),
        }
    }
}

/// Insists on a field.
pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Checked<T> {
    value.ok_or_else(|| Problem::missing(field))
}

/// A number. A string of digits is none: it tells of a client that does not know what it sends.
pub(super) fn number(field: &'static str, value: &Loose<'_>) -> Checked<Option<f64>> {
    match value {
        Loose::Absent => Ok(None),
        Loose::Whole(whole) => Ok(Some(*whole as f64)),
        Loose::Number(number) => Ok(Some(*number)),
        _ => Err(Problem::wants(field, "a number")),
    }
}

/// A whole number within bounds.
pub(super) fn whole(
    field: &'static str,
    value: &Loose<'_>,
    bounds: RangeInclusive<u64>,
) -> Checked<Option<u64>> {
    match value {
        Loose::Absent => Ok(None),
        Loose::Whole(number) if bounds.contains(number) => Ok(Some(*number)),
        _ if *bounds.end() == u64::MAX => Err(Problem::wants(
            field,
            format_args!("a whole number, {} or more", bounds.start()),
        )),
        _ => Err(Problem::wants(
            field,
            format_args!("a whole number from {} to {}", bounds.start(), bounds.end()),
        )),
    }
}

/// The `limit` of a list.
pub(super) fn limit(value: &Loose<'_>, max: usize, default: usize) -> Checked<usize> {
    let limit = whole("limit", value, 1..=max as u64)?;
    Ok(limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(default))
}

/// `true` or `false`.
pub(super) fn flag(field: &'static str, value: &Loose<'_>) -> Checked<Option<bool>> {
    match value {
        Loose::Absent => Ok(None),
        Loose::Flag(flag) => Ok(Some(*flag)),
        _ => Err(Problem::wants(field, "true or false")),
    }
}

/// Text as it was written, so many characters long; line breaks and tabs are its only control characters.
pub(super) fn text<'v>(
    field: &'static str,
    value: &'v Loose<'_>,
    chars: RangeInclusive<usize>,
) -> Checked<Option<&'v str>> {
    let text = match value {
        Loose::Absent => return Ok(None),
        Loose::Text(text) => text.as_ref(),
        _ => return Err(Problem::wants(field, "text")),
    };
    if !chars.contains(&text.chars().count()) {
        return Err(Problem {
            field,
            message: format!(
                "{field} must have {} to {} characters",
                chars.start(),
                chars.end()
            ),
        });
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(Problem {
            field,
            message: format!("{field} may not hold control characters"),
        });
    }
    Ok(Some(text))
}

/// Text with something in it besides white space.
pub(super) fn words(
    field: &'static str,
    value: &Loose<'_>,
    chars: RangeInclusive<usize>,
) -> Checked<Option<String>> {
    match text(field, value, chars)? {
        Some(blank) if blank.trim().is_empty() => Err(Problem {
            field,
            message: format!("{field} may not be blank"),
        }),
        found => Ok(found.map(str::to_owned)),
    }
}

/// Text that may be left out or empty, which is the same.
pub(super) fn note(field: &'static str, value: &Loose<'_>, max_chars: usize) -> Checked<Option<String>> {
    let found = text(field, value, 0..=max_chars)?;
    Ok(found.filter(|note| !note.trim().is_empty()).map(str::to_owned))
}

/// The longest PIN that is looked at, in characters.
pub(super) const PIN_MAX_CHARS: usize = 64;

/// Whatever was typed in as a PIN: that it is none is said by whoever holds it against theirs.
pub(super) fn pin(field: &'static str, value: &Loose<'_>) -> Checked<Option<PinEntry>> {
    let text = note(field, value, PIN_MAX_CHARS)?;
    Ok(text.as_deref().map(PinEntry::new))
}

/// A credential in a message.
pub(super) fn token(value: &Loose<'_>) -> Checked<SentToken> {
    let text = text("token", value, 1..=SentToken::MAX_CHARS)?;
    required("token", text).map(SentToken::new)
}

/// Text that a domain type reads, and that type's own words when it cannot.
pub(super) fn parsed<T, E: Display>(
    field: &'static str,
    value: &Loose<'_>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Checked<Option<T>> {
    match value {
        Loose::Absent => Ok(None),
        Loose::Text(text) => parse(text).map(Some).map_err(|error| Problem {
            field,
            message: format!("{field} {error}"),
        }),
        _ => Err(Problem::wants(field, "text")),
    }
}

/// One of a list of names, in any letter case.
pub(super) fn one_of<T: Copy>(
    field: &'static str,
    value: &Loose<'_>,
    parse: impl FnOnce(&str) -> Option<T>,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Checked<Option<T>> {
    let found = match value {
        Loose::Absent => return Ok(None),
        Loose::Text(text) => parse(text),
        _ => None,
    };
    found.map(Some).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|value| name(*value)).collect();
        Problem::wants(field, format_args!("one of {}", names.join(", ")))
    })
}

/// An instant: RFC 3339 or a Unix number of seconds or milliseconds.
pub(super) fn instant(field: &'static str, value: &Loose<'_>) -> Checked<Option<Timestamp>> {
    let found = match value {
        Loose::Absent => return Ok(None),
        Loose::Whole(whole) => stamp::from_unix(*whole as f64),
        Loose::Number(number) => stamp::from_unix(*number),
        Loose::Text(text) => stamp::parse_rfc3339(text),
        _ => None,
    };
    found.map(Some).ok_or_else(|| {
        Problem::wants(
            field,
            "an RFC 3339 time or a Unix number of seconds or milliseconds, not before 1970",
        )
    })
}

/// When something was measured: an instant that does not lie further ahead than clocks go wrong.
pub(super) fn measured_at(
    field: &'static str,
    value: &Loose<'_>,
    reading: &Reading,
) -> Checked<Option<Timestamp>> {
    match instant(field, value)? {
        Some(at) if at > reading.now + reading.max_ahead => Err(Problem {
            field,
            message: format!(
                "{field} lies more than {} s in the future",
                reading.max_ahead.as_secs()
            ),
        }),
        at => Ok(at),
    }
}

/// A position: both coordinates or neither.
pub(super) fn position(latitude: &Loose<'_>, longitude: &Loose<'_>) -> Checked<Option<Position>> {
    match (number("latitude", latitude)?, number("longitude", longitude)?) {
        (None, None) => Ok(None),
        (latitude, longitude) => {
            let (latitude, longitude) = (required("latitude", latitude)?, required("longitude", longitude)?);
            Ok(Some(Position::new(latitude, longitude)?))
        }
    }
}

/// The measured extras of a position, each by itself: (accuracy, speed, heading).
type Motion = (Option<f64>, Option<f64>, Option<f64>);

/// A number that the domain accepts as one of a fix's extras.
fn extra(
    field: &'static str,
    value: &Loose<'_>,
    motion: impl FnOnce(Option<f64>) -> Motion,
) -> Checked<Option<f64>> {
    let number = number(field, value)?;
    let (accuracy, speed, heading) = motion(number);
    // The domain checks a whole fix: any position will do.
    Fix::new(Position::new(0.0, 0.0)?, Timestamp::default()).with_motion(accuracy, speed, heading)?;
    Ok(number)
}

/// The accuracy of a position.
pub(super) fn accuracy(field: &'static str, value: &Loose<'_>) -> Checked<Option<f64>> {
    extra(field, value, |metres| (metres, None, None))
}

/// The fields of a fix as they came.
pub(super) struct FixFields<'v, 'a> {
    pub latitude: &'v Loose<'a>,
    pub longitude: &'v Loose<'a>,
    pub accuracy: &'v Loose<'a>,
    pub speed: &'v Loose<'a>,
    pub heading: &'v Loose<'a>,
    pub timestamp: &'v Loose<'a>,
}

impl FixFields<'_, '_> {
    /// The fix, when it says when it was measured.
    pub fn timed(&self, reading: &Reading) -> Checked<Fix> {
        self.at(self.measured(reading)?)
    }

    /// The fix; one that does not say when it was measured was measured now.
    pub fn live(&self, reading: &Reading) -> Checked<Fix> {
        self.at(measured_at("timestamp", self.timestamp, reading)?.unwrap_or(reading.now))
    }

    /// Everything that keeps [`timed`](Self::timed) from answering a fix.
    pub fn problems(&self, reading: &Reading) -> Vec<Problem> {
        let checks = [
            self.position().err(),
            accuracy("accuracy", self.accuracy).err(),
            extra("speed", self.speed, |speed| (None, speed, None)).err(),
            extra("heading", self.heading, |heading| (None, None, heading)).err(),
            self.measured(reading).err(),
        ];
        checks.into_iter().flatten().collect()
    }

    fn at(&self, at: Timestamp) -> Checked<Fix> {
        let fix = Fix::new(self.position()?, at).with_motion(
            number("accuracy", self.accuracy)?,
            number("speed", self.speed)?,
            number("heading", self.heading)?,
        )?;
        Ok(fix)
    }

    fn position(&self) -> Checked<Position> {
        required("latitude", position(self.latitude, self.longitude)?)
    }

    fn measured(&self, reading: &Reading) -> Checked<Timestamp> {
        required("timestamp", measured_at("timestamp", self.timestamp, reading)?)
    }
}
