//! What a request asks for, by its method and query, and the words in which it is refused: those of the reference
//! server, which clients know.

use bytestring::ByteString;
use serde_json::json;
use thiserror::Error;
use url::form_urlencoded;

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// GET requests that wait, and POST requests.
    Polling,
    /// A WebSocket.
    WebSocket,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A new session.
    Open(Transport),
    /// What waits for this session.
    Poll(ByteString),
    /// Packets for this session are in the body.
    Post(ByteString),
    /// A WebSocket for a session that polls.
    Upgrade(ByteString),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// No `transport`, or one that is not served here.
    #[error("Transport unknown")]
    UnknownTransport,
    /// A `sid` that no session has here.
    #[error("Session ID unknown")]
    UnknownSid,
    /// A session is opened by GET.
    #[error("Bad handshake method")]
    BadHandshakeMethod,
    /// What does not fit the session, or is no request of the protocol.
    #[error("Bad request")]
    BadRequest,
    /// Somebody above refuses, in these words.
    #[error("{0}")]
    Forbidden(String),
    /// An `EIO` that is not 4.
    #[error("Unsupported protocol version")]
    UnsupportedProtocolVersion,
}

impl EntryError {
    /// The number that clients know it by.
    pub fn code(&self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSid => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden(_) => 4,
            Self::UnsupportedProtocolVersion => 5,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Forbidden(_) => 403,
            _ => 400,
        }
    }

    /// The body, JSON: `{code, message}`.
    pub fn body(&self) -> String {
        json!({"code": self.code(), "message": self.to_string()}).to_string()
    }
}

/// Why a session does not take what a request brings.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Answered in the words of the entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The body is over the limit: status 413, without a body.
    #[error("Payload too large")]
    TooLarge,
    /// The session has a WebSocket already. The handshake is completed and the socket closed at once: a client must
    /// not take this for a server without WebSockets.
    #[error("The session has a WebSocket")]
    Occupied,
}

impl Refusal {
    pub(super) const UNKNOWN: Self = Self::Entry(EntryError::UnknownSid);
    pub(super) const BAD: Self = Self::Entry(EntryError::BadRequest);
}

impl Entry {
    /// Reads a request: its method, its query as it came, and whether it asks for a WebSocket.
    ///
    /// # Errors
    /// What the answer says. Whether the session exists, only the caller knows.
    pub fn read(method: &str, query: &str, upgrade: bool) -> Result<Self, EntryError> {
        let (mut version, mut transport, mut sid) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "EIO" => version = Some(value),
                "transport" => transport = Some(value),
                "sid" => sid = Some(value),
                _ => {}
            }
        }
        let transport = match transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(EntryError::UnknownTransport),
        };
        let fits = upgrade == (transport == Transport::WebSocket);
        if let Some(sid) = sid.filter(|sid| !sid.is_empty()) {
            let sid = ByteString::from(sid.into_owned());
            return match method {
                _ if !fits => Err(EntryError::BadRequest),
                "GET" if upgrade => Ok(Self::Upgrade(sid)),
                "GET" => Ok(Self::Poll(sid)),
                "POST" => Ok(Self::Post(sid)),
                _ => Err(EntryError::BadRequest),
            };
        }
        if method != "GET" {
            return Err(EntryError::BadHandshakeMethod);
        }
        if !fits {
            return Err(EntryError::BadRequest);
        }
        if version.as_deref() != Some("4") {
            return Err(EntryError::UnsupportedProtocolVersion);
        }
        Ok(Self::Open(transport))
    }

    /// The session it names.
    pub fn sid(&self) -> Option<&str> {
        match self {
            Self::Open(_) => None,
            Self::Poll(sid) | Self::Post(sid) | Self::Upgrade(sid) => Some(sid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, query: &str, upgrade: bool) -> String {
        let error = Entry::read(method, query, upgrade).unwrap_err();
        assert_eq!(error.status(), 400);
        error.body()
    }

    #[test]
    fn a_request_says_what_it_wants() {
        let open = Entry::read("GET", "EIO=4&transport=polling&t=abc", false);
        assert_eq!(open, Ok(Entry::Open(Transport::Polling)));
        let open = Entry::read("GET", "transport=websocket&EIO=4&sid=", true);
        assert_eq!(open, Ok(Entry::Open(Transport::WebSocket)));
        let sid = || ByteString::from_static("a b");
        let query = "EIO=4&transport=polling&sid=a%20b";
        assert_eq!(Entry::read("GET", query, false), Ok(Entry::Poll(sid())));
        assert_eq!(Entry::read("POST", query, false), Ok(Entry::Post(sid())));
        let query = "EIO=4&transport=websocket&sid=a+b";
        assert_eq!(Entry::read("GET", query, true), Ok(Entry::Upgrade(sid())));
    }

    #[test]
    fn refusals_have_the_codes_and_words_that_clients_know() {
        let unknown = r#"{"code":0,"message":"Transport unknown"}"#;
        assert_eq!(refused("GET", "", false), unknown);
        assert_eq!(refused("GET", "EIO=4&transport=flash", false), unknown);
        assert_eq!(refused("GET", "EIO=4&transport=", true), unknown);
        let method = r#"{"code":2,"message":"Bad handshake method"}"#;
        assert_eq!(refused("POST", "EIO=4&transport=polling", false), method);
        assert_eq!(refused("PUT", "EIO=3&transport=polling", false), method);
        let bad = r#"{"code":3,"message":"Bad request"}"#;
        assert_eq!(refused("GET", "EIO=4&transport=websocket", false), bad);
        assert_eq!(refused("GET", "EIO=4&transport=polling", true), bad);
        assert_eq!(refused("GET", "EIO=4&transport=websocket&sid=a", false), bad);
        assert_eq!(refused("DELETE", "EIO=4&transport=polling&sid=a", false), bad);
        let version = r#"{"code":5,"message":"Unsupported protocol version"}"#;
        assert_eq!(refused("GET", "transport=polling", false), version);
        assert_eq!(refused("GET", "EIO=abc&transport=polling", false), version);
        assert_eq!(refused("GET", "EIO=3&transport=websocket", true), version);

        let sid = EntryError::UnknownSid;
        assert_eq!(
            (sid.status(), sid.body()),
            (400, r#"{"code":1,"message":"Session ID unknown"}"#.into())
        );
        let forbidden = EntryError::Forbidden("not today".into());
        assert_eq!(
            (forbidden.status(), forbidden.body()),
            (403, r#"{"code":4,"message":"not today"}"#.into())
        );
    }
}
