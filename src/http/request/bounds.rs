//! How large the head of a request may be.

use actix_http::RequestHead;

use crate::config::Http;
use crate::http::error::{ApiError, Code};

/// The largest head that is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    uri_max_bytes: usize,
    headers_max_bytes: usize,
    headers_max: usize,
}

impl Bounds {
    pub(super) fn new(http: &Http) -> Self {
        Self {
            uri_max_bytes: http.uri_max_bytes,
            headers_max_bytes: http.headers_max_bytes,
            headers_max: http.headers_max,
        }
    }

    /// Refuses a head that is larger.
    pub(super) fn check(&self, head: &RequestHead) -> Result<(), ApiError> {
        let target = head
            .uri
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > self.uri_max_bytes {
            let most = self.uri_max_bytes;
            return Err(ApiError::new(
                Code::UriTooLong,
                format!("The path and query may have at most {most} bytes"),
            ));
        }
        let (mut count, mut bytes) = (0, 0);
        for (name, value) in head.headers() {
            count += 1;
            bytes += name.as_str().len() + value.len();
        }
        if count > self.headers_max || bytes > self.headers_max_bytes {
            let (most, most_bytes) = (self.headers_max, self.headers_max_bytes);
            return Err(ApiError::new(
                Code::HeadersTooLarge,
                format!("There may be at most {most} headers of {most_bytes} bytes in all"),
            ));
        }
        Ok(())
    }
}
