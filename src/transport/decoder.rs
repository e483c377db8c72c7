//! Bytes to messages: no socket, no clock.

use actix_http::ws::{CloseReason as WsCloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use super::Message;
use super::header::{self, Bounds, Header};
use super::utf8::Utf8;
use crate::delivery::{CloseReason, Fault};

/// What stood in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Message(Message),
    Ping(Bytes),
    /// A pong, or a fragment that was put aside.
    Nothing,
    Close(Option<u16>),
}

/// Puts frames together. Owns memory only while a message is in fragments or a text incomplete.
#[derive(Debug)]
pub(super) struct Decoder {
    frame_max: usize,
    message_max: usize,
    unfinished: Option<Box<Unfinished>>,
}

/// What is known of a message that has not wholly come.
#[derive(Debug, Default)]
struct Unfinished {
    /// The fragments so far; `None` while the first frame is incomplete.
    fragments: Option<Fragments>,
    utf8: Utf8,
    /// How much of the incomplete frame's payload was checked already.
    checked: usize,
}

#[derive(Debug)]
struct Fragments {
    is_text: bool,
    data: BytesMut,
}

impl Decoder {
    pub(super) fn new(frame_max: usize, message_max: usize) -> Self {
        Self {
            frame_max,
            message_max,
            unfinished: None,
        }
    }

    /// Takes the next frame from the front of `src`; `None` when it is not complete. `shared`
    /// says that `src` is not ours to keep pieces of.
    pub(super) fn decode(
        &mut self,
        src: &mut BytesMut,
        shared: bool,
    ) -> Result<Option<Decoded>, CloseReason> {
        let Some(header) = header::parse(src, self.bounds())? else {
            return Ok(None);
        };
        if src.len() < header.frame_len() {
            self.check_incomplete(&header, src)?;
            return Ok(None);
        }
        // The header is fine, so this can fail only if the two parsers disagree.
        let parsed =
            Parser::parse(src, true, usize::MAX).map_err(|_| CloseReason::Protocol(Fault::BadLength))?;
        let Some((fin, opcode, payload)) = parsed else {
            return Ok(None);
        };
        let payload = payload.unwrap_or_default();
        match opcode {
            OpCode::Ping => Ok(Some(Decoded::Ping(Bytes::copy_from_slice(&payload)))),
            OpCode::Close => close(&payload).map(Some),
            OpCode::Text | OpCode::Binary if fin => {
                self.unfinished = None;
                whole(opcode == OpCode::Text, keep(payload, shared)).map(Some)
            }
            OpCode::Text | OpCode::Binary | OpCode::Continue => {
                self.fragment(fin, opcode, &payload).map(Some)
            }
            OpCode::Pong | OpCode::Bad => Ok(Some(Decoded::Nothing)),
        }
    }

    fn bounds(&self) -> Bounds {
        let fragments = self
            .unfinished
            .as_ref()
            .and_then(|unfinished| unfinished.fragments.as_ref());
        let so_far = fragments.map_or(0, |fragments| fragments.data.len());
        Bounds {
            started: fragments.is_some(),
            frame_max: self.frame_max,
            message_room: self.message_max.saturating_sub(so_far),
        }
    }

    fn fragment(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) -> Result<Decoded, CloseReason> {
        let unfinished = self.unfinished.get_or_insert_default();
        let fragments = unfinished.fragments.get_or_insert_with(|| Fragments {
            is_text: opcode == OpCode::Text,
            data: BytesMut::new(),
        });
        if fragments.is_text {
            unfinished
                .utf8
                .feed(payload.get(unfinished.checked..).unwrap_or_default())?;
        }
        unfinished.checked = 0;
        fragments.data.extend_from_slice(payload);
        if !fin {
            return Ok(Decoded::Nothing);
        }
        let done = self.unfinished.take().and_then(|unfinished| unfinished.fragments);
        done.map_or(Ok(Decoded::Nothing), |done| {
            whole(done.is_text, done.data.freeze())
        })
    }

    /// Refuses bad text in a frame of which only a part is there.
    fn check_incomplete(&mut self, header: &Header, src: &[u8]) -> Result<(), CloseReason> {
        let continues_text = || {
            let fragments = self
                .unfinished
                .as_ref()
                .and_then(|unfinished| unfinished.fragments.as_ref());
            fragments.is_some_and(|fragments| fragments.is_text)
        };
        if header.opcode != header::TEXT && !(header.opcode == header::CONTINUATION && continues_text()) {
            return Ok(());
        }
        let unfinished = self.unfinished.get_or_insert_default();
        let payload = src.get(header.header_len..).unwrap_or_default();
        let mut piece = [0; 1024];
        while unfinished.checked < payload.len() {
            let masked = &payload[unfinished.checked..];
            let len = masked.len().min(piece.len());
            for (at, (clear, byte)) in piece.iter_mut().zip(masked).enumerate() {
                *clear = byte ^ header.mask[(unfinished.checked + at) & 3];
            }
            unfinished.utf8.feed(&piece[..len])?;
            unfinished.checked += len;
        }
        Ok(())
    }
}

/// A payload that does not hold on to a read buffer much larger than itself.
fn keep(payload: BytesMut, shared: bool) -> Bytes {
    const COPY_MAX_BYTES: usize = 4096;
    if shared || payload.len() <= COPY_MAX_BYTES {
        Bytes::copy_from_slice(&payload)
    } else {
        payload.freeze()
    }
}

fn whole(is_text: bool, payload: Bytes) -> Result<Decoded, CloseReason> {
    Ok(Decoded::Message(if is_text {
        Message::Text(ByteString::try_from(payload).map_err(|_| CloseReason::InvalidText)?)
    } else {
        Message::Binary(payload)
    }))
}

fn close(payload: &[u8]) -> Result<Decoded, CloseReason> {
    if payload.len() > 2 && std::str::from_utf8(&payload[2..]).is_err() {
        return Err(CloseReason::InvalidText);
    }
    let reason: Option<WsCloseReason> =
        Parser::try_parse_close_payload(payload).map_err(|_| CloseReason::Protocol(Fault::BadClose))?;
    Ok(Decoded::Close(reason.map(|reason| reason.code.into())))
}
