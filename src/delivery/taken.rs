//! Frames on their way out: taken from a lane, and put back if the socket is full.

use std::sync::Arc;

use super::Frame;
use super::signals::{Entry, Run, SignalKey};

/// Where a frame was taken from.
#[derive(Clone, Debug)]
pub(super) enum Lane {
    Control,
    Event,
    Signal(SignalKey),
    Run(Arc<Run>),
    Close,
}

/// A frame that was taken out to be written, or the rest of it.
#[derive(Debug)]
pub struct Taken {
    pub(super) lane: Lane,
    pub(super) frame: Frame,
    /// How much of it has left already.
    pub(super) offset: usize,
}

impl Taken {
    /// The bytes that are still to be written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.frame.as_bytes().get(self.offset..).unwrap_or_default()
    }

    pub(super) fn into_frame(self) -> Frame {
        self.frame
    }

    /// Whether nothing comes after this frame.
    #[must_use]
    pub fn is_close(&self) -> bool {
        matches!(self.lane, Lane::Close)
    }

    /// How many frames it is.
    pub(super) fn count(&self) -> u64 {
        match &self.lane {
            Lane::Run(run) => run.signals.len() as u64,
            _ => 1,
        }
    }

    pub(super) fn signals(entry: Entry) -> Self {
        let (lane, frame) = match entry {
            Entry::One(key, frame) => (Lane::Signal(key), frame),
            Entry::Run(run) => {
                let joined = run.joined.clone();
                (Lane::Run(run), joined)
            }
        };
        Self {
            lane,
            frame,
            offset: 0,
        }
    }
}

/// Takes joined signals apart again.
pub(super) fn unfold(taken: &mut Vec<Taken>) {
    if !taken.iter().any(|item| matches!(item.lane, Lane::Run(_))) {
        return;
    }
    let mut single = Vec::with_capacity(taken.len());
    for item in taken.drain(..) {
        if let Lane::Run(run) = &item.lane {
            single.extend(run.signals.iter().map(|(key, frame)| Taken {
                lane: Lane::Signal(*key),
                frame: frame.clone(),
                offset: 0,
            }));
        } else {
            single.push(item);
        }
    }
    *taken = single;
}
