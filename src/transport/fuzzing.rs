//! What must hold for whatever bytes arrive on a socket.

use bytes::BytesMut;

use super::Message;
use super::decoder::{Decoded, Decoder};
use crate::delivery::CloseReason;

const FRAME_MAX: usize = 4_096;
const MESSAGE_MAX: usize = 8_192;

/// Bytes of a WebSocket's client. The first byte says how they are cut into reads: however they come, the same
/// messages stand in them, and the same fault ends them.
pub fn frames(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let whole = decode([stream], false);
    let pieces = decode(stream.chunks(usize::from(*cut).max(1)), true);
    assert_eq!(whole, pieces, "cut into {cut} bytes it is another stream");
    for message in &whole.0 {
        let length = match message {
            Decoded::Message(Message::Text(text)) => text.len(),
            Decoded::Message(Message::Binary(data)) => data.len(),
            Decoded::Ping(data) => {
                assert!(data.len() <= 125, "a control frame of {} bytes", data.len());
                0
            }
            Decoded::Nothing | Decoded::Close(_) => 0,
        };
        assert!(length <= MESSAGE_MAX, "a message of {length} bytes");
    }
}

/// The messages, and how the stream ended if it did.
fn decode<'b>(
    reads: impl IntoIterator<Item = &'b [u8]>,
    shared: bool,
) -> (Vec<Decoded>, Option<CloseReason>) {
    let mut decoder = Decoder::new(FRAME_MAX, MESSAGE_MAX);
    let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
    for read in reads {
        buffer.extend_from_slice(read);
        loop {
            let before = buffer.len();
            match decoder.decode(&mut buffer, shared) {
                Ok(None) => break,
                Ok(Some(closed @ Decoded::Close(_))) => {
                    messages.push(closed);
                    return (messages, None);
                }
                Ok(Some(message)) => {
                    assert!(buffer.len() < before, "a message out of no bytes");
                    messages.push(message);
                }
                Err(reason) => return (messages, Some(reason)),
            }
        }
    }
    (messages, None)
}
