//! WebSocket frames as a client sees them: built once, walked in place.
//!
//! Client frames must be masked, but nothing says the key may not be zero: then masking changes nothing and a
//! prebuilt frame can be patched and sent as it is.

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The key of RFC 6455's example: every handshake may use it, and its answer is known.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What stands at the front of the bytes received.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Incomplete,
    Frame {
        opcode: u8,
        payload: &'a [u8],
        len: usize,
    },
    Malformed(&'static str),
}

/// Looks at the front of `bytes`; `len` of a whole frame is what to skip to reach the next.
#[inline]
pub fn next_frame(bytes: &[u8]) -> Step<'_> {
    let [first, second, ..] = *bytes else {
        return Step::Incomplete;
    };
    if first & 0xf0 != 0x80 {
        return Step::Malformed("a fragmented frame, or reserved bits set");
    }
    if second & 0x80 != 0 {
        return Step::Malformed("a masked frame from the server");
    }
    let (header, size) = match second {
        126 => match bytes.get(2..4) {
            Some(&[a, b]) => (4, usize::from(u16::from_be_bytes([a, b]))),
            _ => return Step::Incomplete,
        },
        127 => match bytes.get(2..10).and_then(|b| <[u8; 8]>::try_from(b).ok()) {
            Some(raw) => match usize::try_from(u64::from_be_bytes(raw)) {
                Ok(size) if size < 1 << 32 => (10, size),
                _ => return Step::Malformed("a frame of more than 4 GB"),
            },
            None => return Step::Incomplete,
        },
        short => (2, usize::from(short)),
    };
    match bytes.get(header..header + size) {
        Some(payload) => Step::Frame {
            opcode: first & 0x0f,
            payload,
            len: header + size,
        },
        None => Step::Incomplete,
    }
}

/// Appends a client frame to `out` and says where its payload starts.
pub fn push_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) -> usize {
    out.push(0x80 | opcode);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | u8::try_from(len).unwrap_or_default()),
        len => match u16::try_from(len) {
            Ok(len) => {
                out.push(0x80 | 126);
                out.extend_from_slice(&len.to_be_bytes());
            }
            Err(_) => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
        },
    }
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    out.extend_from_slice(payload);
    start
}

/// The request that opens a WebSocket at `path`.
pub fn upgrade_request(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// The answer to `upgrade_request`: how many bytes it takes when it is whole, or the refusal's first line.
pub fn upgrade_answer(bytes: &[u8]) -> Option<Result<usize, String>> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let head = &bytes[..end];
    if head.starts_with(b"HTTP/1.1 101 ") && memchr::memmem::find(head, ACCEPT).is_some() {
        return Some(Ok(end));
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Some(Err(String::from_utf8_lossy(line).into_owned()))
}
