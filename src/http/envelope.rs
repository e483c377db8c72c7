//! Answers of the incident API that went well: `{"success": true, "data": …}`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use serde::Serialize;

use super::error::ApiError;

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

/// The body of an answer, rendered where what it shows lives.
pub struct Rendered(Result<Vec<u8>, serde_json::Error>);

impl Rendered {
    /// What [`ok`] answers.
    pub fn ok(data: impl Serialize) -> Self {
        Self(serde_json::to_vec(&Envelope { success: true, data }))
    }

    /// What [`page`] answers.
    pub fn page<T: Serialize>(items: &[T], next_cursor: Option<String>) -> Self {
        Self(serde_json::to_vec(&Page {
            success: true,
            data: items,
            next_cursor,
        }))
    }

    /// The answer.
    pub fn answer(self) -> HttpResponse {
        self.answer_with(StatusCode::OK)
    }

    /// The answer with another status that is no error.
    pub fn answer_with(self, status: StatusCode) -> HttpResponse {
        match self.0 {
            Ok(body) => HttpResponse::build(status)
                .content_type(ContentType::json())
                .body(body),
            Err(error) => {
                tracing::error!(%error, "an answer could not be rendered");
                HttpResponse::from_error(ApiError::internal())
            }
        }
    }
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
