//! Answers made smaller for clients that take it.
//!
//! Only whole bodies of text that are worth it: what is small leaves as it is, after one look at its size; what
//! streams, what is packed already and what is only a part of something is left alone. The middleware of actix-web
//! knows no smallest size and sends all it packs in pieces of unknown length.

use std::io::Write as _;

use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG, Encoding,
    Header as _, HeaderMap, HeaderValue,
};
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::write::GzEncoder;

use super::headers::vary;
use crate::config::Config;

/// Larger bodies are packed on a thread for such work, so that the others of this worker do not wait.
const INLINE_MAX_BYTES: usize = 32 * 1024;
/// Windows of brotli, as powers of two: the least that sees the whole of an ordinary answer.
const WINDOW_BITS: u32 = 18;
const BUFFER_BYTES: usize = 4096;

/// How answers are packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compression {
    enabled: bool,
    min_bytes: u64,
    gzip_level: u32,
    brotli_quality: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Brotli,
}

impl Compression {
    pub(super) fn new(config: &Config) -> Self {
        let settings = &config.compression;
        Self {
            enabled: settings.enabled,
            min_bytes: settings.min_bytes as u64,
            gzip_level: settings.gzip_level,
            brotli_quality: settings.brotli_quality,
        }
    }

    /// Packs the body of an answer to `request`, if that is worth it and wanted.
    pub(super) async fn pack(
        self,
        request: &HttpRequest,
        mut response: HttpResponse<BoxBody>,
    ) -> HttpResponse<BoxBody> {
        let worth = matches!(response.body().size(), BodySize::Sized(size) if size >= self.min_bytes);
        if !self.enabled || !worth || !is_whole(response.status()) || !is_text(response.headers()) {
            return response;
        }
        vary(response.headers_mut(), &[ACCEPT_ENCODING]);
        let Some(packing) = wanted(request) else {
            return response;
        };
        let (response, body) = response.into_parts();
        let mut response = response.set_body(BoxBody::new(()));
        let plain = match body.try_into_bytes() {
            Ok(plain) => plain,
            Err(body) => return response.set_body(body),
        };
        let packed = if plain.len() <= INLINE_MAX_BYTES {
            Some(self.packed(packing, &plain))
        } else {
            let plain = plain.clone();
            web::block(move || self.packed(packing, &plain)).await.ok()
        };
        let Some(packed) = packed.filter(|packed| packed.len() < plain.len()) else {
            return response.set_body(BoxBody::new(plain));
        };
        let encoding = match packing {
            Packing::Gzip => "gzip",
            Packing::Brotli => "br",
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        weaken(headers);
        response.set_body(BoxBody::new(packed))
    }

    fn packed(self, packing: Packing, plain: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(plain.len() / 4);
        // Writing into memory does not fail.
        match packing {
            Packing::Gzip => {
                let mut packer = GzEncoder::new(&mut packed, flate2::Compression::new(self.gzip_level));
                let _ = packer.write_all(plain);
                let _ = packer.finish();
            }
            Packing::Brotli => {
                let mut packer = brotli::CompressorWriter::new(
                    &mut packed,
                    BUFFER_BYTES,
                    self.brotli_quality,
                    WINDOW_BITS,
                );
                let _ = packer.write_all(plain);
                let _ = packer.flush();
            }
        }
        packed
    }
}

/// Whether the body is all that there is, and not packed or framed by its status.
fn is_whole(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 100..=199 | 204 | 206 | 304)
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default()
        .trim();
    let text = kind.starts_with("text/")
        || kind.ends_with("json")
        || kind.ends_with("+xml")
        || ["application/javascript", "application/xml", "application/wasm"].contains(&kind);
    text && !headers.contains_key(CONTENT_ENCODING)
}

/// What the client likes best of what we can do; brotli when it does not mind.
fn wanted(request: &HttpRequest) -> Option<Packing> {
    let accepted = request
        .headers()
        .contains_key(ACCEPT_ENCODING)
        .then(|| AcceptEncoding::parse(request).ok());
    let ours = [Encoding::brotli(), Encoding::gzip(), Encoding::identity()];
    match accepted??.negotiate(ours.iter())? {
        Encoding::Known(ContentEncoding::Brotli) => Some(Packing::Brotli),
        Encoding::Known(ContentEncoding::Gzip) => Some(Packing::Gzip),
        _ => None,
    }
}

/// A strong tag names these very bytes, and they are others now.
fn weaken(headers: &mut HeaderMap) {
    let strong = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    let weak = strong
        .and_then(|tag| tag.to_str().ok())
        .map(|tag| format!("W/{tag}"));
    if let Some(weak) = weak.and_then(|weak| HeaderValue::from_str(&weak).ok()) {
        headers.insert(ETAG, weak);
    }
}
