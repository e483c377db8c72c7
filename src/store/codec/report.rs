//! What was reported, in the log's and the records' words.

use serde::{Deserialize, Serialize};

use super::{corrupt, is_false, parse_room, parse_type};
use crate::domain::geo::Position;
use crate::domain::incident::{Address, Report, Severity, Visibility};
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;

/// A report as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    kind: String,
    text: String,
    silent: bool,
    severity: String,
    #[serde(default, with = "exact", skip_serializing_if = "Option::is_none")]
    lat: Option<f64>,
    #[serde(default, with = "exact", skip_serializing_if = "Option::is_none")]
    lon: Option<f64>,
    #[serde(default, with = "exact", skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    barangay: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    city_id: Option<String>,
    visibility: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    booking: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    from: Vec<String>,
    /// These three are left out when they say nothing: nodes of before they were written read the others.
    #[serde(default, skip_serializing_if = "is_false")]
    drill: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised_at: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    guarded: bool,
}

/// `serde_json` may be off by the last bit when it reads a float; the standard library is not.
mod exact {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;
    use serde_json::value::RawValue;

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_f64(*value),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        match <&RawValue>::deserialize(from)?.get() {
            "null" => Ok(None),
            digits => digits
                .parse()
                .map(Some)
                .map_err(|_| D::Error::custom("not a number")),
        }
    }
}

impl From<&Report> for Said {
    fn from(report: &Report) -> Self {
        Self {
            kind: report.kind.as_str().into(),
            text: report.message.clone(),
            silent: report.silent,
            severity: report.severity.as_str().into(),
            lat: report.position.map(Position::latitude),
            lon: report.position.map(Position::longitude),
            accuracy: report.accuracy,
            city: report.address.city.clone(),
            barangay: report.address.barangay.clone(),
            city_id: report.city_id.clone(),
            visibility: report.visibility.as_str().into(),
            trip: report.trip_id.clone(),
            booking: report.booking_id.clone(),
            from: report.raised_from.iter().map(ToString::to_string).collect(),
            drill: report.drill,
            raised_at: report.raised_at.map(Timestamp::ms),
            guarded: report.guarded,
        }
    }
}

impl TryFrom<Said> for Report {
    type Error = StoreError;

    fn try_from(said: Said) -> Result<Self, StoreError> {
        let position = match (said.lat, said.lon) {
            (Some(lat), Some(lon)) => Some(Position::new(lat, lon).map_err(|_| corrupt("a position"))?),
            (None, None) => None,
            _ => return Err(corrupt("a position")),
        };
        Ok(Self {
            kind: parse_type(&said.kind)?,
            message: said.text,
            silent: said.silent,
            drill: said.drill,
            raised_at: said.raised_at.map(Timestamp::from_ms),
            guarded: said.guarded,
            severity: Severity::parse(&said.severity).ok_or_else(|| corrupt("a severity"))?,
            position,
            accuracy: said.accuracy,
            address: Address {
                city: said.city,
                barangay: said.barangay,
            },
            city_id: said.city_id,
            visibility: Visibility::parse(&said.visibility).ok_or_else(|| corrupt("a visibility"))?,
            trip_id: said.trip,
            booking_id: said.booking,
            raised_from: said
                .from
                .iter()
                .map(|room| parse_room(room))
                .collect::<Result<_, _>>()?,
        })
    }
}
