//! What one connection is owed, as plain state: no lock, no socket, no clock.
//!
//! Three lanes. Control frames go first and are few. Events go out in order and are never dropped
//! while the outbox is open: one too many closes it. Signals go last, the newest of each key only,
//! and give way to events.

use std::collections::VecDeque;
use std::sync::Arc;

use super::signals::{Entry, Run, SignalKey, SignalLane};
use super::stats::Sent;
use super::taken::{Lane, Taken, unfold};
use super::{CloseReason, EndReason, Frame};

/// Control frames that may wait. A client that sends pings faster than it reads the answers gets
/// only the newest, as RFC 6455 allows.
const CONTROL_MAX_FRAMES: usize = 16;

/// How far a connection's outgoing side has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Takes events and signals.
    Open,
    /// Lets out what is queued, then the close frame.
    Closing,
    /// The close frame has left; nothing more will.
    CloseSent,
    /// The connection is no more.
    Gone,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It will leave in its turn.
    Queued,
    /// It took the place of an older signal.
    Conflated,
    /// A signal for which there was no room.
    Dropped,
    /// An event for which there was no room: the connection now closes as too slow.
    TooSlow,
    /// The outbox takes nothing more.
    Closed,
}

/// The queues of one connection and their bounds.
#[derive(Debug)]
pub struct OutboxState {
    phase: Phase,
    end: Option<EndReason>,
    max_bytes: usize,
    event_bytes: usize,
    signal_bytes: usize,
    control_bytes: usize,
    /// The frame of which a part has left: the rest goes before everything else.
    /// Boxed, like the close frame, because an idle connection has neither.
    carry: Option<Box<Taken>>,
    control: VecDeque<Frame>,
    events: VecDeque<Frame>,
    signals: SignalLane,
    close: Option<Box<Frame>>,
}

impl OutboxState {
    /// An empty outbox that holds at most so many bytes of events and signals.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            phase: Phase::Open,
            end: None,
            max_bytes,
            event_bytes: 0,
            signal_bytes: 0,
            control_bytes: 0,
            carry: None,
            control: VecDeque::new(),
            events: VecDeque::new(),
            signals: SignalLane::default(),
            close: None,
        }
    }

    /// Puts bytes before everything else: the HTTP response that opens the connection.
    pub(super) fn lead_with(&mut self, frame: Frame) {
        self.control_bytes += frame.len();
        self.carry = Some(Box::new(Taken {
            lane: Lane::Control,
            frame,
            offset: 0,
        }));
    }

    /// How far the outgoing side has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why the session ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<EndReason> {
        self.end
    }

    /// All that waits, in bytes on the wire.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.event_bytes + self.signal_bytes + self.control_bytes
    }

    /// Queues an event, at the cost of waiting signals if need be. An event that does not fit
    /// even so closes the outbox: better a resume from `since` than a gap.
    pub fn push_event(&mut self, frame: &Frame, sent: &mut Sent) -> Push {
        if self.phase != Phase::Open {
            sent.closed += 1;
            return Push::Closed;
        }
        if self.event_bytes + frame.len() > self.max_bytes {
            self.too_slow(sent);
            return Push::TooSlow;
        }
        self.event_bytes += frame.len();
        self.events.push_back(frame.clone());
        self.evict_signals(sent);
        sent.delivered += 1;
        Push::Queued
    }

    /// Puts events before those that wait.
    pub(super) fn lead_events(&mut self, frames: Vec<Frame>, sent: &mut Sent) {
        if self.phase != Phase::Open {
            sent.closed += frames.len() as u64;
            return;
        }
        for frame in frames.into_iter().rev() {
            self.event_bytes += frame.len();
            self.events.push_front(frame);
            sent.delivered += 1;
        }
        if self.event_bytes > self.max_bytes {
            self.too_slow(sent);
        } else {
            self.evict_signals(sent);
        }
    }

    /// Queues a signal. `stalled` says that the reader does not keep up: then it takes the place
    /// of the older one, as it does when there is no room to simply append it.
    pub fn push_signal(&mut self, key: SignalKey, frame: &Frame, stalled: bool, sent: &mut Sent) -> Push {
        if self.phase != Phase::Open {
            sent.closed += 1;
            return Push::Closed;
        }
        if !stalled && self.fits_appended(frame) {
            self.signal_bytes += frame.len();
            self.signals.append(Entry::One(key, frame.clone()));
            sent.delivered += 1;
            return Push::Queued;
        }
        self.settle(sent);
        if self.event_bytes + self.signal_bytes + frame.len() > self.max_bytes && !self.signals.contains(key)
        {
            sent.dropped += 1;
            return Push::Dropped;
        }
        self.signal_bytes += frame.len();
        let Some(older) = self.signals.replace_or_append(key, frame) else {
            sent.delivered += 1;
            return Push::Queued;
        };
        self.signal_bytes -= older;
        sent.conflated += 1;
        self.evict_signals(sent);
        Push::Conflated
    }

    /// Queues all signals of a fan-out at once, if they can simply be appended.
    pub(super) fn push_run(&mut self, run: &Arc<Run>, sent: &mut Sent) -> bool {
        if self.phase != Phase::Open || !self.fits_appended(&run.joined) {
            return false;
        }
        self.signal_bytes += run.joined.len();
        self.signals.append(Entry::Run(Arc::clone(run)));
        sent.delivered += run.signals.len() as u64;
        true
    }

    /// What waits for a reader that keeps up leaves within moments, so it is not searched for
    /// older signals: that would cost more than to send them.
    fn fits_appended(&self, frame: &Frame) -> bool {
        self.event_bytes + self.signal_bytes + frame.len() <= self.max_bytes
    }

    /// Drops the signals of a room that wait: whoever reads here is no longer in it.
    pub fn forget_signals(&mut self, room: u64, sent: &mut Sent) {
        let (dropped, bytes) = self.signals.forget(room);
        self.signal_bytes -= bytes;
        sent.dropped += dropped;
    }

    fn settle(&mut self, sent: &mut Sent) {
        let (conflated, bytes) = self.signals.settle();
        sent.conflated += conflated;
        self.signal_bytes -= bytes;
    }

    /// Queues a ping or pong, in the place of the oldest one if too many wait.
    pub fn push_control(&mut self, frame: Frame) -> Push {
        if self.phase != Phase::Open {
            return Push::Closed;
        }
        let mut push = Push::Queued;
        if self.control.len() == CONTROL_MAX_FRAMES
            && let Some(oldest) = self.control.pop_front()
        {
            self.control_bytes -= oldest.len();
            push = Push::Conflated;
        }
        self.control_bytes += frame.len();
        self.control.push_back(frame);
        push
    }

    /// Lets the queued events out, then this close frame. Only the first close counts.
    pub fn close(&mut self, end: EndReason, reason: CloseReason) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.phase = Phase::Closing;
        self.end = Some(end);
        self.signals.clear();
        self.signal_bytes = 0;
        let frame = reason.frame();
        self.control_bytes += frame.len();
        self.close = Some(Box::new(frame));
        true
    }

    /// Ends everything at once: the connection is no more.
    pub fn fail(&mut self, end: EndReason) {
        self.phase = Phase::Gone;
        self.end.get_or_insert(end);
        self.drop_queue();
        self.control.clear();
        self.carry = None;
        self.close = None;
        self.event_bytes = 0;
        self.control_bytes = 0;
    }

    /// The close frame has been written.
    pub fn close_sent(&mut self) {
        if self.phase == Phase::Closing {
            self.phase = Phase::CloseSent;
        }
    }

    /// Takes out what is to be written next, about `max_bytes` of it and at least one frame.
    /// Returns the number of bytes.
    pub fn take(&mut self, taken: &mut Vec<Taken>, max_bytes: usize) -> usize {
        let mut total = 0;
        if let Some(carry) = self.carry.take() {
            total += carry.bytes().len();
            taken.push(*carry);
        }
        let fits = |total: usize, frame: &Frame| total == 0 || total + frame.len() <= max_bytes;
        while self.control.front().is_some_and(|frame| fits(total, frame)) {
            let Some(frame) = self.control.pop_front() else {
                break;
            };
            total += frame.len();
            taken.push(Taken {
                lane: Lane::Control,
                frame,
                offset: 0,
            });
        }
        while self.events.front().is_some_and(|frame| fits(total, frame)) {
            let Some(frame) = self.events.pop_front() else {
                break;
            };
            total += frame.len();
            taken.push(Taken {
                lane: Lane::Event,
                frame,
                offset: 0,
            });
        }
        while self.signals.front().is_some_and(|frame| fits(total, frame)) {
            let Some(entry) = self.signals.pop() else {
                break;
            };
            total += entry.frame().len();
            taken.push(Taken::signals(entry));
        }
        if self.events.is_empty()
            && self.control.is_empty()
            && let Some(frame) = self.close.take()
        {
            total += frame.len();
            taken.push(Taken {
                lane: Lane::Close,
                frame: *frame,
                offset: 0,
            });
        }
        self.account_taken(taken);
        total
    }

    /// Puts back what did not leave: the first `written` bytes of `taken` did. A signal comes back
    /// only if no newer one took its place meanwhile.
    pub fn give_back(&mut self, taken: &mut Vec<Taken>, mut written: usize, sent: &mut Sent) {
        unfold(taken);
        self.settle(sent);
        let mut first = 0;
        while let Some(item) = taken.get_mut(first) {
            let len = item.bytes().len();
            if written < len {
                item.offset += written;
                break;
            }
            written -= len;
            first += 1;
        }
        let dropped_queue = self.end == Some(EndReason::Closed(CloseReason::TooSlow));
        for item in taken.drain(first..).rev() {
            let len = item.bytes().len();
            match item.lane {
                _ if self.phase == Phase::Gone => {}
                _ if item.offset > 0 => {
                    match item.lane {
                        Lane::Event | Lane::Signal(_) | Lane::Run(_) => self.event_bytes += len,
                        Lane::Control | Lane::Close => self.control_bytes += len,
                    }
                    self.carry = Some(Box::new(item));
                }
                Lane::Control => {
                    self.control_bytes += len;
                    self.control.push_front(item.frame);
                }
                Lane::Close => {
                    self.control_bytes += len;
                    self.close = Some(Box::new(item.frame));
                }
                Lane::Event if dropped_queue => {}
                Lane::Event => {
                    self.event_bytes += len;
                    self.events.push_front(item.frame);
                }
                Lane::Signal(_) | Lane::Run(_) if self.phase != Phase::Open => {}
                Lane::Run(_) => {}
                Lane::Signal(key) => {
                    if self.signals.contains(key) {
                        sent.conflated += 1;
                    } else {
                        self.signal_bytes += len;
                        self.signals.prepend(key, item.frame);
                    }
                }
            }
        }
        taken.clear();
        self.evict_signals(sent);
        if self.event_bytes > self.max_bytes && self.phase == Phase::Open {
            self.too_slow(sent);
        }
    }

    /// Gives the storage of empty queues back; called for connections that are idle.
    pub fn trim(&mut self) {
        if self.events.is_empty() && self.events.capacity() > 0 {
            self.events = VecDeque::new();
        }
        if self.control.is_empty() && self.control.capacity() > 0 {
            self.control = VecDeque::new();
        }
        self.signals.trim();
    }

    fn account_taken(&mut self, taken: &[Taken]) {
        for item in taken {
            let len = item.bytes().len();
            match &item.lane {
                Lane::Control | Lane::Close => self.control_bytes -= len,
                Lane::Event => self.event_bytes -= len,
                // A signal of which a part had left is counted with the events.
                Lane::Signal(_) if item.offset > 0 => self.event_bytes -= len,
                Lane::Signal(_) | Lane::Run(_) => self.signal_bytes -= len,
            }
        }
    }

    /// Drops the oldest signals until the rest fits beside the events.
    fn evict_signals(&mut self, sent: &mut Sent) {
        while self.event_bytes + self.signal_bytes > self.max_bytes {
            let Some(entry) = self.signals.pop() else {
                break;
            };
            self.signal_bytes -= entry.frame().len();
            sent.dropped += entry.count();
        }
    }

    fn too_slow(&mut self, sent: &mut Sent) {
        sent.too_slow += 1;
        self.drop_queue();
        self.event_bytes = match &self.carry {
            Some(item) if matches!(item.lane, Lane::Event | Lane::Signal(_)) => item.bytes().len(),
            _ => 0,
        };
        self.close(EndReason::Closed(CloseReason::TooSlow), CloseReason::TooSlow);
    }

    fn drop_queue(&mut self) {
        self.events = VecDeque::new();
        self.signals.clear();
        self.signal_bytes = 0;
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
