//! What the owner of connections hears of them.

use crate::reactor::Reactor;

/// Names a connection; never used twice in one reactor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConnId {
    /// A small number that no other open connection has.
    #[inline]
    pub fn index(self) -> usize {
        self.slot as usize
    }
}

/// Why a connection is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The connect or the upgrade did not succeed.
    Refused(String),
    /// The server sent a close frame with this code.
    Code(u16),
    /// The server closed without a word, or the connection broke.
    Lost(String),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Code(code) => write!(f, "closed with {code}"),
            Self::Lost(why) => write!(f, "lost: {why}"),
        }
    }
}

/// What the owner of the connections does about them.
pub trait Handler {
    fn opened(&mut self, _net: &mut Reactor, _id: ConnId) {}
    /// A text frame; `now` is when it was read.
    fn frame(&mut self, _net: &mut Reactor, _id: ConnId, _payload: &[u8], _now: u64) {}
    fn response(&mut self, _net: &mut Reactor, _id: ConnId, _status: u16, _body: &[u8], _now: u64) {}
    fn closed(&mut self, _net: &mut Reactor, _id: ConnId, _ending: Ending) {}
}

/// Lets what arrives fall on the floor.
pub struct Ignore;
impl Handler for Ignore {}
