//! The rules for positions: the newest wins by the fix's own time, a subject is broadcast at most once an
//! interval, and history keeps what is worth keeping.
//!
//! One [`Tracker`] holds one subject; [`Board`] holds the subjects of one shard. Processing a batch twice
//! changes nothing.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use super::geo::Fix;
use super::time::Timestamp;

/// The rules and their numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct LocationPolicy {
    /// At most one broadcast a subject in this time; zero: no limit.
    pub min_interval: Duration,
    /// History keeps a fix that is this far from the last kept one, in metres.
    pub keep_distance_m: f64,
    /// History keeps a fix that is this much later than the last kept one.
    pub keep_interval: Duration,
    /// A fix may be this far ahead of our clock; one further ahead is refused, or it would silence the
    /// subject until then.
    pub max_ahead: Duration,
    /// Faster than this, in m/s, nobody moves: a fix that says so counts when a second one agrees. 0: any fix does.
    pub max_speed_mps: f64,
}

impl Default for LocationPolicy {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_secs(1),
            keep_distance_m: 50.0,
            keep_interval: Duration::from_secs(15),
            max_ahead: Duration::from_secs(120),
            max_speed_mps: 0.0,
        }
    }
}

impl LocationPolicy {
    /// Whether somebody may have got from one fix to a later one, each as far off as it says it may be.
    fn plausible(&self, from: &Fix, to: &Fix) -> bool {
        if self.max_speed_mps <= 0.0 {
            return true;
        }
        let off = from.accuracy.unwrap_or(0.0) + to.accuracy.unwrap_or(0.0);
        let seconds = to.at.since(from.at).as_secs_f64().max(1.0);
        from.position.distance_m(to.position) - off <= self.max_speed_mps * seconds
    }

    /// Whether history keeps `fix`, when `last` is the kept one before it.
    pub fn keeps(&self, last: Option<&Fix>, fix: &Fix) -> bool {
        last.is_none_or(|last| {
            fix.at.since(last.at) >= self.keep_interval
                || last.position.distance_m(fix.position) >= self.keep_distance_m
        })
    }
}

/// What became of an offered fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Broadcast it now.
    Now,
    /// It waits for the interval to pass; a newer one will take its place.
    Waits,
    /// Not newer than what is known: at most history.
    Old,
    /// Nobody moves so fast: it counts when a second one agrees with it.
    Doubtful,
}

/// One subject's newest fix and when it may be broadcast again.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    newest: Option<Fix>,
    /// Newer, and too far from the newest to be believed by itself.
    doubtful: Option<Box<Fix>>,
    sent_at: Option<Timestamp>,
    waiting: bool,
}

impl Tracker {
    /// Takes a fix that arrives at `now`.
    pub fn offer(&mut self, policy: &LocationPolicy, now: Timestamp, fix: Fix) -> Offer {
        if self.newest.is_some_and(|newest| fix.at <= newest.at) {
            return Offer::Old;
        }
        if self.newest.is_some_and(|newest| !policy.plausible(&newest, &fix)) {
            let agrees = |doubtful: &Fix| doubtful.at < fix.at && policy.plausible(doubtful, &fix);
            if !self.doubtful.as_deref().is_some_and(agrees) {
                self.doubtful = Some(Box::new(fix));
                return Offer::Doubtful;
            }
        }
        self.doubtful = None;
        self.newest = Some(fix);
        if self.waiting {
            return Offer::Waits;
        }
        // A clock that stepped back must not silence anybody: then `sent_at` lies ahead of `now`.
        let quiet = self
            .sent_at
            .is_none_or(|sent| now < sent || now.since(sent) >= policy.min_interval);
        if quiet {
            self.sent_at = Some(now);
            return Offer::Now;
        }
        self.waiting = true;
        Offer::Waits
    }

    /// When the waiting fix may go.
    pub fn due_at(&self, policy: &LocationPolicy) -> Option<Timestamp> {
        if self.waiting {
            self.sent_at.map(|sent| sent + policy.min_interval)
        } else {
            None
        }
    }

    /// Takes the waiting fix; it counts as broadcast at `now`.
    pub fn take(&mut self, now: Timestamp) -> Option<Fix> {
        if !std::mem::take(&mut self.waiting) {
            return None;
        }
        self.sent_at = Some(now);
        self.newest
    }

    /// The newest fix.
    pub fn newest(&self) -> Option<&Fix> {
        self.newest.as_ref()
    }
}

struct Entry<T> {
    tracker: Tracker,
    targets: T,
    touched: Timestamp,
}

/// A fix that is to be broadcast, with whatever its subject's latest upload was meant for.
#[derive(Clone, Debug, PartialEq)]
pub struct Due<S, T> {
    /// Who moved.
    pub subject: S,
    /// Where to.
    pub fix: Fix,
    /// The rooms concerned.
    pub targets: T,
}

/// The subjects of one shard. `S` names a subject, `T` says where its positions go.
pub struct Board<S, T> {
    policy: LocationPolicy,
    subjects: HashMap<S, Entry<T>>,
    waiting: BTreeSet<(Timestamp, S)>,
    subjects_max: usize,
}

impl<S: Clone + Eq + Hash + Ord, T: Clone> Board<S, T> {
    /// An empty board that remembers at most `subjects_max` subjects.
    pub fn new(policy: LocationPolicy, subjects_max: usize) -> Self {
        Self {
            policy,
            subjects: HashMap::new(),
            waiting: BTreeSet::new(),
            subjects_max,
        }
    }

    /// The rules it goes by.
    pub fn policy(&self) -> &LocationPolicy {
        &self.policy
    }

    /// Takes a fix that arrives at `now` and is meant for `targets`.
    pub fn offer(&mut self, now: Timestamp, subject: &S, fix: Fix, targets: T) -> Offer {
        if self.subjects.len() >= self.subjects_max && !self.subjects.contains_key(subject) {
            self.forget_quiet(now);
        }
        let entry = self.subjects.entry(subject.clone()).or_insert_with(|| Entry {
            tracker: Tracker::default(),
            targets: targets.clone(),
            touched: now,
        });
        entry.touched = now;
        let was_waiting = entry.tracker.due_at(&self.policy).is_some();
        let offer = entry.tracker.offer(&self.policy, now, fix);
        if !matches!(offer, Offer::Old | Offer::Doubtful) {
            entry.targets = targets;
        }
        if let (Offer::Waits, false, Some(at)) = (offer, was_waiting, entry.tracker.due_at(&self.policy)) {
            self.waiting.insert((at, subject.clone()));
        }
        offer
    }

    /// When the next waiting fix may go.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// Forgets a subject, and the fix of theirs that waits.
    pub fn forget(&mut self, subject: &S) {
        if let Some(entry) = self.subjects.remove(subject)
            && let Some(at) = entry.tracker.due_at(&self.policy)
        {
            self.waiting.remove(&(at, subject.clone()));
        }
    }

    /// How many fixes wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many subjects are remembered.
    pub fn subjects(&self) -> usize {
        self.subjects.len()
    }

    /// Takes what may go at `now`, at most `max` fixes.
    pub fn due(&mut self, now: Timestamp, max: usize) -> Vec<Due<S, T>> {
        let mut out = Vec::new();
        while out.len() < max && self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, subject)) = self.waiting.pop_first() else {
                break;
            };
            let Some(entry) = self.subjects.get_mut(&subject) else {
                continue;
            };
            if let Some(fix) = entry.tracker.take(now) {
                out.push(Due {
                    targets: entry.targets.clone(),
                    subject,
                    fix,
                });
            }
        }
        out
    }

    /// The newest fix known of a subject.
    pub fn newest(&self, subject: &S) -> Option<&Fix> {
        self.subjects
            .get(subject)
            .and_then(|entry| entry.tracker.newest())
    }

    /// Forgets subjects that have nothing waiting and were quiet for a minute, or, if there are none,
    /// half of those with nothing waiting. A forgotten subject's rooms still know its newest fix.
    fn forget_quiet(&mut self, now: Timestamp) {
        let policy = &self.policy;
        let horizon = now.before(Duration::from_secs(60));
        self.subjects
            .retain(|_, e| e.tracker.due_at(policy).is_some() || e.touched > horizon);
        if self.subjects.len() >= self.subjects_max {
            let mut keep = true;
            self.subjects.retain(|_, e| {
                let waits = e.tracker.due_at(policy).is_some();
                if !waits {
                    keep = !keep;
                }
                waits || keep
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geo::Position;
    use proptest::prelude::*;

    fn fix(at: i64) -> Fix {
        Fix::new(Position::new(14.0, 121.0).unwrap(), Timestamp::from_ms(at))
    }

    fn ms(at: i64) -> Timestamp {
        Timestamp::from_ms(at)
    }

    #[test]
    fn the_first_fix_after_a_quiet_second_goes_at_once_and_then_only_the_newest() {
        let mut board = Board::new(LocationPolicy::default(), 10);
        assert_eq!(board.offer(ms(10_000), &1, fix(1), ()), Offer::Now);
        assert_eq!(board.offer(ms(10_100), &1, fix(2), ()), Offer::Waits);
        assert_eq!(board.offer(ms(10_200), &1, fix(3), ()), Offer::Waits);
        assert_eq!(board.next_deadline(), Some(ms(11_000)));
        assert!(board.due(ms(10_999), 10).is_empty());
        assert_eq!(
            board.due(ms(11_000), 10),
            [Due {
                subject: 1,
                fix: fix(3),
                targets: ()
            }]
        );
        assert_eq!(board.offer(ms(12_000), &1, fix(4), ()), Offer::Now);
    }

    #[test]
    fn what_was_queued_offline_moves_nobody_back() {
        let mut board = Board::new(LocationPolicy::default(), 10);
        board.offer(ms(0), &1, fix(5_000), ());
        assert_eq!(board.offer(ms(5_000), &1, fix(4_999), ()), Offer::Old);
        assert_eq!(board.offer(ms(5_000), &1, fix(5_000), ()), Offer::Old);
        assert_eq!(board.newest(&1).unwrap().at, ms(5_000));
    }

    #[test]
    fn a_jump_that_nobody_can_make_counts_when_a_second_fix_agrees() {
        let policy = LocationPolicy {
            max_speed_mps: 350.0,
            ..LocationPolicy::default()
        };
        let at = |north_m: f64, s: i64| Fix {
            position: Position::new(14.0 + north_m / 111_195.0, 121.0).unwrap(),
            ..fix(s * 1_000)
        };
        let mut board = Board::new(policy, 10);
        let mut offer = |fix: Fix| board.offer(fix.at, &1, fix, ());
        assert_eq!(offer(at(0.0, 0)), Offer::Now);
        // One reflection off a tower, and back.
        assert_eq!(offer(at(50_000.0, 2)), Offer::Doubtful);
        assert_eq!(offer(at(30.0, 4)), Offer::Now);
        // What two say is so: they were flown here.
        assert_eq!(offer(at(90_000.0, 6)), Offer::Doubtful);
        assert_eq!(
            offer(at(90_000.0, 6)),
            Offer::Doubtful,
            "the same one agrees with nothing"
        );
        assert_eq!(offer(at(90_100.0, 8)), Offer::Now);
        // An aeroplane, an hour without a fix, and a fix that admits how far off it may be.
        assert_eq!(offer(at(90_600.0, 10)), Offer::Now);
        assert_eq!(offer(at(900_000.0, 3_610)), Offer::Now);
        let vague = Fix {
            accuracy: Some(60_000.0),
            ..at(850_000.0, 3_612)
        };
        assert_eq!(offer(vague), Offer::Now);
        assert_eq!(board.newest(&1).unwrap().at, ms(3_612_000));
    }

    #[test]
    fn every_jump_counts_by_default() {
        let mut board = Board::new(LocationPolicy::default(), 10);
        let far = Fix {
            position: Position::new(-14.0, -121.0).unwrap(),
            ..fix(2)
        };
        assert_eq!(board.offer(ms(1), &1, fix(1), ()), Offer::Now);
        assert_eq!(board.offer(ms(2_000), &1, far, ()), Offer::Now);
    }

    #[test]
    fn a_clock_that_steps_back_silences_nobody() {
        let mut board = Board::new(LocationPolicy::default(), 10);
        board.offer(ms(1_000_000), &1, fix(1), ());
        assert_eq!(board.offer(ms(10), &1, fix(2), ()), Offer::Now);
    }

    #[test]
    fn memory_is_bounded_and_a_waiting_fix_is_never_forgotten() {
        let mut board = Board::new(LocationPolicy::default(), 8);
        for subject in 0..4 {
            board.offer(ms(0), &subject, fix(1), ());
            board.offer(ms(1), &subject, fix(2), ());
        }
        for subject in 4..1_000 {
            board.offer(ms(2), &subject, fix(1), ());
            assert!(board.subjects() <= 8);
        }
        assert_eq!(board.due(ms(1_001), 100).len(), 4);
    }

    #[test]
    fn history_keeps_by_distance_or_by_time() {
        let policy = LocationPolicy::default();
        let here = fix(0);
        let near = Fix {
            at: ms(14_999),
            ..here
        };
        let later = Fix {
            at: ms(15_000),
            ..here
        };
        let far = Fix {
            position: Position::new(14.0005, 121.0).unwrap(),
            at: ms(1),
            ..here
        };
        assert!(policy.keeps(None, &here));
        assert!(!policy.keeps(Some(&here), &near));
        assert!(policy.keeps(Some(&here), &later));
        assert!(policy.keeps(Some(&here), &far));
    }

    #[test]
    fn whoever_is_forgotten_has_nothing_waiting_and_begins_anew() {
        let mut board = Board::new(LocationPolicy::default(), 100);
        assert_eq!(board.offer(ms(1_000), &1, fix(1_000), ()), Offer::Now);
        assert_eq!(board.offer(ms(1_100), &1, fix(1_100), ()), Offer::Waits);
        assert_eq!(board.offer(ms(1_100), &2, fix(1_100), ()), Offer::Now);
        board.forget(&1);
        board.forget(&3);
        assert_eq!((board.waiting(), board.subjects()), (0, 1));
        assert!(board.due(ms(9_000), 10).is_empty());
        assert_eq!(board.newest(&1), None);
        assert_eq!(board.offer(ms(9_000), &1, fix(500), ()), Offer::Now);
    }

    proptest! {
        /// However uploads arrive: broadcasts of a subject are at least an interval apart, their fix times
        /// only rise, the newest fix is always broadcast in the end, and a second pass of the same uploads
        /// broadcasts nothing.
        #[test]
        fn broadcasts_are_spaced_ordered_complete_and_idempotent(
            steps in proptest::collection::vec((0u8..3, 0i64..400, 0i64..5_000), 1..200)
        ) {
            let policy = LocationPolicy::default();
            let mut board = Board::new(policy.clone(), 100);
            let mut now = 1_000_000;
            let mut sent: HashMap<u8, Vec<(i64, i64)>> = HashMap::new();
            let mut newest: HashMap<u8, i64> = HashMap::new();
            for (subject, wait, at) in &steps {
                now += wait;
                for due in board.due(ms(now), 10) {
                    sent.entry(due.subject).or_default().push((now, due.fix.at.ms()));
                }
                if board.offer(ms(now), subject, fix(*at), ()) == Offer::Now {
                    sent.entry(*subject).or_default().push((now, *at));
                }
                let top = newest.entry(*subject).or_insert(*at);
                *top = (*top).max(*at);
            }
            now += 1_000;
            for due in board.due(ms(now), 10) {
                sent.entry(due.subject).or_default().push((now, due.fix.at.ms()));
            }
            for (subject, list) in &sent {
                prop_assert!(list.windows(2).all(|w| w[1].0 - w[0].0 >= 1_000 && w[1].1 > w[0].1));
                prop_assert_eq!(list.last().unwrap().1, newest[subject]);
            }
            prop_assert_eq!(sent.len(), newest.len());
            for (subject, _, at) in &steps {
                prop_assert_eq!(board.offer(ms(now + 5_000), subject, fix(*at), ()), Offer::Old);
            }
            prop_assert_eq!(board.waiting(), 0);
        }
    }
}
