//! Whom a room speaks to.

use std::cell::RefCell;
use std::sync::Arc;

use super::hub::HubShared;
use super::outbox::Call;
use super::signals::Run;
use super::versions::{Mark, Own, Tongue, Versions};
use super::{Outbox, Sent, Signal};

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

/// Somebody who listens.
pub struct Listener {
    /// Where what they get is put.
    pub outbox: Arc<Outbox>,
    /// The participant behind it; several connections may share one.
    pub origin: u64,
    /// The version of everything that they get.
    pub tongue: Tongue,
    /// Makes their own version of events.
    pub own: Option<Arc<dyn Own>>,
}

/// The outboxes that a room fans out to, grouped by worker and tongue: a fan-out locks each outbox once and
/// wakes each worker once.
#[derive(Debug, Default)]
pub struct Audience {
    groups: Vec<Group>,
    places: Vec<Place>,
    free: Vec<u32>,
    len: usize,
}

struct Group {
    /// `None` for outboxes without a socket.
    hub: Option<Arc<HubShared>>,
    tongue: Tongue,
    members: Vec<Member>,
    /// Who makes the version of each member, beside them: empty where all get the same.
    owns: Vec<Arc<dyn Own>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("tongue", &self.tongue)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
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

    /// Adds a connection of the first tongue. `origin` names the participant behind it; several connections may
    /// share one.
    pub fn insert(&mut self, outbox: Arc<Outbox>, origin: u64) -> MemberToken {
        self.admit(Listener {
            outbox,
            origin,
            tongue: Tongue::default(),
            own: None,
        })
    }

    /// Adds a connection.
    pub fn admit(&mut self, listener: Listener) -> MemberToken {
        let group = self.group_of(&listener);
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
            outbox: listener.outbox,
            origin: listener.origin,
            token,
        });
        self.groups[group].owns.extend(listener.own);
        self.len += 1;
        token
    }

    /// Removes a connection and hands its outbox back.
    pub fn remove(&mut self, token: MemberToken) -> Option<Arc<Outbox>> {
        let place = *self.place(token)?;
        let group = &mut self.groups[place.group as usize];
        let member = group.members.swap_remove(place.index as usize);
        if !group.owns.is_empty() {
            group.owns.swap_remove(place.index as usize);
        }
        if let Some(moved) = group.members.get(place.index as usize) {
            self.places[moved.token.place as usize].index = place.index;
        }
        self.places[token.place as usize].generation = token.generation.wrapping_add(1);
        self.free.push(token.place);
        self.len -= 1;
        Some(member.outbox)
    }

    /// Whether anybody is there who hears this tongue.
    #[must_use]
    pub fn hears(&self, tongue: Tongue) -> bool {
        self.groups
            .iter()
            .any(|group| group.tongue == tongue && !group.members.is_empty())
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

    /// Sends news to everybody but `except`. With a mark it is an event of the log, of which some get a version of
    /// their own.
    pub fn send_event(&self, news: &Versions, mark: Option<Mark>, except: Except) -> Sent {
        self.fan_out(Call::Urgent, |group, at, member, sent| {
            let skip = match except {
                Except::Nobody => false,
                Except::Member(token) => member.token == token,
                Except::Origin(origin) => member.origin == origin,
            };
            let Some(frame) = news.get(group.tongue).filter(|_| !skip) else {
                return false;
            };
            let mut cell = member.outbox.lock();
            match group.owns.get(at).zip(mark) {
                // While the outbox is locked, so that what they are told last is what they get last.
                Some((own, mark)) => {
                    let frame = own.version(frame, mark);
                    cell.tally(sent, |state, sent| state.push_event(&frame, sent));
                }
                None => {
                    cell.tally(sent, |state, sent| state.push_event(frame, sent));
                }
            }
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
                bytes += signal.versions.len_max();
                bytes <= RUN_MAX_BYTES
            });
            let (some, more) = rest.split_at(fits.count().max(1));
            sent.add(&self.send_some(some));
            rest = more;
        }
        sent
    }

    fn send_some(&self, signals: &[Signal]) -> Sent {
        let joins = signals.len() > 1 && self.len > 1;
        let runs = Tongue::each(|tongue| {
            let told = || {
                signals
                    .iter()
                    .filter_map(|signal| Some((signal.key, signal.versions.get(tongue)?)))
            };
            (joins && self.hears(tongue) && told().nth(1).is_some()).then(|| Run::new(told()))
        });
        ORIGINS.with_borrow_mut(|origins| {
            origins.clear();
            origins.extend(signals.iter().map(|signal| signal.origin));
            origins.sort_unstable();
            self.fan_out(Call::Calm, |group, _, member, sent| {
                let mut cell = member.outbox.lock();
                let stalled = cell.blocked;
                let before = (sent.delivered, sent.conflated);
                cell.tally(sent, |state, sent| {
                    if let Some(run) = &runs[group.tongue.index()]
                        && !stalled
                        && origins.binary_search(&member.origin).is_err()
                        && state.push_run(run, sent)
                    {
                        return;
                    }
                    for signal in signals.iter().filter(|signal| signal.origin != member.origin) {
                        if let Some(frame) = signal.versions.get(group.tongue) {
                            state.push_signal(signal.key, frame, stalled, sent);
                        }
                    }
                });
                before != (sent.delivered, sent.conflated) && cell.ring(Call::Calm)
            })
        })
    }

    /// Runs `push` for each member and calls the hubs of those for whom it says so.
    fn fan_out(&self, rank: Call, mut push: impl FnMut(&Group, usize, &Member, &mut Sent) -> bool) -> Sent {
        let mut sent = Sent::default();
        CALLED.with_borrow_mut(|called| {
            for group in &self.groups {
                called.clear();
                for (at, member) in group.members.iter().enumerate() {
                    if push(group, at, member, &mut sent) {
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

    fn group_of(&mut self, listener: &Listener) -> usize {
        let hub = listener.outbox.hub();
        let same = |group: &Group| {
            let alike = group.tongue == listener.tongue && group.owns.is_empty() == listener.own.is_none();
            // One that was left by everybody takes whoever comes.
            let fits = alike || (group.members.is_empty() && group.tongue == listener.tongue);
            fits && match (&group.hub, hub) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            }
        };
        self.groups.iter().position(same).unwrap_or_else(|| {
            self.groups.push(Group {
                hub: hub.cloned(),
                tongue: listener.tongue,
                members: Vec::new(),
                owns: Vec::new(),
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
    use crate::delivery::{CloseReason, Frame, SignalKey};

    fn signal(subject: u64, origin: u64, text: &str) -> Signal {
        Signal {
            key: SignalKey { room: 1, subject },
            origin,
            versions: Frame::text(text.as_bytes()).into(),
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
        let frame = Versions::from(Frame::text(b"e"));
        assert_eq!(audience.send_event(&frame, None, Except::Nobody).delivered, 4);
        assert_eq!(audience.send_event(&frame, None, Except::Origin(1)).delivered, 2);
        assert_eq!(
            audience
                .send_event(&frame, None, Except::Member(tokens[3]))
                .delivered,
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
            audience
                .send_event(&Frame::text(b"e").into(), None, Except::Nobody)
                .delivered,
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
            audience
                .send_event(&Frame::text(b"late").into(), None, Except::Nobody)
                .closed,
            1
        );
        assert_eq!(audience.send_signals(&[signal(1, 9, "late")]).closed, 1);
        assert_eq!(audience.ended().collect::<Vec<_>>(), [token]);
        let left = outbox.drain();
        assert_eq!(left, [Frame::text(b"before"), CloseReason::Forbidden.frame()]);
    }
}
