//! Tickets: who cannot send a header opens a WebSocket with one. Good for one use and a short time.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use parking_lot::Mutex;

use super::auth::Caller;
use crate::domain::time::Timestamp;

type Key = [u8; 32];

/// Why there is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Too many wait to be used: come back later.
    #[error("too many tickets are waiting to be used")]
    Full,
    /// The system has no randomness.
    #[error("no randomness")]
    Random,
    /// Not a ticket of ours, used already, or too old.
    #[error("the ticket is not valid: it was used, is too old, or never was one")]
    Invalid,
}

/// The tickets of this node that are not used yet.
#[derive(Debug)]
pub struct Tickets {
    ttl: Duration,
    max: usize,
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    callers: HashMap<Key, (Timestamp, Caller)>,
    by_end: BTreeSet<(Timestamp, Key)>,
}

impl Live {
    fn forget_expired(&mut self, now: Timestamp) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, key)) = self.by_end.pop_first() {
                self.callers.remove(&key);
            }
        }
    }
}

impl Tickets {
    /// None yet; at most `max` at once, each good for `ttl`.
    pub fn new(ttl: Duration, max: usize) -> Self {
        Self {
            ttl,
            max,
            live: Mutex::default(),
        }
    }

    /// A text that can be a ticket.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn draw() -> Result<String, TicketError> {
        let mut key = Key::default();
        getrandom::fill(&mut key).map_err(|_| TicketError::Random)?;
        Ok(hex::encode(key))
    }

    /// Whether `ticket` is one of this node's.
    pub fn knows(&self, ticket: &str) -> bool {
        let mut key = Key::default();
        hex::decode_to_slice(ticket, &mut key).is_ok() && self.live.lock().callers.contains_key(&key)
    }

    /// Takes over a ticket that was made elsewhere, to be redeemed at once.
    pub fn take_over(&self, ticket: &str, caller: Caller, now: Timestamp) {
        let mut key = Key::default();
        if hex::decode_to_slice(ticket, &mut key).is_ok() {
            let (mut live, end) = (self.live.lock(), now + self.ttl);
            live.forget_expired(now);
            live.callers.insert(key, (end, caller));
            live.by_end.insert((end, key));
        }
    }

    /// Makes a ticket for `caller`.
    ///
    /// # Errors
    /// `Full` when so many live ones are there.
    pub fn issue(&self, caller: Caller, now: Timestamp) -> Result<String, TicketError> {
        let mut key = Key::default();
        getrandom::fill(&mut key).map_err(|_| TicketError::Random)?;
        let mut live = self.live.lock();
        live.forget_expired(now);
        if live.callers.len() >= self.max {
            return Err(TicketError::Full);
        }
        let end = now + self.ttl;
        live.callers.insert(key, (end, caller));
        live.by_end.insert((end, key));
        Ok(hex::encode(key))
    }

    /// Whoever asked for `ticket`. It is used up by this.
    ///
    /// # Errors
    /// `Invalid` when it is not there (any more).
    pub fn redeem(&self, ticket: &str, now: Timestamp) -> Result<Caller, TicketError> {
        let mut key = Key::default();
        hex::decode_to_slice(ticket, &mut key).map_err(|_| TicketError::Invalid)?;
        let mut live = self.live.lock();
        let (end, caller) = live.callers.remove(&key).ok_or(TicketError::Invalid)?;
        live.by_end.remove(&(end, key));
        if end <= now {
            Err(TicketError::Invalid)
        } else {
            Ok(caller)
        }
    }

    /// How long a ticket is good.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How many are not used yet, expired ones that nobody asked for included.
    pub fn len(&self) -> usize {
        self.live.lock().callers.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DeviceId;
    use crate::domain::people::Identity;

    fn caller(n: u8) -> Caller {
        Caller::new(Identity::device(DeviceId::from_random([n; 16])), None)
    }

    fn s(at: i64) -> Timestamp {
        Timestamp::from_ms(at * 1000)
    }

    fn tickets(max: usize) -> Tickets {
        Tickets::new(Duration::from_secs(30), max)
    }

    #[test]
    fn a_ticket_is_good_once() {
        let tickets = tickets(10);
        let ticket = tickets.issue(caller(1), s(0)).unwrap();
        assert_eq!(tickets.redeem(&ticket, s(1)), Ok(caller(1)));
        assert_eq!(tickets.redeem(&ticket, s(1)), Err(TicketError::Invalid));
        assert!(tickets.is_empty());
    }

    #[test]
    fn a_ticket_is_good_for_a_short_time() {
        let tickets = tickets(10);
        let ticket = tickets.issue(caller(1), s(0)).unwrap();
        let other = tickets.issue(caller(2), s(0)).unwrap();
        assert!(tickets.redeem(&ticket, s(29)).is_ok());
        assert_eq!(tickets.redeem(&other, s(30)), Err(TicketError::Invalid));
    }

    #[test]
    fn full_of_live_tickets_is_refused_and_expired_ones_make_room() {
        let tickets = tickets(2);
        tickets.issue(caller(1), s(0)).unwrap();
        let second = tickets.issue(caller(2), s(10)).unwrap();
        assert_eq!(tickets.issue(caller(3), s(29)), Err(TicketError::Full));
        assert!(tickets.issue(caller(3), s(30)).is_ok());
        assert_eq!(tickets.len(), 2);
        assert_eq!(tickets.redeem(&second, s(31)), Ok(caller(2)));
    }

    #[test]
    fn one_that_was_made_elsewhere_is_good_once_too() {
        let (tickets, ticket) = (tickets(1), Tickets::draw().unwrap());
        tickets.issue(caller(1), s(0)).unwrap();
        assert!(!tickets.knows(&ticket));
        tickets.take_over(&ticket, caller(2), s(1));
        assert!(tickets.knows(&ticket));
        assert_eq!(tickets.redeem(&ticket, s(1)), Ok(caller(2)));
        assert_eq!(tickets.redeem(&ticket, s(1)), Err(TicketError::Invalid));
        tickets.take_over("no ticket", caller(2), s(1));
        assert_eq!(tickets.len(), 1);
    }

    #[test]
    fn what_never_was_a_ticket_is_refused() {
        for bad in ["", "zz", &"a".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert_eq!(tickets(1).redeem(bad, s(0)), Err(TicketError::Invalid));
        }
    }
}
