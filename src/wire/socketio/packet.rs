//! Packets: what they are, and how they are written. Each is one message of the session below, and one more for each
//! attachment.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::{Value, json};

use super::args::{Args, Json};
use super::engine::Frame;
use super::namespace::Namespace;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it belongs.
    pub namespace: Namespace,
    /// What it says.
    pub content: Content,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The client wants in, with its credentials, an object; or it is in, with `sid`.
    Connect(Option<Json>),
    /// One side leaves.
    Disconnect,
    /// Something happens. `BINARY_EVENT` on the wire when it has attachments.
    Event {
        /// The acknowledgement that is wanted.
        id: Option<u64>,
        /// What it is called.
        name: ByteString,
        /// The rest.
        args: Args,
    },
    /// The answer to an event. `BINARY_ACK` on the wire when it has attachments.
    Ack {
        /// Of the event.
        id: u64,
        /// The answer.
        args: Args,
    },
    /// The client is not let in: an object with `message`, and perhaps `data`.
    ConnectError(Json),
}

/// Names that events cannot have: clients tell these to themselves.
pub(super) const RESERVED_NAMES: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// The largest number of an acknowledgement: what JavaScript counts to.
pub(super) const ACK_ID_MAX: u64 = (1 << 53) - 1;

/// Why a client is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    /// For whoever reads it.
    pub message: String,
    /// For the client's program.
    pub data: Option<Value>,
}

impl ConnectError {
    /// What a client that asks for a namespace that is not there is told.
    pub fn invalid_namespace() -> Self {
        Self {
            message: "Invalid namespace".into(),
            data: None,
        }
    }

    pub(super) fn json(&self) -> Json {
        match &self.data {
            Some(data) => json!({"message": self.message, "data": data}).into(),
            None => json!({"message": self.message}).into(),
        }
    }
}

/// What a client tells of the connection that it lost, in the object of its connect: `{pid, offset}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The secret that it was given when it connected.
    pub pid: String,
    /// The offset of the last event that it has, see [`Args::with_offset`].
    pub offset: String,
}

impl Resume {
    /// What this object tells, if both are there and are texts.
    pub fn of(auth: &Json) -> Option<Self> {
        let mut auth: Value = serde_json::from_str(auth.as_str()).ok()?;
        let mut text = |key| match auth.get_mut(key).map(Value::take) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(Self {
            pid: text("pid")?,
            offset: text("offset")?,
        })
    }
}

/// A packet as it is sent. Written once, it can go to many.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    head: Frame,
    attachments: Vec<Bytes>,
}

/// Lengths only: what people say does not belong in a log.
impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<_> = self.attachments.iter().map(Bytes::len).collect();
        write!(f, "Encoded({:?}, attachments {lengths:?})", self.head)
    }
}

impl Encoded {
    /// The frames, in order; nothing else may come between them.
    pub fn into_frames(self) -> impl Iterator<Item = Frame> {
        let attachments = self.attachments.into_iter().map(Frame::Binary);
        std::iter::once(self.head).chain(attachments)
    }

    /// An event's frames, from parts: no packet is made of what many packets share.
    pub fn event(namespace: &Namespace, id: Option<u64>, name: &str, args: &Args) -> Self {
        let mut text = head('2', '5', args, namespace, id);
        text.push('[');
        let name = serde_json::to_string(name).expect("invariant: text is JSON");
        text.push_str(&name);
        if !args.list().is_empty() {
            text.push(',');
            text.push_str(args.list());
        }
        text.push(']');
        Self::of(text, args)
    }

    fn ack(namespace: &Namespace, id: u64, args: &Args) -> Self {
        let mut text = head('3', '6', args, namespace, Some(id));
        text.push('[');
        text.push_str(args.list());
        text.push(']');
        Self::of(text, args)
    }

    fn of(text: String, args: &Args) -> Self {
        Self {
            head: Frame::Text(text.into()),
            attachments: args.attachments().to_vec(),
        }
    }
}

impl Packet {
    /// Writes it.
    pub fn encode(&self) -> Encoded {
        let namespace = &self.namespace;
        let plain = |kind, json: Option<&Json>| {
            let mut text = head(kind, kind, &Args::default(), namespace, None);
            text.push_str(json.map_or("", Json::as_str));
            Encoded::of(text, &Args::default())
        };
        match &self.content {
            Content::Connect(json) => plain('0', json.as_ref()),
            Content::Disconnect => plain('1', None),
            Content::Event { id, name, args } => Encoded::event(namespace, *id, name, args),
            Content::Ack { id, args } => Encoded::ack(namespace, *id, args),
            Content::ConnectError(json) => plain('4', Some(json)),
        }
    }
}

/// The message's digit, the packet's, and what stands before the JSON.
fn head(plain: char, binary: char, args: &Args, namespace: &Namespace, id: Option<u64>) -> String {
    let attachments = args.attachments().len();
    let mut text = String::with_capacity(32 + namespace.as_str().len() + args.list().len());
    text.push('4');
    // Writing into a string does not fail.
    let _ = match attachments {
        0 => write!(text, "{plain}"),
        _ => write!(text, "{binary}{attachments}-"),
    };
    if !namespace.is_main() {
        let _ = write!(text, "{},", namespace.as_str());
    }
    if let Some(id) = id {
        let _ = write!(text, "{id}");
    }
    text
}
