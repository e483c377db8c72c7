//! Fixes as REST shows them: plain, and as GeoJSON (RFC 7946).

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// A fix.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocationView<'a> {
    /// Whose position it is.
    #[schemars(with = "schema::Participant")]
    participant_id: String,
    /// What they are called, where names are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&str")]
    display_name: Option<&'a str>,
    /// Degrees north, WGS 84.
    #[schemars(extend("minimum" = -90, "maximum" = 90))]
    latitude: f64,
    /// Degrees east, WGS 84.
    #[schemars(extend("minimum" = -180, "maximum" = 180))]
    longitude: f64,
    /// Radius in metres.
    #[schemars(range(min = 0))]
    accuracy: Option<f64>,
    /// Metres a second.
    #[schemars(range(min = 0))]
    speed: Option<f64>,
    /// Degrees clockwise from north.
    #[schemars(extend("minimum" = 0, "maximum" = 360))]
    heading: Option<f64>,
    /// When it was measured, by the device's clock.
    timestamp: Stamp,
}

impl<'a> LocationView<'a> {
    /// Shows a fix and whose it is.
    pub fn new(id: ParticipantId, name: Option<&'a str>, fix: &Fix) -> Self {
        Self {
            participant_id: id.to_string(),
            display_name: name,
            latitude: fix.position.latitude(),
            longitude: fix.position.longitude(),
            accuracy: fix.accuracy,
            speed: fix.speed,
            heading: fix.heading,
            timestamp: Stamp(fix.at),
        }
    }
}

/// Fixes for a map: one point each.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeatureCollection {
    #[serde(rename = "type")]
    #[schemars(extend("const" = "FeatureCollection"))]
    kind: &'static str,
    /// Positions, oldest first.
    features: Vec<Feature>,
    /// Not there on the last page.
    /// A foreign member, which RFC 7946 allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Cursor")]
    next_cursor: Option<String>,
}

/// A fix on a map.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Feature {
    #[serde(rename = "type")]
    #[schemars(extend("const" = "Feature"))]
    kind: &'static str,
    geometry: Point,
    properties: Properties,
}

/// Longitude comes first in GeoJSON.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct Point {
    #[serde(rename = "type")]
    #[schemars(extend("const" = "Point"))]
    kind: &'static str,
    /// Longitude, latitude.
    coordinates: [f64; 2],
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Properties {
    /// Whose position it is.
    #[schemars(with = "schema::Participant")]
    participant_id: String,
    /// When it was measured, by the device's clock.
    timestamp: Stamp,
    /// Radius in metres.
    #[schemars(range(min = 0))]
    accuracy: Option<f64>,
    /// Metres a second.
    #[schemars(range(min = 0))]
    speed: Option<f64>,
    /// Degrees clockwise from north.
    #[schemars(extend("minimum" = 0, "maximum" = 360))]
    heading: Option<f64>,
}

impl Feature {
    /// Shows a fix and whose it is.
    pub fn new(id: ParticipantId, fix: &Fix) -> Self {
        Self {
            kind: "Feature",
            geometry: Point {
                kind: "Point",
                coordinates: [fix.position.longitude(), fix.position.latitude()],
            },
            properties: Properties {
                participant_id: id.to_string(),
                timestamp: Stamp(fix.at),
                accuracy: fix.accuracy,
                speed: fix.speed,
                heading: fix.heading,
            },
        }
    }
}

impl FeatureCollection {
    /// The media type that asks for it and that it is sent with.
    pub const MEDIA_TYPE: &'static str = "application/geo+json";

    /// A page of features.
    pub fn new(features: Vec<Feature>, next_cursor: Option<String>) -> Self {
        Self {
            kind: "FeatureCollection",
            features,
            next_cursor,
        }
    }
}
