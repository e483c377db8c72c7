//! What leaves a session: over its socket, in the answer to a poll, and at its end.

use std::collections::VecDeque;

use super::super::effect::{Effect, End, Event, PollId, SocketId};
use super::super::packet::Frame;
use super::super::payload;
use super::{Candidate, Carrier, Life, Session};

impl Session {
    /// The candidate takes over: a poll that still waits ends, and what waits goes over the socket.
    pub(super) fn upgrade(&mut self, socket: SocketId) {
        self.candidate = None;
        if let Carrier::Polling(Some(poll)) = self.carrier {
            let body = payload::encode([&Frame::NOOP]);
            self.effects.push(Effect::Answer { poll, body });
        }
        self.carrier = Carrier::Socket(socket);
        self.effects.push(Effect::Event(Event::Upgraded(socket)));
        self.flush();
    }

    pub(super) fn drop_candidate(&mut self) {
        if let Some(Candidate { socket, .. }) = self.candidate.take() {
            self.effects.push(Effect::HangUp { socket });
        }
    }

    /// Lets go what waits, as far as something can take it.
    pub(super) fn flush(&mut self) {
        match self.carrier {
            _ if self.life == Life::Closed => {}
            Carrier::Socket(socket) => {
                self.waiting_bytes = 0;
                let waiting = std::mem::take(&mut self.waiting);
                let sends = waiting.into_iter().map(|frame| Effect::Send { socket, frame });
                self.effects.extend(sends);
                if self.life != Life::Open {
                    self.finish(End::Server);
                }
            }
            Carrier::Polling(Some(poll)) => {
                let probed = self.candidate.is_some_and(|candidate| candidate.probed);
                if probed || !self.waiting.is_empty() || self.life != Life::Open {
                    self.answer(poll);
                }
            }
            Carrier::Polling(None) => {}
        }
    }

    /// Answers a poll with what waits, as much as fits.
    fn answer(&mut self, poll: PollId) {
        let max = self.settings.max_payload_bytes;
        if self.life != Life::Open && self.waiting_bytes <= max {
            return self.finish(End::Server);
        }
        let (mut frames, mut length) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front() {
            let bytes = payload::length(next);
            length += bytes + usize::from(!frames.is_empty());
            if !frames.is_empty() && length > max {
                break;
            }
            self.waiting_bytes -= bytes;
            frames.extend(self.waiting.pop_front());
        }
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        if frames.is_empty() {
            frames.push(Frame::NOOP);
        }
        self.carrier = Carrier::Polling(None);
        let body = payload::encode(&frames);
        self.effects.push(Effect::Answer { poll, body });
    }

    /// The end, at once. A poll that waits gets what waits for it and is told, or just ended when it is the client's
    /// own wish.
    pub(super) fn finish(&mut self, end: End) {
        if self.life == Life::Closed {
            return;
        }
        self.life = Life::Closed;
        self.drop_candidate();
        let mut waiting = std::mem::take(&mut self.waiting);
        match std::mem::replace(&mut self.carrier, Carrier::Polling(None)) {
            Carrier::Polling(Some(poll)) => {
                if end != End::Client {
                    waiting.push_back(Frame::CLOSE);
                } else if waiting.is_empty() {
                    waiting.push_back(Frame::NOOP);
                }
                let body = payload::encode(&waiting);
                self.effects.push(Effect::Answer { poll, body });
            }
            Carrier::Socket(socket) if end != End::SocketGone => {
                self.effects.push(Effect::HangUp { socket });
            }
            _ => {}
        }
        self.waiting_bytes = 0;
        self.effects.push(Effect::Event(Event::Closed(end)));
    }
}
