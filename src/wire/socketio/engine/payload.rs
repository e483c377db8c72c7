//! Payloads: the packets of one polling request or answer, separated by the record separator.
//!
//! The separator is not escaped. JSON never holds it bare; whoever sends other text over polling must not either.

use base64::Engine as _;
use bytes::Bytes;
use bytestring::ByteString;

use super::packet::{BASE64, BINARY_MARK, Frame, Malformed, Packet};

const SEPARATOR: char = '\u{1e}';

/// Puts frames together.
pub fn encode<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> String {
    let mut payload = String::new();
    for (index, frame) in frames.into_iter().enumerate() {
        if index > 0 {
            payload.push(SEPARATOR);
        }
        match frame {
            Frame::Text(text) => payload.push_str(text),
            Frame::Binary(bytes) => {
                payload.push(BINARY_MARK);
                BASE64.encode_string(bytes, &mut payload);
            }
        }
    }
    payload
}

/// Takes a payload apart: its packets in order, up to and with the first that is none.
///
/// # Errors
/// When it is not UTF-8.
pub fn decode(body: Bytes) -> Result<impl Iterator<Item = Result<Packet, Malformed>>, Malformed> {
    let body = ByteString::try_from(body).map_err(|_| Malformed::Utf8)?;
    let mut next = Some(0);
    Ok(std::iter::from_fn(move || {
        let rest = &body[next?..];
        let piece = rest.split(SEPARATOR).next().unwrap_or_default();
        let after = next? + piece.len() + SEPARATOR.len_utf8();
        next = (after <= body.len()).then_some(after);
        let packet = Packet::decode(Frame::Text(body.slice_ref(piece)));
        if packet.is_err() {
            next = None;
        }
        Some(packet)
    }))
}

/// How many bytes a frame takes in a payload, its separator aside.
pub(super) fn length(frame: &Frame) -> usize {
    match frame {
        Frame::Text(text) => text.len(),
        Frame::Binary(bytes) => 1 + bytes.len().div_ceil(3) * 4,
    }
}
