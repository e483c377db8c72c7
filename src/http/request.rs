//! What every request goes through: it gets an id, a span and a time limit, its answer is counted, and its
//! error is put into the words that its client understands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_http::RequestHead;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use tracing::Instrument;

use super::connections;
use super::error::{ApiError, Code, Dialect};
use crate::telemetry::{Metrics, RouteClass};

/// The header in which a request's id comes and goes.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id: the client's if it is a sane one, else made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    const MAX_CHARS: usize = 64;

    /// The client's id, or a fresh one.
    pub fn of(header: Option<&HeaderValue>) -> Self {
        let sane = |text: &&str| {
            let slug = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
            !text.is_empty() && text.len() <= Self::MAX_CHARS && text.bytes().all(slug)
        };
        header
            .and_then(|value| value.to_str().ok())
            .filter(sane)
            .map_or_else(Self::fresh, |text| Self(text.into()))
    }

    fn fresh() -> Self {
        let mut bytes = [0u8; 12];
        // An id that is not unique is a nuisance for whoever reads the log; no reason to fail a request.
        let _ = getrandom::fill(&mut bytes);
        Self(hex::encode(bytes).into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What [`frame`] needs; the application's `web::Data`.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where answers are counted.
    pub metrics: Arc<Metrics>,
    /// A request must be answered by then.
    pub timeout: Duration,
    /// How many requests are being answered.
    pub in_flight: Arc<AtomicUsize>,
}

/// Counts one request while it is being answered.
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn one(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(counter))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The outermost middleware: `App::new().app_data(web::Data::new(Frame { … })).wrap(from_fn(frame))`.
///
/// # Errors
/// Only with a response inside that is ready to be sent.
pub async fn frame<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let Some(frame) = request.app_data::<web::Data<Frame>>().cloned() else {
        tracing::error!("the application has no Frame");
        return Err(ApiError::internal().into());
    };
    let _counted = InFlight::one(&frame.in_flight);
    connections::spoke();
    let id = RequestId::of(request.headers().get(X_REQUEST_ID));
    request.extensions_mut().insert(id.clone());
    let class = RouteClass::of(Some(request.path()));
    let dress = Dress {
        dialect: Dialect::of(request.path()),
        id,
    };
    // The path and the query stay out: they may hold what no log should.
    let span = tracing::info_span!("request", id = dress.id.as_str(), method = %request.method());

    let answered = tokio::time::timeout(frame.timeout, next.call(request))
        .instrument(span.clone())
        .await;
    let entered = span.enter();
    let (outcome, status) = match answered.unwrap_or_else(|_| Err(ApiError::timeout().into())) {
        Ok(response) => {
            let response = dress.response(response);
            note(response.status(), started, || response.request().match_pattern());
            let status = response.status();
            (Ok(response), status)
        }
        // The request went with the error, so there is nothing to make a whole answer of: the error takes
        // the ready response along.
        Err(error) => {
            let response = dress.error(error.error_response(), &error);
            let status = response.status();
            note(status, started, || None);
            (Err(InternalError::from_response(error, response).into()), status)
        }
    };
    drop(entered);
    let class = if status == StatusCode::NOT_FOUND && unmatched(&outcome) {
        RouteClass::Unknown
    } else {
        class
    };
    frame
        .metrics
        .http_request(class, status.as_u16(), started.elapsed());
    outcome
}

/// Only asked for answers that say "not found": finding the pattern costs as much as routing did.
fn unmatched(outcome: &Result<ServiceResponse<BoxBody>, Error>) -> bool {
    outcome
        .as_ref()
        .is_ok_and(|response| response.request().match_pattern().is_none())
}

fn note(status: StatusCode, started: Instant, route: impl FnOnce() -> Option<String>) {
    let ms = started.elapsed().as_millis();
    if status.is_server_error() {
        let route = route().unwrap_or_default();
        tracing::warn!(route, status = status.as_u16(), ms, "request failed");
    } else if tracing::enabled!(tracing::Level::DEBUG) {
        let route = route().unwrap_or_default();
        tracing::debug!(route, status = status.as_u16(), ms, "request answered");
    }
}

/// How one request's answer is dressed.
struct Dress {
    id: RequestId,
    dialect: Dialect,
}

impl Dress {
    fn response<B: MessageBody + 'static>(&self, response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
        let status = response.status();
        let (request, response) = response.into_parts();
        let mut response = response.map_into_boxed_body();
        self.identify(&mut response);
        if !status.is_client_error() && !status.is_server_error() {
            return ServiceResponse::new(request, response);
        }
        let body = match response.error() {
            Some(error) => Some(self.body(error, status)),
            // actix answers an unknown path or method with a bare status.
            None if empty(response.body()) => {
                Some(generic(status, None).body(self.dialect, Some(self.id.as_str())))
            }
            None => None,
        };
        let response = match body {
            Some(body) => with_json(response, body),
            None => response,
        };
        ServiceResponse::new(request, response)
    }

    fn error(&self, mut response: HttpResponse, error: &Error) -> HttpResponse {
        self.identify(&mut response);
        let body = self.body(error, response.status());
        with_json(response, body)
    }

    fn body(&self, error: &Error, status: StatusCode) -> String {
        let id = Some(self.id.as_str());
        match error.as_error::<ApiError>() {
            Some(error) => error.body(self.dialect, id),
            None => generic(status, Some(error)).body(self.dialect, id),
        }
    }

    fn identify(&self, response: &mut HttpResponse) {
        if let Ok(value) = HeaderValue::from_str(self.id.as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
    }
}

fn empty(body: &BoxBody) -> bool {
    matches!(body.size(), BodySize::None | BodySize::Sized(0))
}

fn with_json(mut response: HttpResponse, body: String) -> HttpResponse {
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.set_body(BoxBody::new(body))
}

/// Our words for an error that actix found.
fn generic(status: StatusCode, error: Option<&Error>) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::not_found("Not found"),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::new(Code::MethodNotAllowed, "Method not allowed"),
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::PayloadTooLarge, "The body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::unsupported_media_type(),
        StatusCode::UNAUTHORIZED => ApiError::unauthenticated("No credential"),
        StatusCode::FORBIDDEN => ApiError::forbidden("Forbidden"),
        StatusCode::SERVICE_UNAVAILABLE => ApiError::unavailable("Not available", Duration::from_secs(1)),
        status if status.is_client_error() => {
            ApiError::malformed(error.map_or_else(|| "Bad request".to_owned(), ToString::to_string))
        }
        _ => {
            if let Some(error) = error {
                tracing::error!(%error, "request failed");
            }
            ApiError::internal()
        }
    }
}

/// The whole answer to a request that did not go through [`frame`]: an upgrade that is refused.
pub fn refusal(error: ApiError, head: &RequestHead) -> HttpResponse {
    let id = RequestId::of(head.headers.get(X_REQUEST_ID));
    let dress = Dress {
        dialect: Dialect::of(head.uri.path()),
        id,
    };
    let response = error.error_response();
    dress.error(response, &error.into())
}

/// The id of a request that went through [`frame`].
pub fn id_of(request: &HttpRequest) -> Option<RequestId> {
    request.extensions().get::<RequestId>().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::http::header::RETRY_AFTER;
    use actix_web::middleware::from_fn;
    use actix_web::test::{
        TestRequest, call_service, init_service, read_body, read_body_json, try_call_service,
    };
    use serde_json::{Value, json};

    macro_rules! app {
        ($frame:expr) => {
            init_service(
                App::new()
                    .app_data(web::Data::new($frame))
                    .wrap(from_fn(frame))
                    .route(
                        "/api/v1/sos/{id}",
                        web::get().to(async || Err::<HttpResponse, _>(ApiError::sos_closed())),
                    )
                    .route(
                        "/api/location",
                        web::post().to(async |_: web::Json<Value>| HttpResponse::Ok()),
                    )
                    .route(
                        "/slow",
                        web::get().to(async || std::future::pending::<HttpResponse>().await),
                    )
                    .route(
                        "/own",
                        web::get().to(async || HttpResponse::Conflict().body("mine")),
                    ),
            )
            .await
        };
    }

    fn patient() -> Frame {
        Frame {
            metrics: Arc::new(Metrics::new()),
            timeout: Duration::from_secs(60),
            in_flight: Arc::default(),
        }
    }

    #[actix_web::test]
    async fn an_error_carries_the_requests_id_in_header_and_body() {
        let app = app!(patient());
        let request = TestRequest::get()
            .uri("/api/v1/sos/1")
            .insert_header((X_REQUEST_ID, "abc-1"));
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers().get(X_REQUEST_ID).unwrap(), "abc-1");
        let body: Value = read_body_json(response).await;
        let expected =
            json!({"success": false, "code": "SOS_CLOSED", "message": "SOS is closed", "requestId": "abc-1"});
        assert_eq!(body, expected);
    }

    #[actix_web::test]
    async fn an_id_that_is_not_sane_is_replaced() {
        let app = app!(patient());
        let long = "x".repeat(65);
        for bad in ["", "a b", "a\u{e9}", "<script>", &long] {
            let request = TestRequest::get()
                .uri("/own")
                .insert_header((X_REQUEST_ID, bad.as_bytes()));
            let response = call_service(&app, request.to_request()).await;
            let id = response.headers().get(X_REQUEST_ID).unwrap().to_str().unwrap();
            assert!(id.len() == 24 && id != bad, "{id}");
        }
    }

    #[actix_web::test]
    async fn what_actix_refuses_gets_our_words_in_the_dialect_of_the_path() {
        let app = app!(patient());
        let response = call_service(&app, TestRequest::get().uri("/api/v1/nowhere").to_request()).await;
        assert_eq!(response.status(), 404);
        assert_eq!(read_body_json::<Value, _>(response).await["code"], "NOT_FOUND");
        let response = call_service(&app, TestRequest::delete().uri("/own").to_request()).await;
        assert!(response.status().is_client_error());
        let response = call_service(&app, TestRequest::post().uri("/api/location").to_request()).await;
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/json");
        assert!(read_body_json::<Value, _>(response).await["error"].is_string());
    }

    #[actix_web::test]
    async fn a_handlers_own_answer_is_left_alone() {
        let response = call_service(&app!(patient()), TestRequest::get().uri("/own").to_request()).await;
        assert_eq!(read_body(response).await, "mine");
    }

    #[actix_web::test]
    async fn a_request_that_takes_too_long_is_told_so_and_counted() {
        let frame = Frame {
            timeout: Duration::ZERO,
            ..patient()
        };
        let metrics = frame.metrics.clone();
        let app = app!(frame);
        let error = try_call_service(&app, TestRequest::get().uri("/slow").to_request())
            .await
            .unwrap_err();
        let response = error.as_response_error().error_response();
        assert_eq!(response.status(), 503);
        assert!(
            response.headers().contains_key(RETRY_AFTER) && response.headers().contains_key(X_REQUEST_ID)
        );
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "TIMEOUT");
        let line = "mayday_http_requests_total{route=\"operations\",status=\"503\"} 1";
        assert!(metrics.render().contains(line), "{}", metrics.render());
    }

    #[actix_web::test]
    async fn a_timeout_reaches_a_real_client_whole() {
        let frame_data = web::Data::new(Frame {
            timeout: Duration::ZERO,
            ..patient()
        });
        let server = actix_web::HttpServer::new(move || {
            App::new()
                .app_data(frame_data.clone())
                .wrap(from_fn(frame))
                .route(
                    "/slow",
                    web::get().to(async || std::future::pending::<HttpResponse>().await),
                )
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/slow", server.addrs()[0]);
        let running = server.run();
        let handle = running.handle();
        actix_web::rt::spawn(running);
        let request = reqwest::Client::new().get(url).header("x-request-id", "t-1");
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-request-id"]),
            (503, &"t-1".parse().unwrap())
        );
        assert_eq!(response.json::<Value>().await.unwrap()["requestId"], "t-1");
        handle.stop(false).await;
    }

    #[actix_web::test]
    async fn a_refused_upgrade_gets_the_same_words() {
        let request = TestRequest::get()
            .uri("/api/ws")
            .insert_header((X_REQUEST_ID, "u-1"))
            .to_http_request();
        let response = refusal(ApiError::unauthenticated("No credential"), request.head());
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers().get(X_REQUEST_ID).unwrap(), "u-1");
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({
            "success": false, "code": "UNAUTHENTICATED", "message": "No credential", "requestId": "u-1"
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn an_internal_error_tells_nothing() {
        let error: Error = actix_web::error::ErrorInternalServerError("the database password is 1234");
        let told = generic(StatusCode::INTERNAL_SERVER_ERROR, Some(&error));
        assert_eq!(told, ApiError::internal());
        assert_eq!(told.status_code(), 500);
    }
}
