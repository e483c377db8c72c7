//! Where vendors call back. These routes stand beside the table: their forms are the vendors' own, whoever calls has no
//! credential but a signature, and no budget of ours may keep a receipt from being taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};

use super::Api;
use crate::domain::notify::Vendor;
use crate::http::error::ApiError;
use crate::notify::callback::{Callbacks, Heard, NewsSink, NotTaken, Refused};
use crate::telemetry::Scrape;

/// When a vendor may try again what could not be taken.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// TwiML that answers nothing.
const NO_ANSWER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>";

const VENDORS: [Vendor; 5] = [
    Vendor::Twilio,
    Vendor::Msg91,
    Vendor::WhatsappCloud,
    Vendor::Sendgrid,
    Vendor::Ses,
];
const OUTCOMES: [&str; 3] = ["TAKEN", "REFUSED", "FAILED"];

/// Believes vendors, or does not, and counts both.
#[derive(Debug, Default)]
pub struct VendorCalls {
    callbacks: Callbacks,
    max_bytes: usize,
    counted: [[AtomicU64; OUTCOMES.len()]; VENDORS.len()],
}

impl VendorCalls {
    /// Believes what these believe, of at most so many bytes.
    pub fn new(callbacks: Callbacks, max_bytes: usize) -> Self {
        Self {
            callbacks,
            max_bytes,
            counted: Default::default(),
        }
    }

    /// Shows what it counted.
    pub fn observe(&self, scrape: &mut Scrape) {
        let help = "Calls of vendors: taken, refused for what they are, or not taken for now.";
        for (vendor, counts) in VENDORS.iter().zip(&self.counted) {
            for (outcome, count) in OUTCOMES.iter().zip(counts) {
                let labels = [("vendor", vendor.as_str()), ("outcome", *outcome)];
                let count = count.load(Ordering::Relaxed);
                scrape.counter("mayday_vendor_calls_total", help, &labels, count);
            }
        }
    }

    fn count(&self, vendor: Vendor, outcome: &str) {
        let place = VENDORS.iter().position(|own| *own == vendor);
        let which = OUTCOMES.iter().position(|own| *own == outcome);
        if let Some((place, which)) = place.zip(which) {
            self.counted[place][which].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Adds the routes.
pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.route("/callbacks/twilio/status", web::post().to(twilio_status))
        .route("/callbacks/twilio/message", web::post().to(twilio_message))
        .service(
            web::resource("/callbacks/whatsapp")
                .get(whatsapp_challenge)
                .post(whatsapp),
        )
        .route("/callbacks/msg91/{secret}", web::post().to(msg91))
        .route("/callbacks/sendgrid", web::post().to(sendgrid))
        .route("/callbacks/ses", web::post().to(ses));
}

/// One call: what came, and who is said to call.
struct Call<'a> {
    api: &'a Api,
    request: &'a HttpRequest,
    vendor: Vendor,
    body: Bytes,
}

impl<'a> Call<'a> {
    async fn read(
        api: &'a Api,
        request: &'a HttpRequest,
        payload: web::Payload,
        vendor: Vendor,
    ) -> Result<Self, ApiError> {
        let max = api.calls.max_bytes;
        let body = match payload.to_bytes_limited(max).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(ApiError::malformed("The body broke off")),
            Err(_) => {
                api.calls.count(vendor, "REFUSED");
                return Err(ApiError::payload_too_large(max));
            }
        };
        Ok(Self {
            api,
            request,
            vendor,
            body,
        })
    }

    fn header(&self, name: &str) -> &str {
        let value = self.request.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn content_type(&self) -> &str {
        self.header(CONTENT_TYPE.as_str())
    }

    fn path_and_query(&self) -> &str {
        let whole = self.request.uri().path_and_query();
        whole.map_or("", |whole| whole.as_str())
    }

    /// Hands on what is believed.
    async fn take(&self, heard: Result<Heard, Refused>) -> Result<(), ApiError> {
        let calls = &self.api.calls;
        let heard = match heard {
            Ok(heard) => heard,
            Err(refused) => {
                calls.count(self.vendor, "REFUSED");
                tracing::warn!(vendor = self.vendor.as_str(), %refused, "a call was refused");
                return Err(answer(refused));
            }
        };
        let Some(notifier) = self.api.engine.node().notifier.get() else {
            return Err(off());
        };
        let told = async {
            NewsSink::news(notifier, heard.news).await?;
            for reply in heard.replies {
                NewsSink::reply(notifier, reply).await?;
            }
            Ok::<(), NotTaken>(())
        };
        if told.await.is_err() {
            calls.count(self.vendor, "FAILED");
            return Err(ApiError::unavailable("Not taken, try again", RETRY_AFTER));
        }
        calls.count(self.vendor, "TAKEN");
        Ok(())
    }
}

fn answer(refused: Refused) -> ApiError {
    match refused {
        Refused::Malformed => ApiError::malformed("The body cannot be read"),
        Refused::Signature | Refused::Stale | Refused::Topic => {
            ApiError::forbidden("This is not signed as it must be")
        }
    }
}

/// Nobody is listened to there.
fn off() -> ApiError {
    ApiError::not_found("Not found")
}

type Answered = Result<HttpResponse, ApiError>;

fn done() -> Answered {
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /callbacks/twilio/status`
async fn twilio_status(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> Answered {
    let own = api.calls.callbacks.twilio.as_ref().ok_or_else(off)?;
    let call = Call::read(&api, &request, payload, Vendor::Twilio).await?;
    let signature = call.header("x-twilio-signature");
    let heard = own.status(call.path_and_query(), call.content_type(), signature, &call.body);
    call.take(heard).await?;
    done()
}

/// `POST /callbacks/twilio/message`
async fn twilio_message(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> Answered {
    let own = api.calls.callbacks.twilio.as_ref().ok_or_else(off)?;
    let call = Call::read(&api, &request, payload, Vendor::Twilio).await?;
    let signature = call.header("x-twilio-signature");
    let heard = own.message(call.path_and_query(), call.content_type(), signature, &call.body);
    call.take(heard).await?;
    Ok(HttpResponse::Ok().content_type("text/xml").body(NO_ANSWER))
}

/// `GET /callbacks/whatsapp`
async fn whatsapp_challenge(api: web::Data<Api>, request: HttpRequest) -> Answered {
    let own = api.calls.callbacks.whatsapp.as_ref().ok_or_else(off)?;
    let challenge = own.challenge(request.query_string()).map_err(answer)?;
    Ok(HttpResponse::Ok().content_type("text/plain").body(challenge))
}

/// `POST /callbacks/whatsapp`
async fn whatsapp(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> Answered {
    let own = api.calls.callbacks.whatsapp.as_ref().ok_or_else(off)?;
    let call = Call::read(&api, &request, payload, Vendor::WhatsappCloud).await?;
    let heard = own.heard(call.header("x-hub-signature-256"), &call.body);
    call.take(heard).await?;
    Ok(HttpResponse::Ok().finish())
}

/// `POST /callbacks/msg91/{secret}`
async fn msg91(
    api: web::Data<Api>,
    request: HttpRequest,
    secret: web::Path<String>,
    payload: web::Payload,
) -> Answered {
    let own = api.calls.callbacks.msg91.as_ref().ok_or_else(off)?;
    let call = Call::read(&api, &request, payload, Vendor::Msg91).await?;
    let heard = own.heard(&secret, call.content_type(), &call.body);
    call.take(heard).await?;
    Ok(HttpResponse::Ok().finish())
}

/// `POST /callbacks/sendgrid`
async fn sendgrid(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> Answered {
    let own = api.calls.callbacks.sendgrid.as_ref().ok_or_else(off)?;
    let call = Call::read(&api, &request, payload, Vendor::Sendgrid).await?;
    let heard = own.heard(
        call.header("x-twilio-email-event-webhook-signature"),
        call.header("x-twilio-email-event-webhook-timestamp"),
        &call.body,
        SystemTime::now(),
    );
    call.take(heard).await?;
    done()
}

/// `POST /callbacks/ses`
async fn ses(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> Answered {
    let own = api.calls.callbacks.ses.as_ref().ok_or_else(off)?;
    let call = Call::read(&api, &request, payload, Vendor::Ses).await?;
    let heard = own.heard(&call.body, SystemTime::now()).await;
    call.take(heard).await?;
    Ok(HttpResponse::Ok().finish())
}
