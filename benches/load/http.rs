//! As much of HTTP/1.1 as a load tool needs: requests as bytes, responses in place, and a blocking client for
//! what is not measured.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::Result;

const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// What stands at the front of the bytes received.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Incomplete,
    Response {
        status: u16,
        body: Cow<'a, [u8]>,
        len: usize,
    },
    Malformed(&'static str),
}

/// Looks at the front of `bytes` for a whole response.
pub fn next_response(bytes: &[u8]) -> Step<'_> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Step::Incomplete;
    };
    let start = end + 4;
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let status = lines
        .next()
        .and_then(|line| line.get(9..12))
        .and_then(crate::scan::number);
    let Some(status) = status.and_then(|status| u16::try_from(status).ok()) else {
        return Step::Malformed("no HTTP status");
    };
    let mut length = None;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let value = line[colon + 1..].trim_ascii();
        if line[..colon].eq_ignore_ascii_case(b"content-length") {
            length = crate::scan::number(value).and_then(|length| usize::try_from(length).ok());
        } else if line[..colon].eq_ignore_ascii_case(b"transfer-encoding") {
            return chunked(bytes, start, status);
        }
    }
    let length = if status == 204 || status == 304 {
        0
    } else {
        length.unwrap_or(0)
    };
    match bytes.get(start..start + length) {
        Some(body) => Step::Response {
            status,
            body: Cow::Borrowed(body),
            len: start + length,
        },
        None => Step::Incomplete,
    }
}

fn chunked(bytes: &[u8], mut at: usize, status: u16) -> Step<'_> {
    let mut body = Vec::new();
    loop {
        let Some(line) = memchr::memmem::find(&bytes[at..], b"\r\n") else {
            return Step::Incomplete;
        };
        let size = std::str::from_utf8(&bytes[at..at + line]).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok()) else {
            return Step::Malformed("a chunk without a size");
        };
        at += line + 2;
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Step::Incomplete;
        };
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Step::Response {
                status,
                body: Cow::Owned(body),
                len: at,
            };
        }
    }
}

/// A request as bytes. `headers` are whole lines, each with its line end.
pub fn request(method: &str, host: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    if body.is_empty() && method == "GET" {
        return format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").into_bytes();
    }
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// One keep-alive connection that waits for each answer.
pub struct Client {
    stream: TcpStream,
    host: String,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, WAIT_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_LIMIT))?;
        Ok(Self {
            stream,
            host: addr.to_string(),
            received: Vec::new(),
        })
    }

    /// The status and the body as JSON (null where it is none).
    pub fn call(&mut self, method: &str, path: &str, device: &str, body: &str) -> Result<(u16, Value)> {
        let headers = format!("X-Device-ID: {device}\r\n");
        self.stream
            .write_all(&request(method, &self.host, path, &headers, body))?;
        self.received.clear();
        let mut chunk = [0; 16 * 1024];
        loop {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(format!("{method} {path}: the engine closed the connection").into());
            }
            self.received.extend_from_slice(&chunk[..count]);
            match next_response(&self.received) {
                Step::Incomplete => {}
                Step::Malformed(why) => return Err(format!("{method} {path}: {why}").into()),
                Step::Response { status, body, .. } => {
                    return Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)));
                }
            }
        }
    }
}
