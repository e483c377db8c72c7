//! Bodies that raise an incident and move it along.

use super::body::{self, BodyError};
use super::fields::Fields;
use crate::domain::geo::Position;
use crate::domain::incident::{Address, IncidentType, Report, Severity, Status, Visibility};
use crate::domain::pin::PinEntry;
use crate::wire::field::{self, Checked, NAME_MAX_CHARS, NOTE_MAX_CHARS};
use crate::wire::loose::Loose;

/// The longest id of a trip, a booking or an app's version, in characters.
pub(super) const REFERENCE_MAX_CHARS: usize = 128;

/// How long an incident's message is, in characters.
pub(super) const MESSAGE_CHARS: std::ops::RangeInclusive<usize> = 10..=500;

/// `POST /sos`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSos {
    /// What is reported. `city_id` is the address' city: a token that knows better overrides it.
    pub report: Report,
    /// What the app tells of the device.
    pub device: DeviceInfo,
}

/// What an app tells of the device that it runs on; the body of `POST /devices`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Operating system.
    pub os: Option<String>,
    /// The app's version.
    pub app_version: Option<String>,
    /// Language and region, BCP 47.
    pub locale: Option<String>,
}

/// `PATCH /sos/{id}/status`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusBody {
    /// To where.
    pub status: Status,
    /// In their words.
    pub note: Option<String>,
    /// Proves that they end it of their own will.
    pub pin: Option<PinEntry>,
}

/// `POST /sos/{id}/cancel`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelBody {
    /// Proves that they do so of their own will.
    pub pin: Option<PinEntry>,
    /// In their words.
    pub reason: Option<String>,
}

/// `POST /sos/{id}/close`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseBody {
    /// How it ended.
    pub resolution: Option<String>,
}

impl CreateSos {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let kind = fields.required("type", |name, value| {
            field::one_of(
                name,
                value,
                IncidentType::parse,
                IncidentType::ALL,
                IncidentType::as_str,
            )
        });
        let message = fields.required("message", |name, value| field::words(name, value, MESSAGE_CHARS));
        let silent = fields.optional("silent", field::flag).unwrap_or(false);
        let drill = fields.optional("drill", field::flag).unwrap_or(false);
        let raised_at = fields.optional("raisedAt", field::instant);
        let severity = fields.optional("severity", |name, value| {
            field::one_of(name, value, Severity::parse, Severity::ALL, Severity::as_str)
        });
        let place = fields.nested("location", place);
        if place.is_none() {
            fields.required("location", |_, value| Ok(value.is_present().then_some(())));
        }
        let address = fields.nested("address", address).unwrap_or_default();
        let visibility = fields.optional("visibility", |name, value| {
            field::one_of(
                name,
                value,
                Visibility::parse,
                Visibility::ALL,
                Visibility::as_str,
            )
        });
        let trip_id = fields.optional("tripId", reference);
        let booking_id = fields.optional("bookingId", reference);
        let device = fields.nested("deviceInfo", DeviceInfo::read).unwrap_or_default();
        let report = || {
            let (position, accuracy) = place??;
            Some(Report {
                kind: kind?,
                message: message?,
                silent,
                drill,
                raised_at,
                guarded: false,
                severity: severity.unwrap_or(Severity::Medium),
                position: Some(position),
                accuracy,
                city_id: address.city.clone(),
                address,
                visibility: visibility.unwrap_or(Visibility::Public),
                trip_id,
                booking_id,
                raised_from: Vec::new(),
            })
        };
        let report = report();
        fields.finish(report.map(|report| Self { report, device }))
    }
}

impl DeviceInfo {
    /// Reads the body of `POST /devices`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let info = Self::read(&mut fields);
        fields.finish(Some(info))
    }

    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            os: fields.optional("os", reference),
            app_version: fields.optional("appVersion", reference),
            locale: fields.optional("locale", reference),
        }
    }
}

impl StatusBody {
    /// Reads the body; states in any letter case and by their synonyms.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let status = fields.required("status", |name, value| {
            field::one_of(name, value, Status::parse, Status::ALL, Status::as_str)
        });
        let note = fields.optional("note", words_of_theirs);
        let pin = fields.optional("pin", field::pin);
        fields.finish(status.map(|status| Self { status, note, pin }))
    }
}

impl CancelBody {
    /// Reads the body, which may be empty.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let pin = fields.optional("pin", field::pin);
        let reason = fields.optional("reason", words_of_theirs);
        fields.finish(Some(Self { pin, reason }))
    }
}

impl CloseBody {
    /// Reads the body, which may be empty.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let resolution = fields.optional("resolution", words_of_theirs);
        fields.finish(Some(Self { resolution }))
    }
}

pub(super) fn place(fields: &mut Fields<'_>) -> Option<(Position, Option<f64>)> {
    let (latitude, longitude) = (fields.loose("latitude"), fields.loose("longitude"));
    let position = fields
        .keep(field::position(&latitude, &longitude).and_then(|found| field::required("latitude", found)));
    let accuracy = fields.optional("accuracy", field::accuracy);
    Some((position?, accuracy))
}

pub(super) fn address(fields: &mut Fields<'_>) -> Address {
    Address {
        city: fields.optional("city", |name, value| field::note(name, value, NAME_MAX_CHARS)),
        barangay: fields.optional("barangay", |name, value| field::note(name, value, NAME_MAX_CHARS)),
    }
}

fn reference(name: &'static str, value: &Loose<'_>) -> Checked<Option<String>> {
    field::note(name, value, REFERENCE_MAX_CHARS)
}

fn words_of_theirs(name: &'static str, value: &Loose<'_>) -> Checked<Option<String>> {
    field::note(name, value, NOTE_MAX_CHARS)
}
