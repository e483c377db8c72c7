//! Bodies about PINs.

use schemars::JsonSchema;
use serde::Serialize;

use super::body::{self, BodyError};
use super::fields::Fields;
use crate::domain::pin::{Pin, PinEntry};
use crate::wire::field::{self, Checked};
use crate::wire::loose::Loose;

/// `PUT /pin`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetPinBody {
    /// Ends an SOS.
    pub pin: Pin,
    /// Only looks as if it did.
    pub duress: Option<Pin>,
    /// The one that they have.
    pub current: Option<PinEntry>,
}

impl SetPinBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let pin = fields.required("pin", digits);
        let duress = fields.optional("duressPin", digits);
        let current = fields.optional("currentPin", field::pin);
        if pin.is_some() && pin == duress {
            fields.reject("duressPin", "must be another one than pin");
        }
        fields.finish(pin.map(|pin| Self { pin, duress, current }))
    }
}

fn digits(name: &'static str, value: &Loose<'_>) -> Checked<Option<Pin>> {
    field::parsed(name, value, Pin::parse)
}

/// `DELETE /pin`, and whatever else takes a PIN and nothing more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinBody {
    /// What was typed in.
    pub pin: Option<PinEntry>,
}

impl PinBody {
    /// Reads the body, which may be empty; `name` is what the PIN is called there.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], name: &'static str) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let pin = fields.optional(name, field::pin);
        fields.finish(Some(Self { pin }))
    }
}

/// Whether they have a PIN. That there is a second one shows nowhere.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct PinView {
    /// They have one.
    set: bool,
}

impl PinView {
    /// Shows it.
    pub fn new(set: bool) -> Self {
        Self { set }
    }
}
