//! `GET /docs`: a page that shows both documents. It loads its own style and script and the two documents, and
//! nothing from elsewhere.

use std::sync::LazyLock;

use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::Served;

/// Nothing but this server's own files, no inline code, in nobody's frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

macro_rules! file {
    ($name:literal) => {
        LazyLock::new(|| Served::new(include_bytes!(concat!("../../../../web/docs/", $name)).as_slice()))
    };
}

/// `GET /docs`
pub(in crate::http::routes) async fn page(request: HttpRequest) -> HttpResponse {
    static FILE: LazyLock<Served> = file!("docs.html");
    let mut response = FILE.answer(&request, "text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// `GET /docs/page.css`
pub(in crate::http::routes) async fn style(request: HttpRequest) -> HttpResponse {
    static FILE: LazyLock<Served> = file!("docs.css");
    FILE.answer(&request, "text/css; charset=utf-8")
}

/// `GET /docs/page.js`
pub(in crate::http::routes) async fn script(request: HttpRequest) -> HttpResponse {
    static FILE: LazyLock<Served> = file!("docs.js");
    FILE.answer(&request, "text/javascript; charset=utf-8")
}
