//! What REST answered.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::matching::misfit;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let answer = Self {
            status,
            headers,
            text,
        };
        assert!(
            answer.header("X-Request-Id").is_some(),
            "no X-Request-Id: {answer:?}"
        );
        Ok(answer)
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON body of an answer with this status.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The data in the envelope of an answer with this status.
    #[track_caller]
    pub fn data(self, status: u16) -> Value {
        let mut body = self.ok(status);
        assert_eq!(body["success"], true, "{body}");
        body["data"].take()
    }

    /// The data of a page, and where the next one starts.
    #[track_caller]
    pub fn page(self) -> (Vec<Value>, Option<String>) {
        let body = self.ok(200);
        assert_eq!(body["success"], true, "{body}");
        let data = body["data"]
            .as_array()
            .unwrap_or_else(|| panic!("no list: {body}"))
            .clone();
        (data, body["nextCursor"].as_str().map(str::to_owned))
    }

    /// An error in the envelope: its whole body.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let request = self.header("X-Request-Id").unwrap().to_owned();
        let body = self.ok(status);
        let pattern = serde_json::json!({
            "success": false, "code": code, "message": "*", "requestId": request,
        });
        if let Some(misfit) = misfit(&pattern, &body) {
            panic!("{misfit}\n  in {body}");
        }
        assert!(!body["message"].as_str().unwrap().is_empty());
        body
    }

    /// An error in the envelope that names exactly these fields.
    #[track_caller]
    pub fn names_fields(self, fields: &[&str]) {
        let body = self.refused(400, "VALIDATION_FAILED");
        let named: Vec<&str> = body["fields"]
            .as_array()
            .unwrap_or_else(|| panic!("no fields: {body}"))
            .iter()
            .map(|entry| entry["field"].as_str().unwrap())
            .collect();
        assert_eq!(named, fields, "{body}");
    }

    /// A bare error of the circle's REST: its text.
    #[track_caller]
    pub fn bare_error(self, status: u16) -> String {
        let body = self.ok(status);
        assert!(body.get("success").is_none(), "{body}");
        body["error"]
            .as_str()
            .unwrap_or_else(|| panic!("no error: {body}"))
            .to_owned()
    }
}
