//! Instants on the wire: RFC 3339 in UTC with milliseconds, and Unix numbers.
//!
//! Every frame carries a timestamp, so formatting is by hand; tests hold it to the `time` crate's answer.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::time::Timestamp;

/// The length of `2026-01-02T03:04:05.678Z`.
pub const CHARS: usize = 24;

/// 0001-01-01 and the last millisecond of 9999: RFC 3339 has four digits for a year.
const EARLIEST_MS: i64 = -62_135_596_800_000;
pub(super) const LATEST_MS: i64 = 253_402_300_799_999;

/// From 0000-03-01, where the civil calendar's arithmetic starts, to 1970-01-01.
const ERA_OFFSET_MS: i64 = 719_468 * 86_400_000;

/// A Unix number below this is seconds (until the year 5138), from it on milliseconds (since 1973).
const MILLISECONDS_FROM: f64 = 1e11;

/// Formats an instant; one outside the years 1 to 9999 is shown as the nearest inside.
pub fn rfc3339(at: Timestamp) -> [u8; CHARS] {
    let ms = u64::try_from(at.ms().clamp(EARLIEST_MS, LATEST_MS) + ERA_OFFSET_MS).unwrap_or(0);
    let (days, of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let mut out = *b"0000-00-00T00:00:00.000Z";
    digits(&mut out[0..4], year);
    digits(&mut out[5..7], month);
    digits(&mut out[8..10], day);
    digits(&mut out[11..13], of_day / 3_600_000);
    digits(&mut out[14..16], of_day / 60_000 % 60);
    digits(&mut out[17..19], of_day / 1000 % 60);
    digits(&mut out[20..23], of_day % 1000);
    out
}

/// The same as text.
pub fn rfc3339_text(at: Timestamp) -> String {
    String::from_utf8_lossy(&rfc3339(at)).into_owned()
}

/// Year, month and day of a day counted from 0000-03-01 (Hinnant, "chrono-compatible low-level date
/// algorithms"): years start in March, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn digits(out: &mut [u8], mut value: u64) {
    for place in out.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Reads RFC 3339 with any offset. Not before 1970.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    if text.len() > 64 {
        return None;
    }
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let ms = i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
    (ms >= 0).then_some(Timestamp::from_ms(ms))
}

/// Reads a Unix number, seconds or milliseconds, with or without a fraction. Not before 1970, not after 9999.
pub fn from_unix(number: f64) -> Option<Timestamp> {
    let ms = if number < MILLISECONDS_FROM {
        number * 1000.0
    } else {
        number
    };
    #[expect(clippy::cast_possible_truncation, reason = "in range")]
    (0.0..=LATEST_MS as f64)
        .contains(&ms)
        .then(|| Timestamp::from_ms(ms.round() as i64))
}

/// An instant as views render it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub Timestamp);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = rfc3339(self.0);
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::format_description;

    fn by_the_time_crate(ms: i64) -> String {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap();
        let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        at.format(form).unwrap()
    }

    proptest! {
        #[test]
        fn a_timestamp_is_what_the_time_crate_says(ms in EARLIEST_MS..=LATEST_MS) {
            prop_assert_eq!(rfc3339_text(Timestamp::from_ms(ms)), by_the_time_crate(ms));
        }

        #[test]
        fn a_timestamp_of_our_days_is_read_back(ms in 0..=LATEST_MS) {
            let at = Timestamp::from_ms(ms);
            prop_assert_eq!(parse_rfc3339(&rfc3339_text(at)), Some(at));
        }

        #[test]
        fn no_instant_and_no_text_panics(ms in any::<i64>(), text in ".*", number in any::<f64>()) {
            rfc3339(Timestamp::from_ms(ms));
            let _ = (parse_rfc3339(&text), from_unix(number));
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_right() {
        for day in 0..146_097 {
            let ms = day * 86_400_000 + 1;
            assert_eq!(rfc3339_text(Timestamp::from_ms(ms)), by_the_time_crate(ms));
        }
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart_by_size() {
        let at = Some(Timestamp::from_ms(1_700_000_000_250));
        assert_eq!(from_unix(1_700_000_000.25), at);
        assert_eq!(from_unix(1_700_000_000_250.0), at);
        assert_eq!(from_unix(-1.0), None);
        assert_eq!(from_unix(f64::NAN), None);
        assert_eq!(from_unix(f64::INFINITY), None);
    }

    #[test]
    fn an_offset_is_reckoned_in_and_nonsense_is_refused() {
        assert_eq!(
            parse_rfc3339("1970-01-01T08:00:00.5+08:00"),
            Some(Timestamp::from_ms(500))
        );
        for bad in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-01 00:00:00",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }
}
