//! From the messages of a session to packets: a text for each, and as many binary messages as it announces.

use bytes::Bytes;
use bytestring::ByteString;

use super::args::{Args, Json};
use super::engine::Data;
use super::error::Malformed;
use super::namespace::Namespace;
use super::packet::{ACK_ID_MAX, Content, Packet, RESERVED_NAMES};
use super::settings::AttachmentLimits;

/// Puts packets together. After an error nothing that comes is of use.
#[derive(Debug)]
pub struct Decoder {
    limits: AttachmentLimits,
    partial: Option<Box<Partial>>,
}

/// A packet whose attachments are still to come.
#[derive(Debug)]
struct Partial {
    packet: Packet,
    wanted: usize,
    attachments: Vec<Bytes>,
    bytes: usize,
}

impl Decoder {
    /// One that has read nothing.
    pub fn new(limits: AttachmentLimits) -> Self {
        Self {
            limits,
            partial: None,
        }
    }

    /// Reads a message; answers the packet that it completes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, data: Data) -> Result<Option<Packet>, Malformed> {
        match (data, self.partial.take()) {
            (Data::Text(_), Some(_)) => Err(Malformed::AttachmentExpected),
            (Data::Binary(_), None) => Err(Malformed::AttachmentUnexpected),
            (Data::Text(text), None) => {
                let (packet, wanted) = self.head(&text)?;
                if wanted == 0 {
                    return Ok(Some(packet));
                }
                self.partial = Some(Box::new(Partial {
                    packet,
                    wanted,
                    attachments: Vec::new(),
                    bytes: 0,
                }));
                Ok(None)
            }
            (Data::Binary(bytes), Some(mut partial)) => {
                partial.bytes += bytes.len();
                if partial.bytes > self.limits.max_bytes {
                    return Err(Malformed::TooLargeAttachments);
                }
                partial.attachments.push(bytes);
                if partial.attachments.len() < partial.wanted {
                    self.partial = Some(partial);
                    return Ok(None);
                }
                Ok(Some(partial.complete()))
            }
        }
    }

    /// A packet without its attachments, and how many they are.
    fn head(&self, text: &ByteString) -> Result<(Packet, usize), Malformed> {
        let mut chars = text.chars();
        let kind = chars.next().ok_or(Malformed::UnknownType)?;
        let mut rest = chars.as_str();
        let mut wanted = 0;
        if let '5' | '6' = kind {
            let (count, after) = rest.split_once('-').ok_or(Malformed::AttachmentCount)?;
            wanted = number(count).ok_or(Malformed::AttachmentCount)?;
            rest = after;
        }
        if wanted > u64::try_from(self.limits.max).unwrap_or(u64::MAX) {
            return Err(Malformed::TooManyAttachments);
        }
        let wanted = usize::try_from(wanted).map_err(|_| Malformed::TooManyAttachments)?;
        let namespace = namespace(text, &mut rest);
        let id = ack_id(&mut rest)?;
        let content = content(kind, id, text.slice_ref(rest))?;
        if let '5' | '6' = kind {
            if wanted == 0 {
                return Err(Malformed::AttachmentCount);
            }
            if let Content::Event { args, .. } | Content::Ack { args, .. } = &content {
                args.check_placeholders(wanted)?;
            }
        }
        Ok((Packet { namespace, content }, wanted))
    }
}

/// The namespace at the beginning of what is left, `/` when there is none.
fn namespace(text: &ByteString, rest: &mut &str) -> Namespace {
    if !rest.starts_with('/') {
        return Namespace::MAIN;
    }
    let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
    let name = text.slice_ref(name);
    *rest = after;
    Namespace::new(name).expect("invariant: it begins with a slash and ends before a comma")
}

/// The number at the beginning of what is left.
fn ack_id(rest: &mut &str) -> Result<Option<u64>, Malformed> {
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 {
        return Ok(None);
    }
    let (id, after) = rest.split_at(digits);
    *rest = after;
    let id = number(id).filter(|id| *id <= ACK_ID_MAX);
    id.map(Some).ok_or(Malformed::AckId)
}

fn number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn content(kind: char, id: Option<u64>, payload: ByteString) -> Result<Content, Malformed> {
    let unnumbered = || id.map_or(Ok(()), |_| Err(Malformed::AckId));
    match kind {
        '0' => {
            unnumbered()?;
            if payload.is_empty() {
                return Ok(Content::Connect(None));
            }
            let auth = Json::new(payload).filter(Json::is_object);
            auth.map(|auth| Content::Connect(Some(auth)))
                .ok_or(Malformed::Payload)
        }
        '1' => {
            unnumbered()?;
            let nothing = payload.is_empty().then_some(Content::Disconnect);
            nothing.ok_or(Malformed::Payload)
        }
        '2' | '5' => {
            let (name, args) = Args::read_named(&payload)?;
            if RESERVED_NAMES.contains(&&*name) {
                return Err(Malformed::EventName);
            }
            Ok(Content::Event { id, name, args })
        }
        '3' | '6' => {
            let id = id.ok_or(Malformed::AckId)?;
            let args = Args::read(&payload)?;
            Ok(Content::Ack { id, args })
        }
        '4' => {
            unnumbered()?;
            let error = Json::new(payload).filter(|json| json.is_object() || json.is_text());
            error.map(Content::ConnectError).ok_or(Malformed::Payload)
        }
        _ => Err(Malformed::UnknownType),
    }
}

impl Partial {
    fn complete(mut self) -> Packet {
        if let Content::Event { args, .. } | Content::Ack { args, .. } = &mut self.packet.content {
            *args = std::mem::take(args).attach(self.attachments);
        }
        self.packet
    }
}
