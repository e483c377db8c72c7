//! Bodies about check-ins.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::body::{self, BodyError};
use super::fields::Fields;
use super::sos::{MESSAGE_CHARS, place};
use super::sos_view::PlaceView;
use crate::domain::check_in::CheckIn;
use crate::domain::ids::RoomId;
use crate::domain::time::Timestamp;
use crate::wire::field;
use crate::wire::schema;
use crate::wire::stamp::Stamp;

/// The grace of one that names none.
pub(super) const GRACE_DEFAULT_S: u64 = 300;

/// What a check-in may ask for.
#[derive(Clone, Copy, Debug)]
pub struct CheckInBounds {
    /// The time.
    pub now: Timestamp,
    /// How far ahead it may be due.
    pub horizon: Duration,
    /// The longest grace.
    pub grace_max: Duration,
}

/// Reads the body of `POST /checkins`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check_in(body: &[u8], bounds: &CheckInBounds) -> Result<CheckIn, BodyError> {
    let object = body::object(body)?;
    let mut fields = Fields::of_body(&object);
    let due_at = fields.required("dueAt", field::instant);
    if let Some(at) = due_at {
        if at <= bounds.now {
            fields.reject("dueAt", "must lie in the future");
        } else if at > bounds.now + bounds.horizon {
            let days = bounds.horizon.as_secs() / 86_400;
            fields.reject("dueAt", &format!("must lie within {days} days"));
        }
    }
    let grace_max = bounds.grace_max.as_secs();
    let grace = fields.optional("grace", |name, value| field::whole(name, value, 0..=grace_max));
    let message = fields.optional("message", |name, value| field::words(name, value, MESSAGE_CHARS));
    let position = fields.nested("location", place).flatten();
    let grace = Duration::from_secs(grace.unwrap_or(GRACE_DEFAULT_S.min(grace_max)));
    fields.finish(due_at.map(|due_at| CheckIn {
        due_at,
        grace,
        message,
        position: position.map(|(position, _)| position),
    }))
}

/// A check-in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckInView {
    /// By which it is confirmed.
    id: String,
    /// By when you will have said that you are well.
    due_at: Stamp,
    /// Seconds after that in which you are reminded.
    grace: u64,
    /// When it becomes an SOS.
    becomes_sos_at: Stamp,
    /// What the SOS will say.
    message: Option<String>,
    /// Where it will say that you are.
    location: Option<PlaceView>,
    /// The SOS that it has become.
    #[schemars(with = "Option<schema::Room>")]
    sos_id: Option<String>,
}

impl CheckInView {
    /// Shows one.
    pub fn new(id: &str, asked: &CheckIn, sos: Option<&RoomId>) -> Self {
        Self {
            id: id.to_owned(),
            due_at: Stamp(asked.due_at),
            grace: asked.grace.as_secs(),
            becomes_sos_at: Stamp(asked.due_at + asked.grace),
            message: asked.message.clone(),
            location: asked.position.map(|position| PlaceView::new(position, None)),
            sos_id: sos.map(ToString::to_string),
        }
    }
}

/// A check-in that is no more.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckInEndedView {
    /// Which.
    id: String,
    /// You are well, and nobody is called.
    confirmed: bool,
}

impl CheckInEndedView {
    /// Shows it.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            confirmed: true,
        }
    }
}
