//! What every answer is given before it leaves: the request's id, and, when it is an error, the words that its
//! client understands.

use std::sync::Arc;
use std::time::Duration;

use actix_http::RequestHead;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpResponse, ResponseError};

use super::cors::Asker;
use super::id::{RequestId, X_REQUEST_ID};
use super::methods::other_method;
use super::{Edge, Frame};
use crate::http::error::{ApiError, Code, Dialect};

/// How one request's answer is dressed.
pub(super) struct Dress {
    pub(super) id: RequestId,
    pub(super) dialect: Dialect,
    pub(super) method: Method,
    pub(super) https: bool,
    pub(super) asker: Asker,
    pub(super) edge: Arc<Edge>,
}

impl Dress {
    pub(super) async fn response(&self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let status = response.status();
        let (request, mut response) = response.into_parts();
        if status.is_client_error() || status.is_server_error() {
            let body = match response.error() {
                Some(error) => Some(self.body(error, status)),
                // actix answers an unknown path or method with a bare status.
                None if empty(response.body()) => {
                    Some(generic(status, None).body(self.dialect, Some(self.id.as_str())))
                }
                None => None,
            };
            if let Some(body) = body {
                response = with_json(response, body);
            }
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response = other_method(&self.method, response);
        }
        self.finish(&mut response);
        let response = self.edge.compression.pack(&request, response).await;
        ServiceResponse::new(request, response)
    }

    pub(super) fn error(&self, mut response: HttpResponse, error: &Error) -> HttpResponse {
        let body = self.body(error, response.status());
        response = with_json(response, body);
        self.finish(&mut response);
        response
    }

    fn body(&self, error: &Error, status: StatusCode) -> String {
        let id = Some(self.id.as_str());
        match error.as_error::<ApiError>() {
            Some(error) => error.body(self.dialect, id),
            None => generic(status, Some(error)).body(self.dialect, id),
        }
    }

    /// What every answer has.
    fn finish(&self, response: &mut HttpResponse) {
        let status = response.status();
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(self.id.as_str()) {
            headers.insert(X_REQUEST_ID, value);
        }
        let comes_back = matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        if comes_back && !headers.contains_key(RETRY_AFTER) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        self.edge.protection.dress(headers, self.https);
        self.edge.cors.dress(headers, &self.asker);
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
pub(super) fn generic(status: StatusCode, error: Option<&Error>) -> ApiError {
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

impl Frame {
    /// Refuses an upgrade whose head is too large, as [`frame`](super::frame) does with requests.
    ///
    /// # Errors
    /// 414 or 431.
    pub fn check(&self, head: &RequestHead) -> Result<(), ApiError> {
        self.edge.bounds.check(head)
    }

    /// The whole answer to a request that did not go through [`frame`](super::frame): an upgrade that is refused.
    pub fn refusal(&self, error: ApiError, head: &RequestHead) -> HttpResponse {
        let dress = Dress {
            dialect: Dialect::of(head.uri.path()),
            id: RequestId::of(head.headers.get(X_REQUEST_ID)),
            method: head.method.clone(),
            https: self.is_https(head),
            asker: self.edge.cors.asker(head),
            edge: Arc::clone(&self.edge),
        };
        let response = error.error_response();
        dress.error(response, &error.into())
    }
}
