//! What every answer is given before it leaves: the request's id, and, when it is an error, the words that its
//! client understands.

use std::time::Duration;

use actix_http::RequestHead;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{Error, HttpResponse, ResponseError};

use super::id::{RequestId, X_REQUEST_ID};
use crate::http::error::{ApiError, Code, Dialect};

/// How one request's answer is dressed.
pub(super) struct Dress {
    pub(super) id: RequestId,
    pub(super) dialect: Dialect,
}

impl Dress {
    pub(super) fn response<B: MessageBody + 'static>(
        &self,
        response: ServiceResponse<B>,
    ) -> ServiceResponse<BoxBody> {
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

    pub(super) fn error(&self, mut response: HttpResponse, error: &Error) -> HttpResponse {
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

/// The whole answer to a request that did not go through [`frame`](super::frame): an upgrade that is refused.
pub fn refusal(error: ApiError, head: &RequestHead) -> HttpResponse {
    let id = RequestId::of(head.headers.get(X_REQUEST_ID));
    let dress = Dress {
        dialect: Dialect::of(head.uri.path()),
        id,
    };
    let response = error.error_response();
    dress.error(response, &error.into())
}
