//! Methods that every route has without naming them: HEAD where there is GET, and OPTIONS.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{ALLOW, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};

/// Makes a HEAD of the route's GET. What is sent is the head alone: whoever writes the answer, HTTP/1 or HTTP/2,
/// knows what was asked for and leaves the body out.
pub(super) fn head_is_get(request: &mut ServiceRequest) {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
}

/// What a path takes, when it was asked for something else: 405 with `Allow`, which for OPTIONS is the answer.
pub(super) fn other_method(asked: &Method, response: HttpResponse<BoxBody>) -> HttpResponse<BoxBody> {
    let mut response = response;
    allow(response.headers_mut());
    if *asked != Method::OPTIONS {
        return response;
    }
    let mut answer = HttpResponse::new(StatusCode::NO_CONTENT);
    if let Some(allow) = response.headers_mut().remove(ALLOW).next() {
        answer.headers_mut().insert(ALLOW, allow);
    }
    answer
}

/// Completes the list that actix made of the routes' own methods.
fn allow(headers: &mut HeaderMap) {
    let listed = headers
        .get(ALLOW)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut methods: Vec<&str> = listed
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    if let Ok(value) = HeaderValue::from_str(&methods.join(", ")) {
        headers.insert(ALLOW, value);
    }
}
