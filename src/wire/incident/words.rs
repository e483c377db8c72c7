//! One event of Socket.IO: its name and the object that is its argument.

use bytestring::ByteString;
use smallvec::SmallVec;

use crate::domain::ids::{ParticipantId, RoomId};
use crate::wire::frame::Frame;
use crate::wire::socketio::Args;

/// Room for an object without lists or texts.
pub(super) const SMALL: usize = 160;
/// Room for a position with the longest numbers that devices send.
pub(super) const POSITION: usize = 320;
/// Room for what is told of a person.
pub(super) const PERSON: usize = 288;

/// What stands for a participant where the engine itself acted.
const SYSTEM: &str = "system";

/// An event for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it is called.
    pub name: &'static str,
    /// Its one argument, a JSON object. Names that stand for one thing share it.
    pub body: ByteString,
}

/// One thing under each of its names, the older first; empty when incident clients are not told of it.
pub type Words = SmallVec<[Word; 3]>;

impl Word {
    pub(super) fn new(name: &'static str, frame: Frame) -> Self {
        Self {
            name,
            body: frame.text_of(),
        }
    }

    /// Its arguments as packets have them; the body is shared, not copied.
    pub fn args(&self) -> Args {
        Args::encoded(self.body.clone())
    }
}

/// The same object under each name.
pub(super) fn under(names: &[&'static str], frame: Frame) -> Words {
    let body = frame.text_of();
    names
        .iter()
        .map(|name| Word {
            name,
            body: body.clone(),
        })
        .collect()
}

/// Begins what is said of somebody in an incident.
pub(super) fn about(who: ParticipantId, sos: &RoomId, size: usize) -> Frame {
    let mut frame = Frame::bare(size);
    frame.person("userId", who);
    frame.room("sosId", sos);
    frame
}

/// Whose doing it was.
pub(super) fn doer(frame: &mut Frame, key: &str, who: Option<ParticipantId>) {
    match who {
        Some(who) => frame.person(key, who),
        None => frame.word(key, SYSTEM),
    }
}
