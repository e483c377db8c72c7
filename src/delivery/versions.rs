//! The same news in several dialects: everybody gets the version in theirs.

use super::Frame;

/// A dialect that members of an audience are spoken to in. What the numbers mean is the caller's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tongue(u8);

impl Tongue {
    /// How many there can be.
    pub const COUNT: usize = 4;

    /// The one of this number, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn new(number: u8) -> Self {
        assert!((number as usize) < Self::COUNT, "there are fewer tongues");
        Self(number)
    }

    /// Something for each.
    pub(super) fn each<T>(make: impl FnMut(Self) -> T) -> [T; Self::COUNT] {
        [Self(0), Self(1), Self(2), Self(3)].map(make)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One piece of news in each tongue that it is told in. Whoever speaks another one does not hear of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions([Option<Frame>; Tongue::COUNT]);

impl Versions {
    /// The same with a version in this tongue.
    #[must_use]
    pub fn with(mut self, tongue: Tongue, frame: Option<Frame>) -> Self {
        if let Some(place) = self.0.get_mut(tongue.index()) {
            *place = frame;
        }
        self
    }

    /// The version in a tongue.
    #[must_use]
    pub fn get(&self, tongue: Tongue) -> Option<&Frame> {
        self.0.get(tongue.index())?.as_ref()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The longest version, in bytes on the wire.
    pub(super) fn len_max(&self) -> usize {
        self.0.iter().flatten().map(Frame::len).max().unwrap_or(0)
    }
}

/// In the first tongue only.
impl From<Frame> for Versions {
    fn from(frame: Frame) -> Self {
        Self::default().with(Tongue::default(), Some(frame))
    }
}

/// How far into a room's log somebody is told who gets an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The room's number on this node.
    pub room: u64,
    /// The event's place in its log.
    pub seq: u64,
}

/// A member who gets events in a version of their own: with what only they are told, such as how far they are in
/// every room that they are in.
pub trait Own: Send + Sync {
    /// Their version of what others of their tongue get. Called in the order in which they get it.
    fn version(&self, shared: &Frame, mark: Mark) -> Frame;
}
