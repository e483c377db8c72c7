//! One complete WebSocket frame, ready for the wire.

use bytes::{BufMut, Bytes, BytesMut};

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// What a control frame may carry at most (RFC 6455, 5.5).
const CONTROL_MAX_BYTES: usize = 125;

/// A server-to-client frame, header and unmasked payload in one piece.
///
/// Cloning shares the bytes: a message for a thousand members is encoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// A text frame. The payload must be UTF-8, which only the caller can know.
    #[must_use]
    pub fn text(payload: &[u8]) -> Self {
        encode(TEXT, payload)
    }

    /// A binary frame.
    #[must_use]
    pub fn binary(payload: &[u8]) -> Self {
        encode(BINARY, payload)
    }

    /// A ping; a payload over 125 bytes is cut.
    #[must_use]
    pub fn ping(payload: &[u8]) -> Self {
        encode(PING, control(payload))
    }

    /// The answer to a ping; a payload over 125 bytes is cut.
    #[must_use]
    pub fn pong(payload: &[u8]) -> Self {
        encode(PONG, control(payload))
    }

    /// A close frame. Without a code it is empty, as the answer to an empty one has to be.
    #[must_use]
    pub fn close(code: Option<u16>, text: &str) -> Self {
        let Some(code) = code else {
            return encode(CLOSE, &[]);
        };
        let room = CONTROL_MAX_BYTES - 2;
        let cut = (0..=room.min(text.len()))
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        let mut payload = Vec::with_capacity(2 + cut);
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(&text.as_bytes()[..cut]);
        encode(CLOSE, &payload)
    }

    /// Bytes that go out as they are: the HTTP response before the first frame.
    pub(crate) fn raw(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Several frames in one piece: they leave together, and are read one after the other.
    #[must_use]
    pub fn joined(frames: &[Self]) -> Self {
        match frames {
            [one] => one.clone(),
            many => {
                let mut all = BytesMut::with_capacity(many.iter().map(Self::len).sum());
                many.iter().for_each(|frame| all.put_slice(frame.as_bytes()));
                Self(all.freeze())
            }
        }
    }

    /// The frames that were joined, or this one.
    pub fn apart(&self) -> impl Iterator<Item = Self> {
        let mut rest = self.0.clone();
        std::iter::from_fn(move || {
            let len = first_len(&rest).filter(|len| (1..=rest.len()).contains(len))?;
            Some(Self(rest.split_to(len)))
        })
    }

    /// Whether the peer reads it as binary data.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.0.first() == Some(&(FIN | BINARY))
    }

    /// What the peer reads when the frame is decoded.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let header = match self.0.get(1) {
            Some(126) => 4,
            Some(127) => 10,
            _ => 2,
        };
        self.0.get(header..).unwrap_or_default()
    }

    /// The frame as it goes over the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Length on the wire, header included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true of a frame made here; clippy likes it beside `len`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How long the first of some frames is, header included; `None` when it is not whole.
fn first_len(bytes: &[u8]) -> Option<usize> {
    let (header, len): (usize, usize) = match *bytes.get(1)? {
        126 => (
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => {
            let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
            (10, usize::try_from(len).ok()?)
        }
        len => (2, usize::from(len)),
    };
    header.checked_add(len)
}

fn control(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(CONTROL_MAX_BYTES)]
}

fn encode(opcode: u8, payload: &[u8]) -> Frame {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    frame.put_u8(FIN | opcode);
    match payload.len() {
        len @ 0..=125 => frame.put_u8(u8::try_from(len).unwrap_or(0)),
        len => {
            if let Ok(len) = u16::try_from(len) {
                frame.put_u8(126);
                frame.put_u16(len);
            } else {
                frame.put_u8(127);
                frame.put_u64(len as u64);
            }
        }
    }
    frame.put_slice(payload);
    Frame(frame.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_gets_the_shortest_header() {
        for (len, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![b'x'; len];
            let frame = Frame::text(&payload);
            assert_eq!(frame.len(), len + header);
            assert_eq!(frame.payload(), payload);
            assert_eq!(frame.as_bytes()[0], 0x81);
        }
    }

    #[test]
    fn what_was_joined_comes_apart_again() {
        let frames: Vec<_> = [0, 125, 126, 70_000]
            .map(|len| Frame::text(&vec![b'x'; len]))
            .into_iter()
            .chain([Frame::binary(b"b")])
            .collect();
        let joined = Frame::joined(&frames);
        assert_eq!(joined.apart().collect::<Vec<_>>(), frames);
        let last = joined.apart().last().unwrap();
        assert!(last.is_binary() && !frames[0].is_binary());
        assert_eq!(Frame::joined(&frames[1..2]), frames[1]);
    }

    #[test]
    fn a_close_text_is_cut_between_characters() {
        let frame = Frame::close(Some(4008), &"ä".repeat(100));
        assert_eq!(frame.payload().len(), 2 + 122);
        assert_eq!(frame.payload()[..2], 4008_u16.to_be_bytes());
        assert!(std::str::from_utf8(&frame.payload()[2..]).is_ok());
        assert_eq!(Frame::close(None, "unsaid").payload(), b"");
    }
}
