//! Answers of the incident API that went well: `{"success": true, "data": …}`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

#[derive(Serialize)]
struct Envelope<T> {
    success: bool,
    data: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    success: bool,
    data: T,
    next_cursor: Option<String>,
}

/// 200.
pub fn ok(data: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(Envelope { success: true, data })
}

/// 201.
pub fn created(data: impl Serialize) -> HttpResponse {
    with_status(StatusCode::CREATED, data)
}

/// Any status that is not an error.
pub fn with_status(status: StatusCode, data: impl Serialize) -> HttpResponse {
    HttpResponse::build(status).json(Envelope { success: true, data })
}

/// 200 with one page of a list; `nextCursor` is null on the last.
pub fn page<T: Serialize>(items: &[T], next_cursor: Option<String>) -> HttpResponse {
    HttpResponse::Ok().json(Page {
        success: true,
        data: items,
        next_cursor,
    })
}
