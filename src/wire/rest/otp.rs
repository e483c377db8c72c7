//! Bodies about codes that prove that a number or an address is somebody's.

use super::body::{self, BodyError};
use super::fields::Fields;
use crate::domain::notify::{Channel, Destination, Email, Locale};
use crate::domain::otp;
use crate::domain::phone::{PhoneNumber, Region};
use crate::wire::field;

/// Over what codes are sent.
pub(super) const CHANNELS: [Channel; 3] = [Channel::Sms, Channel::Whatsapp, Channel::Email];
/// The longest purpose, in characters.
pub(super) const PURPOSE_MAX_CHARS: usize = 64;
/// The longest id of a code, in characters.
pub(super) const ID_MAX_CHARS: usize = 64;

/// `POST /internal/otp`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtpBody {
    /// Where to.
    pub to: Destination,
    /// In which language.
    pub locale: Option<Locale>,
    /// What for: it comes back with the proof.
    pub purpose: Option<String>,
}

impl OtpBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], region: Region) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let channel = fields.required("channel", |name, value| {
            let known = |text: &str| Channel::parse(text).filter(|channel| CHANNELS.contains(channel));
            field::one_of(name, value, known, &CHANNELS, Channel::as_str)
        });
        let to = fields.required("to", |name, value| match channel {
            Some(Channel::Email) => {
                field::parsed(name, value, Email::parse).map(|email| email.map(Destination::Email))
            }
            _ => {
                let phone = field::parsed(name, value, |text| PhoneNumber::parse(text, region))?;
                Ok(phone.map(|phone| match channel {
                    Some(Channel::Whatsapp) => Destination::Whatsapp(phone),
                    _ => Destination::Sms(phone),
                }))
            }
        });
        let locale = fields.optional("locale", |name, value| field::parsed(name, value, Locale::parse));
        let purpose = fields.optional("purpose", |name, value| {
            field::note(name, value, PURPOSE_MAX_CHARS)
        });
        fields.finish(to.map(|to| Self { to, locale, purpose }))
    }
}

/// `POST /internal/otp/verify`
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyOtpBody {
    /// Which code.
    pub id: String,
    /// What was typed in: six digits.
    pub code: String,
}

impl VerifyOtpBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let object = body::object(body)?;
        let mut fields = Fields::of_body(&object);
        let id = fields.required("id", |name, value| {
            field::parsed(name, value, |text| {
                let good = (1..=ID_MAX_CHARS).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric());
                if good {
                    Ok(text.to_owned())
                } else {
                    Err("must be the id that the code was sent by")
                }
            })
        });
        let code = fields.required("code", |name, value| {
            field::parsed(name, value, |text| {
                if otp::is_code(text) {
                    Ok(text.to_owned())
                } else {
                    Err("must be six digits")
                }
            })
        });
        fields.finish(id.zip(code).map(|(id, code)| Self { id, code }))
    }
}
