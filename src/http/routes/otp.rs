//! `/internal/otp`: codes that prove that a number or an address is somebody's, for sister services.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use crate::actors::otp::OtpError;
use crate::http::envelope;
use crate::http::error::{ApiError, Code};
use crate::http::extract::JsonBytes;
use crate::http::limits;
use crate::wire::rest::{OtpBody, VerifyOtpBody};
use crate::wire::stamp::Stamp;

/// A code that is on its way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SentView {
    /// By which it is typed in.
    id: String,
    /// When it is no longer good.
    expires_at: Stamp,
}

/// A code that was right.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct VerifiedView {
    verified: bool,
    /// What it was sent for, if that was said.
    purpose: Option<String>,
}

/// `POST /internal/otp`
pub(super) async fn send(api: web::Data<Api>, body: JsonBytes) -> Result<HttpResponse, ApiError> {
    let node = api.engine.node();
    let OtpBody { to, locale, purpose } = OtpBody::parse(&body.0, node.settings.region)?;
    let sent = node.send_otp(to, locale, purpose).await.map_err(refused)?;
    let view = SentView {
        id: sent.id,
        expires_at: Stamp(sent.expires_at),
    };
    Ok(envelope::with_status(StatusCode::ACCEPTED, view))
}

/// `POST /internal/otp/verify`
pub(super) async fn verify(api: web::Data<Api>, body: JsonBytes) -> Result<HttpResponse, ApiError> {
    let VerifyOtpBody { id, code } = VerifyOtpBody::parse(&body.0)?;
    let purpose = api.engine.node().verify_otp(&id, &code).await.map_err(refused)?;
    Ok(envelope::ok(VerifiedView {
        verified: true,
        purpose,
    }))
}

fn refused(error: OtpError) -> ApiError {
    match error {
        OtpError::Off => ApiError::conflict("No vendor of this channel is on"),
        OtpError::TooMany(budget) => limits::over(&budget),
        OtpError::Unknown => ApiError::not_found("There is no such code, or it was used"),
        OtpError::Wrong { left } => {
            ApiError::new(Code::WrongCode, format!("Wrong code; {left} more may be tried"))
        }
        OtpError::Spent => ApiError::new(Code::TooManyAttempts, "Too many wrong codes: send another one"),
        OtpError::Expired => ApiError::new(Code::CodeExpired, "The code has expired: send another one"),
        OtpError::Failed(error) => error.into(),
    }
}
