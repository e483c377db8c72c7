//! Why a credential is no good: what its bearer is told, and how metrics tell it from others.

use actix_web::http::header::HeaderName;

use super::error::ApiError;
use super::jwt::TokenError;
use crate::domain::ids::InvalidId;

/// A request whose credential is bad, or that has none where one is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is none.
    #[error("A credential is needed: a token, a device id or a ticket")]
    None,
    /// A header that is not text.
    #[error("{0} is not readable")]
    Unreadable(HeaderName),
    /// `Authorization` in another form.
    #[error("Authorization must be: Bearer <token>")]
    Scheme,
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A device id that is none.
    #[error("the device id is not valid: it {0}")]
    DeviceId(#[from] InvalidId),
    /// A device token without the id that it is for.
    #[error("a device token needs its device id beside it")]
    DeviceTokenAlone,
    /// A device token of another device, or none at all.
    #[error("the device token is not that of this device")]
    DeviceToken,
    /// A device id without its token, where the settings ask for it.
    #[error("a device id needs its token: register the device, then send X-Device-Token")]
    DeviceTokenMissing,
    /// A ticket.
    #[error("the ticket is not valid: it was used, is too old, or never was one")]
    Ticket,
    /// A sister service without a key of ours.
    #[error("X-Internal-Token is missing or wrong")]
    Service,
}

impl CredentialError {
    /// Every label there is.
    pub const LABELS: [&'static str; 13] = [
        "none",
        "header",
        "token_invalid",
        "token_algorithm",
        "token_key_unknown",
        "token_keys_stale",
        "token_expired",
        "token_early",
        "token_party",
        "token_claims",
        "device",
        "ticket",
        "service",
    ];

    /// The name that metrics know it by.
    pub fn label(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unreadable(_) | Self::Scheme => "header",
            Self::Token(error) => error.label(),
            Self::DeviceId(_) | Self::DeviceTokenAlone | Self::DeviceToken | Self::DeviceTokenMissing => {
                "device"
            }
            Self::Ticket => "ticket",
            Self::Service => "service",
        }
    }
}

impl From<CredentialError> for ApiError {
    fn from(error: CredentialError) -> Self {
        Self::unauthenticated(error.to_string())
    }
}
