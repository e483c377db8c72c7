//! Every close code in one place: what it means and whether a client should come back.
//!
//! Codes 4000 to 4499 mean "reconnect", 4500 to 4999 "do not". Of the standard codes only 1001
//! and 1011 ask a client to come back.

use std::borrow::Cow;
use std::time::Duration;

use super::Frame;

/// How a client broke RFC 6455. Told in the text of the 1002 that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A frame from a client has to be masked.
    Unmasked,
    /// A reserved bit is set, and no extension was agreed on.
    ReservedBits,
    /// An opcode that means nothing.
    UnknownOpcode,
    /// A control frame is longer than 125 bytes.
    LongControl,
    /// A control frame is fragmented.
    FragmentedControl,
    /// A length is not in its shortest form, or has its top bit set.
    BadLength,
    /// A continuation of nothing.
    NothingToContinue,
    /// A new message inside an unfinished one.
    Unfinished,
    /// A close frame whose payload or code is not allowed.
    BadClose,
}

impl Fault {
    /// What the peer is told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unmasked => "client frames must be masked",
            Self::ReservedBits => "reserved bits must be zero",
            Self::UnknownOpcode => "unknown opcode",
            Self::LongControl => "control frame over 125 bytes",
            Self::FragmentedControl => "control frame in fragments",
            Self::BadLength => "bad payload length",
            Self::NothingToContinue => "continuation of nothing",
            Self::Unfinished => "new message inside an unfinished one",
            Self::BadClose => "bad close frame",
        }
    }
}

/// Why this side closes a connection: what its close frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// 1000: done. Do not come back by yourself.
    Normal,
    /// 1001: this node drains. Come back after the delay, which stands in the text as
    /// `retry-after-ms=N`; each client is given another one.
    Draining {
        /// How long to wait before coming back, in milliseconds.
        retry_after_ms: u32,
    },
    /// 1002: the peer broke the protocol.
    Protocol(Fault),
    /// 1003: a kind of message that this endpoint does not take.
    Unsupported,
    /// 1007: text that is not UTF-8.
    InvalidText,
    /// 1009: a frame or message over the limit.
    TooLarge,
    /// 1011: something went wrong here; nothing is known about the state of the session.
    Internal,
    /// 4001: the credential expired. Renew it, then come back.
    CredentialExpired,
    /// 4003: forbidden or blocked. Coming back needs another credential or a lifted block.
    Forbidden,
    /// 4008: read too slowly, and an event would have been lost. Resume with `since`.
    TooSlow,
    /// 4029: too many messages. Come back, and send fewer.
    TooManyMessages,
    /// 4100: the server failed to keep the session. Come back.
    ServerError,
    /// 4500: all that is kept of them was erased, as they asked. Do not come back by yourself.
    Erased,
    /// The answer to the peer's own close frame: its code, or nothing if it sent none.
    Echo(Option<u16>),
}

impl CloseReason {
    /// The code in the close frame; `None` is an empty close frame.
    #[must_use]
    pub const fn code(self) -> Option<u16> {
        Some(match self {
            Self::Normal => 1000,
            Self::Draining { .. } => 1001,
            Self::Protocol(_) => 1002,
            Self::Unsupported => 1003,
            Self::InvalidText => 1007,
            Self::TooLarge => 1009,
            Self::Internal => 1011,
            Self::CredentialExpired => 4001,
            Self::Forbidden => 4003,
            Self::TooSlow => 4008,
            Self::TooManyMessages => 4029,
            Self::ServerError => 4100,
            Self::Erased => 4500,
            Self::Echo(code) => return code,
        })
    }

    /// The text in the close frame.
    #[must_use]
    pub fn text(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Draining { retry_after_ms } => {
                return Cow::Owned(format!("retry-after-ms={retry_after_ms}"));
            }
            Self::Normal => "bye",
            Self::Protocol(fault) => fault.text(),
            Self::Unsupported => "unsupported kind of message",
            Self::InvalidText => "text is not UTF-8",
            Self::TooLarge => "message too large",
            Self::Internal => "internal error",
            Self::CredentialExpired => "credential expired",
            Self::Forbidden => "forbidden",
            Self::TooSlow => "too slow, resume with since",
            Self::TooManyMessages => "too many messages",
            Self::ServerError => "server error",
            Self::Erased => "erased",
            Self::Echo(_) => "",
        })
    }

    /// Whether a client should come back by itself.
    #[must_use]
    pub const fn reconnect(self) -> bool {
        matches!(self.code(), Some(1001 | 1011 | 4000..=4499))
    }

    /// How long a client is asked to wait before it comes back.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Draining { retry_after_ms } => Some(Duration::from_millis(retry_after_ms as u64)),
            _ => None,
        }
    }

    /// The close frame that says so.
    #[must_use]
    pub fn frame(self) -> Frame {
        Frame::close(self.code(), &self.text())
    }
}

/// How a session ended: the first thing that ended it, and the only one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// This side closed it.
    Closed(CloseReason),
    /// The peer closed it properly, with this code if it gave one.
    PeerClosed(Option<u16>),
    /// The peer hung up without a close frame.
    PeerGone,
    /// The connection broke: reset, or `TCP_USER_TIMEOUT`.
    Broken,
    /// Nothing was heard for `ping_timeout`, not even an answer to a ping.
    Silent,
}

impl EndReason {
    /// Labels for [`Self::index`], as metrics name them.
    pub const LABELS: [&'static str; 18] = [
        "normal",
        "draining",
        "protocol",
        "unsupported",
        "invalid_text",
        "too_large",
        "internal",
        "credential_expired",
        "forbidden",
        "too_slow",
        "too_many_messages",
        "server_error",
        "echo",
        "peer_closed",
        "peer_gone",
        "broken",
        "silent",
        "erased",
    ];

    /// Position in [`Self::LABELS`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Closed(reason) => match reason {
                CloseReason::Normal => 0,
                CloseReason::Draining { .. } => 1,
                CloseReason::Protocol(_) => 2,
                CloseReason::Unsupported => 3,
                CloseReason::InvalidText => 4,
                CloseReason::TooLarge => 5,
                CloseReason::Internal => 6,
                CloseReason::CredentialExpired => 7,
                CloseReason::Forbidden => 8,
                CloseReason::TooSlow => 9,
                CloseReason::TooManyMessages => 10,
                CloseReason::ServerError => 11,
                CloseReason::Echo(_) => 12,
                CloseReason::Erased => 17,
            },
            Self::PeerClosed(_) => 13,
            Self::PeerGone => 14,
            Self::Broken => 15,
            Self::Silent => 16,
        }
    }

    /// A short name for logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        Self::LABELS[self.index()]
    }

    /// The close code that describes it; 1005 and 1006 stand for "none given" and "none sent" and
    /// never go over the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Closed(reason) => match reason.code() {
                Some(code) => code,
                None => 1005,
            },
            Self::PeerClosed(Some(code)) => code,
            Self::PeerClosed(None) => 1005,
            Self::PeerGone | Self::Broken | Self::Silent => 1006,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_whether_to_come_back() {
        let back = [
            CloseReason::Draining { retry_after_ms: 5 },
            CloseReason::Internal,
            CloseReason::CredentialExpired,
            CloseReason::Forbidden,
            CloseReason::TooSlow,
            CloseReason::TooManyMessages,
            CloseReason::ServerError,
        ];
        for reason in back {
            assert!(reason.reconnect(), "{reason:?}");
        }
        let stay_away = [
            CloseReason::Normal,
            CloseReason::Protocol(Fault::Unmasked),
            CloseReason::Unsupported,
            CloseReason::InvalidText,
            CloseReason::TooLarge,
            CloseReason::Erased,
            CloseReason::Echo(Some(4500)),
        ];
        for reason in stay_away {
            assert!(!reason.reconnect(), "{reason:?}");
        }
    }

    #[test]
    fn the_drain_delay_stands_in_the_text() {
        let frame = CloseReason::Draining { retry_after_ms: 1500 }.frame();
        assert_eq!(&frame.payload()[..2], &1001_u16.to_be_bytes());
        assert_eq!(&frame.payload()[2..], b"retry-after-ms=1500");
    }

    #[test]
    fn every_end_has_a_label_of_its_own() {
        let last = EndReason::Closed(CloseReason::Erased);
        assert_eq!(last.index(), EndReason::LABELS.len() - 1);
        assert_eq!(EndReason::Silent.label(), "silent");
        assert_eq!(EndReason::Closed(CloseReason::TooSlow).label(), "too_slow");
        assert_eq!(EndReason::PeerGone.label(), "peer_gone");
    }
}
