//! Packets: a digit for the type, and what follows it. Binary data has no digit on a WebSocket, and `b` with
//! base64 in a polling payload.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use bytestring::ByteString;
use thiserror::Error;

/// Clients write the padding or leave it out; we write it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What marks binary data among texts.
pub(super) const BINARY_MARK: char = 'b';

/// An encoded packet: one WebSocket message, or one entry of a polling payload. Cheap to clone, so that one frame can
/// go to many.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// The packet's digit and its text.
    Text(ByteString),
    /// The data of a binary message, as they are.
    Binary(Bytes),
}

/// What a message carries.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    /// Text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// `0`: the handshake object, from the server.
    Open(ByteString),
    /// `1`: the end.
    Close,
    /// `2`: are you there? With `probe` on a socket that is to take over.
    Ping(ByteString),
    /// `3`: the answer to it, with the same text.
    Pong(ByteString),
    /// `4`, or binary data: what the connection is for.
    Message(Data),
    /// `5`: from now on this socket is the connection.
    Upgrade,
    /// `6`: nothing, so that a poll ends.
    Noop,
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// It starts with none of the digits.
    #[error("a packet of no known type")]
    UnknownType,
    /// What follows the `b` is not base64.
    #[error("binary data that are not base64")]
    Base64,
    /// The body of a POST is not UTF-8.
    #[error("text that is not UTF-8")]
    Utf8,
    /// The body of a POST is declared to be binary.
    #[error("a body that is not text")]
    ContentType,
    /// A packet that only a server sends.
    #[error("a packet in the wrong direction")]
    Direction,
}

impl Packet {
    /// Reads a frame.
    ///
    /// # Errors
    /// When it is no packet.
    pub fn decode(frame: Frame) -> Result<Self, Malformed> {
        let text = match frame {
            Frame::Binary(bytes) => return Ok(Self::Message(Data::Binary(bytes))),
            Frame::Text(text) => text,
        };
        let mut chars = text.chars();
        let kind = chars.next().ok_or(Malformed::UnknownType)?;
        let rest = || text.slice_ref(chars.as_str());
        Ok(match kind {
            '0' => Self::Open(rest()),
            '1' => Self::Close,
            '2' => Self::Ping(rest()),
            '3' => Self::Pong(rest()),
            '4' => Self::Message(Data::Text(rest())),
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            BINARY_MARK => {
                let bytes = BASE64.decode(chars.as_str()).map_err(|_| Malformed::Base64)?;
                Self::Message(Data::Binary(bytes.into()))
            }
            _ => return Err(Malformed::UnknownType),
        })
    }

    /// Writes it as a frame.
    pub fn encode(&self) -> Frame {
        match self {
            Self::Open(text) => Frame::of('0', text),
            Self::Close => Frame::CLOSE,
            Self::Ping(text) => Frame::of('2', text),
            Self::Pong(text) => Frame::of('3', text),
            Self::Message(data) => data.encode(),
            Self::Upgrade => Frame::UPGRADE,
            Self::Noop => Frame::NOOP,
        }
    }
}

impl Data {
    /// A message of it.
    pub fn encode(&self) -> Frame {
        match self {
            Self::Text(text) => Frame::of('4', text),
            Self::Binary(bytes) => Frame::Binary(bytes.clone()),
        }
    }
}

impl Frame {
    /// The end.
    pub(super) const CLOSE: Self = Self::Text(ByteString::from_static("1"));
    /// The heartbeat.
    pub const PING: Self = Self::Text(ByteString::from_static("2"));
    /// The answer to a probe.
    pub(super) const PROBED: Self = Self::Text(ByteString::from_static("3probe"));
    const UPGRADE: Self = Self::Text(ByteString::from_static("5"));
    /// Nothing.
    pub(super) const NOOP: Self = Self::Text(ByteString::from_static("6"));

    fn of(kind: char, text: &str) -> Self {
        let mut whole = String::with_capacity(1 + text.len());
        whole.push(kind);
        whole.push_str(text);
        Self::Text(whole.into())
    }

    /// Bytes on a WebSocket.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Lengths only: what people say does not belong in a log.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}
