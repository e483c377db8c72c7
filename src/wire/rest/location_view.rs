//! Fixes as REST shows them: plain, and as GeoJSON (RFC 7946).

use serde::Serialize;

use crate::domain::geo::Fix;
use crate::domain::ids::ParticipantId;
use crate::wire::stamp::Stamp;

/// A fix.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationView<'a> {
    participant_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    latitude: f64,
    longitude: f64,
    accuracy: Option<f64>,
    speed: Option<f64>,
    heading: Option<f64>,
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
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureCollection {
    #[serde(rename = "type")]
    kind: &'static str,
    features: Vec<Feature>,
    /// A foreign member, which RFC 7946 allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A fix on a map.
#[derive(Clone, Debug, Serialize)]
pub struct Feature {
    #[serde(rename = "type")]
    kind: &'static str,
    geometry: Point,
    properties: Properties,
}

/// Longitude comes first in GeoJSON.
#[derive(Clone, Copy, Debug, Serialize)]
struct Point {
    #[serde(rename = "type")]
    kind: &'static str,
    coordinates: [f64; 2],
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    participant_id: String,
    timestamp: Stamp,
    accuracy: Option<f64>,
    speed: Option<f64>,
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
