//! Whom a room speaks to.

use std::cell::RefCell;
use std::sync::Arc;

use super::hub::HubShared;
use super::outbox::Call;
use super::signals::Run;
use super::{Frame, Outbox, Sent, Signal};

/// Signals of one fan-out are joined into pieces of at most this size.
const RUN_MAX_BYTES: usize = 16 * 1024;

/// A member's place in an audience. Never reused, so an old token removes nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemberToken {
    place: u32,
    generation: u32,
}

/// Who does not get an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Except {
    /// Everybody gets it.
    Nobody,
    /// One connection does not.
    Member(MemberToken),
    /// No connection of one participant does.
    Origin(u64),
}

/// The outboxes that a room fans out to, grouped by worker: a fan-out locks each outbox once and
/// wakes each worker once.
#[derive(Debug, Default)]
pub struct Audience {
    groups: Vec<Group>,
    places: Vec<Place>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Group {
    /// `None` for outboxes without a socket.
    hub: Option<Arc<HubShared>>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    outbox: Arc<Outbox>,
    origin: u64,
    token: MemberToken,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    generation: u32,
    group: u32,
    index: u32,
}

thread_local! {
    /// Slots to call after a fan-out; kept so that a fan-out does not allocate.
    static CALLED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    /// Who the signals of a fan-out come from, sorted.
    static ORIGINS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Audience {
    /// An empty audience.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connection. `origin` names the participant behind it; several connections may share
    /// one.
    pub fn insert(&mut self, outbox: Arc<Outbox>, origin: u64) -> MemberToken {
        let group = self.group_of(&outbox);
        let index = as_u32(self.groups[group].members.len());
        let at = Place {
            generation: 0,
            group: as_u32(group),
            index,
        };
        let token = if let Some(place) = self.free.pop() {
            let generation = self.places[place as usize].generation;
            self.places[place as usize] = Place { generation, ..at };
            MemberToken { place, generation }
        } else {
            self.places.push(at);
            MemberToken {
                place: as_u32(self.places.len() - 1),
                generation: 0,
            }
        };
        self.groups[group].members.push(Member {
            outbox,
            origin,
            token,
        });
        self.len += 1;
        token
    }

    /// Removes a connection and hands its outbox back.
    pub fn remove(&mut self, token: MemberToken) -> Option<Arc<Outbox>> {
        let place = *self.place(token)?;
        let members = &mut self.groups[place.group as usize].members;
        let member = members.swap_remove(place.index as usize);
        if let Some(moved) = members.get(place.index as usize) {
            self.places[moved.token.place as usize].index = place.index;
        }
        self.places[token.place as usize].generation = token.generation.wrapping_add(1);
        self.free.push(token.place);
        self.len -= 1;
        Some(member.outbox)
    }

    /// A member's outbox.
    #[must_use]
    pub fn get(&self, token: MemberToken) -> Option<&Arc<Outbox>> {
        let place = self.place(token)?;
        let group = self.groups.get(place.group as usize)?;
        group
            .members
            .get(place.index as usize)
            .map(|member| &member.outbox)
    }

    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The members whose connection has ended, for a room that wants to forget them.
    pub fn ended(&self) -> impl Iterator<Item = MemberToken> {
        self.groups
            .iter()
            .flat_map(|group| &group.members)
            .filter(|member| !member.outbox.is_open())
            .map(|member| member.token)
    }

    /// Whether a writer still works on what was sent before. Who has signals that replace each
    /// other does well to gather them until it is done: replacing one here costs as much as there
    /// are members, replacing one before it is sent costs nothing.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let busy = |group: &Group| group.hub.as_ref().is_some_and(|hub| hub.is_behind());
        self.groups.iter().any(busy)
    }

    /// Sends an event to everybody but `except`.
    pub fn send_event(&self, frame: &Frame, except: Except) -> Sent {
        self.fan_out(Call::Urgent, |member, sent| {
            let skip = match except {
                Except::Nobody => false,
                Except::Member(token) => member.token == token,
                Except::Origin(origin) => member.origin == origin,
            };
            if skip {
                return false;
            }
            let mut cell = member.outbox.lock();
            cell.tally(sent, |state, sent| state.push_event(frame, sent));
            cell.ring(Call::Urgent)
        })
    }

    /// Sends signals to everybody but those they came from.
    pub fn send_signals(&self, signals: &[Signal]) -> Sent {
        let mut sent = Sent::default();
        // Joined signals leave together, so a run is no longer than one write.
        let mut rest = signals;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|signal| {
                bytes += signal.frame.len();
                bytes <= RUN_MAX_BYTES
            });
            let (some, more) = rest.split_at(fits.count().max(1));
            sent.add(&self.send_some(some));
            rest = more;
        }
        sent
    }

    fn send_some(&self, signals: &[Signal]) -> Sent {
        let run = (signals.len() > 1 && self.len > 1).then(|| Run::new(signals.iter()));
        ORIGINS.with_borrow_mut(|origins| {
            origins.clear();
            origins.extend(signals.iter().map(|signal| signal.origin));
            origins.sort_unstable();
            self.fan_out(Call::Calm, |member, sent| {
                let mut cell = member.outbox.lock();
                let stalled = cell.blocked;
                let before = (sent.delivered, sent.conflated);
                cell.tally(sent, |state, sent| {
                    if let Some(run) = &run
                        && !stalled
                        && origins.binary_search(&member.origin).is_err()
                        && state.push_run(run, sent)
                    {
                        return;
                    }
                    for signal in signals.iter().filter(|signal| signal.origin != member.origin) {
                        state.push_signal(signal.key, &signal.frame, stalled, sent);
                    }
                });
                before != (sent.delivered, sent.conflated) && cell.ring(Call::Calm)
            })
        })
    }

    /// Runs `push` for each member and calls the hubs of those for whom it says so.
    fn fan_out(&self, rank: Call, mut push: impl FnMut(&Member, &mut Sent) -> bool) -> Sent {
        let mut sent = Sent::default();
        CALLED.with_borrow_mut(|called| {
            for group in &self.groups {
                called.clear();
                for member in &group.members {
                    if push(member, &mut sent) {
                        called.push(member.outbox.slot());
                    }
                }
                if let Some(hub) = &group.hub {
                    hub.ring(called, rank == Call::Urgent);
                }
            }
        });
        sent.record();
        sent
    }

    fn place(&self, token: MemberToken) -> Option<&Place> {
        self.places
            .get(token.place as usize)
            .filter(|place| place.generation == token.generation)
    }

    fn group_of(&mut self, outbox: &Outbox) -> usize {
        let hub = outbox.hub();
        let same = |group: &Group| match (&group.hub, hub) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        self.groups.iter().position(same).unwrap_or_else(|| {
            self.groups.push(Group {
                hub: hub.cloned(),
                members: Vec::new(),
            });
            self.groups.len() - 1
        })
    }
}

fn as_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{CloseReason, SignalKey};

    fn signal(subject: u64, origin: u64, text: &str) -> Signal {
        Signal {
            key: SignalKey { room: 1, subject },
            origin,
            frame: Frame::text(text.as_bytes()),
        }
    }

    fn texts(outbox: &Outbox) -> Vec<String> {
        outbox
            .drain()
            .iter()
            .map(|frame| String::from_utf8_lossy(frame.payload()).into_owned())
            .collect()
    }

    #[test]
    fn an_event_reaches_everybody_but_the_one_excepted() {
        let mut audience = Audience::new();
        let outboxes: Vec<_> = (0..4).map(|_| Outbox::detached(1_000)).collect();
        let tokens: Vec<_> = outboxes
            .iter()
            .zip([1, 1, 2, 3])
            .map(|(outbox, origin)| audience.insert(Arc::clone(outbox), origin))
            .collect();
        let frame = Frame::text(b"e");
        assert_eq!(audience.send_event(&frame, Except::Nobody).delivered, 4);
        assert_eq!(audience.send_event(&frame, Except::Origin(1)).delivered, 2);
        assert_eq!(
            audience.send_event(&frame, Except::Member(tokens[3])).delivered,
            3
        );
        let got: Vec<_> = outboxes.iter().map(|outbox| outbox.drain().len()).collect();
        assert_eq!(got, [2, 2, 3, 2]);
    }

    #[test]
    fn nobody_gets_a_signal_of_his_own_and_everybody_the_newest() {
        let mut audience = Audience::new();
        let (a, b) = (Outbox::detached(1_000), Outbox::detached(1_000));
        audience.insert(Arc::clone(&a), 1);
        audience.insert(Arc::clone(&b), 2);
        audience.send_signals(&[signal(1, 1, "a1"), signal(2, 2, "b1")]);
        let sent = audience.send_signals(&[signal(1, 1, "a2"), signal(3, 3, "c1"), signal(3, 3, "c2")]);
        assert_eq!((sent.delivered, sent.conflated), (2, 3));
        assert_eq!(texts(&a), ["b1", "c2"]);
        assert_eq!(texts(&b), ["a2", "c2"]);
    }

    #[test]
    fn an_old_token_removes_nobody() {
        let mut audience = Audience::new();
        let outboxes: Vec<_> = (0..3).map(|_| Outbox::detached(1_000)).collect();
        let tokens: Vec<_> = outboxes
            .iter()
            .map(|outbox| audience.insert(Arc::clone(outbox), 1))
            .collect();
        assert!(audience.remove(tokens[0]).is_some());
        let again = audience.insert(Arc::clone(&outboxes[0]), 1);
        assert!(audience.remove(tokens[0]).is_none());
        assert!(Arc::ptr_eq(audience.get(again).unwrap(), &outboxes[0]));
        assert!(Arc::ptr_eq(audience.get(tokens[2]).unwrap(), &outboxes[2]));
        assert!(audience.remove(tokens[2]).is_some());
        assert!(audience.remove(tokens[1]).is_some());
        assert_eq!(audience.len(), 1);
        assert_eq!(
            audience.send_event(&Frame::text(b"e"), Except::Nobody).delivered,
            1
        );
    }

    #[test]
    fn a_closed_member_is_counted_and_named() {
        let mut audience = Audience::new();
        let outbox = Outbox::detached(1_000);
        let token = audience.insert(Arc::clone(&outbox), 1);
        outbox.push_event(&Frame::text(b"before"));
        assert!(outbox.close(CloseReason::Forbidden));
        assert!(!outbox.close(CloseReason::Normal));
        assert_eq!(
            audience.send_event(&Frame::text(b"late"), Except::Nobody).closed,
            1
        );
        assert_eq!(audience.send_signals(&[signal(1, 9, "late")]).closed, 1);
        assert_eq!(audience.ended().collect::<Vec<_>>(), [token]);
        let left = outbox.drain();
        assert_eq!(left, [Frame::text(b"before"), CloseReason::Forbidden.frame()]);
    }
}
