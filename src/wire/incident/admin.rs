//! What operators say and hear in `/admin` (protocol page, section 4): which events they want, and those events.

use serde::Serialize;
use serde_json::Value;

use super::client::{ClientError, INVALID_FIELD};
use super::words::Word;
use crate::domain::area::Area;
use crate::domain::geo::Position;
use crate::domain::incident::{IncidentType, Status};
use crate::domain::ops::Filter;
use crate::wire::field::{self, NAME_MAX_CHARS};
use crate::wire::loose::Loose;
use crate::wire::socketio::Args;

/// The longest cursor that is looked at.
const CURSOR_MAX_CHARS: usize = 128;

/// Its name.
pub const SUBSCRIBE: &str = "admin:subscribe";
/// Its name.
pub const UNSUBSCRIBE: &str = "admin:unsubscribe";

/// What an operator says.
#[derive(Clone, Debug, PartialEq)]
pub enum AdminMessage {
    /// `admin:subscribe`: these events from now on, in place of those before.
    Subscribe {
        /// Which.
        filter: Filter,
        /// What the last event had that they saw: go on after it.
        cursor: Option<String>,
    },
    /// `admin:unsubscribe`: none any more.
    Unsubscribe,
}

/// Reads an operator's event; `None` when it is none of theirs. `radius_max_km` bounds the circle that is watched.
///
/// # Errors
/// What is wrong with it, with the field.
pub fn parse(name: &str, args: &Args, radius_max_km: u32) -> Result<Option<AdminMessage>, ClientError> {
    match name {
        SUBSCRIBE => {}
        UNSUBSCRIBE => return Ok(Some(AdminMessage::Unsubscribe)),
        _ => return Ok(None),
    }
    let first = args.items().into_iter().next();
    let given = first.map_or(Ok(Value::Null), |json| serde_json::from_str(json.as_str()));
    let given: Value = given.unwrap_or_default();
    if !given.is_object() && !given.is_null() {
        return Err(wrong(
            None,
            "the first argument must be an object, or be left out",
        ));
    }
    let filter = Filter {
        city_id: text(&given, "cityId", NAME_MAX_CHARS)?,
        types: each(&given, "types", IncidentType::parse)?,
        statuses: each(&given, "statuses", Status::parse)?,
        area: area(&given, radius_max_km)?,
    };
    let cursor = text(&given, "cursor", CURSOR_MAX_CHARS)?;
    Ok(Some(AdminMessage::Subscribe { filter, cursor }))
}

fn wrong(field: Option<&'static str>, message: impl Into<String>) -> ClientError {
    ClientError {
        code: INVALID_FIELD,
        message: message.into(),
        field,
    }
}

fn text(given: &Value, name: &'static str, max_chars: usize) -> Result<Option<String>, ClientError> {
    Ok(field::note(name, &Loose::of(given.get(name)), max_chars)?)
}

fn each<T>(given: &Value, field: &'static str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, ClientError> {
    let error = || wrong(Some(field), format!("{field} must be a list of their names"));
    match &given[field] {
        Value::Null => Ok(vec![]),
        Value::Array(names) => names
            .iter()
            .map(|name| name.as_str().and_then(parse).ok_or_else(error))
            .collect(),
        _ => Err(error()),
    }
}

fn area(given: &Value, radius_max_km: u32) -> Result<Option<Area>, ClientError> {
    let area = &given["area"];
    if area.is_null() {
        return Ok(None);
    }
    let number = |key: &str| area[key].as_f64();
    let centre = number("latitude").zip(number("longitude"));
    let centre = centre.and_then(|(latitude, longitude)| Position::new(latitude, longitude).ok());
    let circle = centre.zip(number("radiusKm"));
    circle
        .and_then(|(centre, radius)| Area::new(centre, radius, radius_max_km).ok())
        .map(Some)
        .ok_or_else(|| {
            let what = format!(
                "area must have latitude, longitude and radiusKm, above 0 and at most {radius_max_km}"
            );
            wrong(Some("area"), what)
        })
}

#[derive(Serialize)]
struct Began<'a> {
    cursor: &'a str,
    gap: bool,
}

/// What comes next happened after this place. With `gap` some of what followed the cursor that was given is not kept any
/// more.
pub fn subscribed(cursor: &str, gap: bool) -> Word {
    let body = serde_json::to_string(&Began { cursor, gap });
    Word {
        name: "admin:subscribed",
        body: body.expect("invariant: text and a flag are JSON").into(),
    }
}

/// An event, as [`OpsEventView`](crate::wire::rest::OpsEventView) writes it.
pub fn event(json: String) -> Word {
    Word {
        name: "admin:event",
        body: json.into(),
    }
}

/// Where everybody is, as [`OpsPositionsView`](crate::wire::rest::OpsPositionsView) writes it.
pub fn positions(json: String) -> Word {
    Word {
        name: "admin:positions",
        body: json.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subscribe(given: &Value) -> Result<AdminMessage, ClientError> {
        let args = Args::build().value(given).done();
        parse(SUBSCRIBE, &args, 500).map(Option::unwrap)
    }

    #[test]
    fn a_subscription_says_what_it_wants() {
        let given = json!({
            "cityId": "MNL", "types": ["fire", "MEDICAL"], "statuses": ["active"], "cursor": "1-2-3-4",
            "area": {"latitude": 14.6, "longitude": 121, "radiusKm": 30},
        });
        let Ok(AdminMessage::Subscribe { filter, cursor }) = subscribe(&given) else {
            panic!("it is one");
        };
        assert_eq!(filter.city_id.as_deref(), Some("MNL"));
        assert_eq!(filter.types, [IncidentType::Fire, IncidentType::Medical]);
        assert_eq!(filter.statuses, [Status::Active]);
        assert!(
            filter
                .area
                .is_some_and(|area| (area.radius_m() - 30_000.0).abs() < 1e-6)
        );
        assert_eq!(cursor.as_deref(), Some("1-2-3-4"));
        let all = AdminMessage::Subscribe {
            filter: Filter::default(),
            cursor: None,
        };
        assert_eq!(subscribe(&json!({})), Ok(all.clone()));
        assert_eq!(parse(SUBSCRIBE, &Args::NONE, 500), Ok(Some(all)));
        assert_eq!(
            parse(UNSUBSCRIBE, &Args::NONE, 500),
            Ok(Some(AdminMessage::Unsubscribe))
        );
        assert_eq!(parse("join:sos", &Args::NONE, 500), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (given, field) in [
            (json!({"cityId": 7}), Some("cityId")),
            (json!({"types": "FIRE"}), Some("types")),
            (json!({"types": ["WAR"]}), Some("types")),
            (json!({"statuses": [1]}), Some("statuses")),
            (json!({"cursor": "x".repeat(200)}), Some("cursor")),
            (json!({"area": {"latitude": 14.6}}), Some("area")),
            (
                json!({"area": {"latitude": 14.6, "longitude": 121, "radiusKm": 501}}),
                Some("area"),
            ),
            (
                json!({"area": {"latitude": 91, "longitude": 121, "radiusKm": 1}}),
                Some("area"),
            ),
            (json!([1]), None),
        ] {
            let error = subscribe(&given).unwrap_err();
            assert_eq!((error.code, error.field), (INVALID_FIELD, field), "{given}");
        }
    }
}
