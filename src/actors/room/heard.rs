//! What other nodes did in this room: heard of by hints, read from the store when something is missing.
//!
//! A room that lives is subscribed to, so that it hears what others write. That alone does not make its memory right:
//! hints are late, and may be lost. So the room looks for the end of its log in the store before it answers a question
//! or refuses anything (commands that are carried out need no look: the append fails when somebody else was first);
//! when it finds a gap; when it hears that something was missed; and before everything while the bus is away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use tokio::sync::OwnedSemaphorePermit;

use super::actor::RoomActor;
use super::elsewhere::Elsewhere;
use super::messages::{Look, Work};
use super::seats::Phase;
use super::steps::{Kind, Step};
use crate::actors::cluster::Counts;
use crate::actors::error::CommandError;
use crate::bus::{Health, News, Topic};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{ContactBook, Person};
use crate::domain::room::{Command, Event, EventBody, Rejection, RoomKind, Seq};
use crate::store::StoreError;

/// When a look that failed is tried again, if something is known to be missing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Events in one message to the other nodes.
const TOGETHER: usize = 64;
/// For so long after another node has written, this one gives way between its own batches.
const CONTENDED: Duration = Duration::from_secs(2);
/// The longest that it gives way.
const GIVE_WAY_MAX: Duration = Duration::from_millis(50);

type Ctx = Context<RoomActor>;

/// Whether what others say of the room is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ear {
    /// It need not be: there is no room, or nobody has asked for it since it was made here.
    Deaf,
    /// Not yet.
    Asked,
    /// It is.
    Open,
}

/// What a room knows of being on other nodes, too.
pub(super) struct Remote {
    pub ear: Ear,
    /// Events that cannot be applied yet: one before them is missing, or a batch is being written.
    waiting: BTreeMap<Seq, Event>,
    people: Vec<Person>,
    /// So many at the front of the queue came before the last look: what the room knows is good enough for them.
    pub sure: usize,
    /// Something is known to be missing.
    pub look_due: bool,
    /// It waits for its turn to look.
    in_line: bool,
    /// A look that failed is tried again.
    looking_again: bool,
    /// When it looked last.
    looked: Instant,
    /// When it asked the others last, unprompted, who is there.
    asked: Instant,
    /// Records and contacts are to be read anew as well.
    thorough: bool,
    pub elsewhere: Elsewhere,
    /// The SOS that contacts who are connected here were alerted of.
    pub alerted: Option<RoomId>,
    /// The strangers of whose request the owner's connections to this node were told.
    pub told_of: BTreeSet<ParticipantId>,
    /// What linked rooms are to be told is told from here.
    pub drives: bool,
    /// It is, if nobody else has done it soon.
    pub drives_soon: bool,
    /// Another node wrote last so long ago.
    contended: Option<Instant>,
    /// The next batch is not decided before this.
    hold: Option<Instant>,
    holding: bool,
}

impl Remote {
    pub fn new() -> Self {
        Self {
            ear: Ear::Deaf,
            waiting: BTreeMap::new(),
            people: Vec::new(),
            sure: 0,
            look_due: false,
            in_line: false,
            looking_again: false,
            looked: Instant::now(),
            asked: Instant::now(),
            thorough: false,
            elsewhere: Elsewhere::default(),
            alerted: None,
            told_of: BTreeSet::new(),
            drives: false,
            drives_soon: false,
            contended: None,
            hold: None,
            holding: false,
        }
    }

    /// Another node writes here, too.
    pub fn contend(&mut self) {
        self.contended = Some(Instant::now());
    }

    /// A batch of this node is on disk, after `took`. Whoever was first would be first for ever: the others hear of it
    /// later than it could have written again. So between two batches it waits a random part of what one takes.
    pub fn land(&mut self, took: Duration) {
        let contended = self.contended.is_some_and(|at| at.elapsed() < CONTENDED);
        let part = f64::from(u32::from_be_bytes(crate::actors::clock::random())) / f64::from(u32::MAX);
        let wait = took.saturating_mul(2).min(GIVE_WAY_MAX).mul_f64(part);
        self.hold = contended.then(|| Instant::now() + wait);
    }
}

/// What a look found.
struct Found {
    events: Vec<Event>,
    people: Vec<Person>,
    /// The records of those whom the room knew, and its owner's contacts.
    records: Option<(Vec<ParticipantId>, Vec<Person>)>,
    contacts: Option<ContactBook>,
    more: bool,
}

impl RoomActor {
    /// Takes what other nodes said, and what the bus did.
    pub(super) fn hark(&mut self, ctx: &mut Ctx) {
        if !self.shared.is_called() {
            return;
        }
        let inbox = self.shared.take_inbox();
        if inbox.listening {
            // What was said before was not heard. Somebody who has listened before has been away.
            self.remote.thorough |= self.remote.ear == Ear::Open;
            self.remote.ear = Ear::Open;
            self.remote.look_due = true;
            self.say_presence(true);
        }
        if inbox.census {
            self.census();
            self.mind_links(ctx);
        }
        for (from, news) in inbox.news {
            match news {
                News::Events { events, people, .. } => self.hear_events(events, people, ctx),
                News::Positions { fixes, .. } => self.hear_positions(fixes, ctx),
                News::Presence {
                    changes, whole, asks, ..
                } => self.hear_presence(from, &changes, whole, asks),
                News::Typing { who, on, name, .. } => self.say_typing(who, on, name.as_deref()),
                _ => {}
            }
        }
        if inbox.missed {
            self.remote.thorough = true;
            self.remote.look_due = true;
            self.say_presence(true);
        }
        if self.remote.look_due && self.phase == Phase::Ready {
            self.pump(ctx);
        }
        self.arm(ctx);
    }

    /// Whether the next batch waits so that other nodes get their turn.
    pub(super) fn gives_way(&mut self, ctx: &mut Ctx) -> bool {
        let left = self
            .remote
            .hold
            .and_then(|at| at.checked_duration_since(Instant::now()));
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            self.remote.hold = None;
            return false;
        };
        if !std::mem::replace(&mut self.remote.holding, true) {
            ctx.run_later(left, |act, ctx| {
                act.remote.holding = false;
                act.pump(ctx);
            });
        }
        true
    }

    /// Listens to what other nodes say of the room.
    pub(super) fn listen_to_others(&mut self) {
        if self.clustered && self.remote.ear == Ear::Deaf && self.core.durable() > Seq::ZERO {
            self.remote.ear = Ear::Asked;
            self.node.bus.subscribe(Topic::Room(self.id.clone()));
        }
    }

    /// Listens no more.
    pub(super) fn leave_others(&mut self) {
        if self.remote.ear != Ear::Deaf {
            self.remote.ear = Ear::Deaf;
            self.node.bus.unsubscribe(&Topic::Room(self.id.clone()));
        }
    }

    /// Listens to the others from now on, unless what is asked is only what this node knows: an incident that is
    /// raised and shown to whoever raised it costs no more than that.
    pub(super) fn listen_for(&mut self, work: &Work) {
        if !matches!(work, Work::Look(Look::View { known: true, .. })) {
            self.listen_to_others();
        }
    }

    /// Whether others may write without this node hearing of it.
    fn is_blind(&self) -> bool {
        self.remote.ear != Ear::Open || self.node.bus.health() != Health::Connected
    }

    /// Whether the room must look before it does this.
    pub(super) fn wants_look(&self, work: &Work) -> bool {
        if !self.clustered || self.remote.sure > 0 {
            return false;
        }
        match work {
            Work::Act(act) => {
                let ahead = act.since.is_some_and(|since| since > self.core.state.seq);
                !matches!(act.command, Command::Create { .. }) && (ahead || self.is_blind())
            }
            Work::Look(Look::View { known, .. }) => !known,
            Work::Look(Look::Glance(..) | Look::Emergency(_)) => true,
            Work::Look(Look::Users(_) | Look::Broadcaster(..))
            | Work::Admit { .. }
            | Work::Call
            | Work::Concerns(_) => self.is_blind(),
            Work::Look(Look::LinksSettled(_) | Look::Typing { .. })
            | Work::LinkEnded(_)
            | Work::Contacts(_) => false,
        }
    }

    /// Whether a step did nothing, perhaps because the room does not know what others did: it looks, and decides
    /// again.
    pub(super) fn is_doubtful(&self, step: &Step) -> bool {
        if !self.clustered {
            return false;
        }
        match &step.kind {
            Kind::Acted { result, .. } => match result {
                Ok(decided) => decided.events.is_empty(),
                // These stay as they are, whatever others did.
                Err(Rejection::SentBefore { .. } | Rejection::AlreadyExists | Rejection::OutOfScope(_)) => {
                    false
                }
                Err(_) => true,
            },
            // The incident may have ended: then the linked room must hear that, too.
            Kind::Admitted { link, events, .. } => link.is_some() && events.is_empty(),
            _ => false,
        }
    }

    /// Reads the end of the log when it is the room's turn. Nobody waits for that, and whoever comes meanwhile makes
    /// it look at once.
    pub(super) fn look_in_turn(&mut self, ctx: &mut Ctx) {
        if std::mem::replace(&mut self.remote.in_line, true) {
            return;
        }
        let node = Arc::clone(&self.node);
        let turn = async move { node.cluster.turn_to_look().await };
        ctx.spawn(turn.into_actor(self).map(|turn, act, ctx| {
            act.remote.in_line = false;
            if act.remote.look_due && act.phase == Phase::Ready {
                act.read_end(turn, ctx);
            }
        }));
    }

    /// Reads the end of the log.
    pub(super) fn look(&mut self, ctx: &mut Ctx) {
        self.read_end(None, ctx);
    }

    fn read_end(&mut self, turn: Option<OwnedSemaphorePermit>, ctx: &mut Ctx) {
        self.remote.look_due = false;
        self.remote.looked = Instant::now();
        self.enter_phase(Phase::Looking);
        let asked = self.queue.len();
        let thorough = std::mem::take(&mut self.remote.thorough);
        let (node, id, after) = (Arc::clone(&self.node), self.id.clone(), self.core.state.seq);
        let known: Vec<ParticipantId> = if thorough {
            self.core.people.all().map(|person| person.participant).collect()
        } else {
            vec![]
        };
        let circle = self.core.state.kind == Some(RoomKind::Circle);
        let owner = self.core.owner().filter(|_| thorough && circle);
        let owner = owner.map(|owner| owner.subject.clone());
        let settings = self.node.settings.cluster.clone();
        let read = async move {
            let counts = &node.cluster.counts;
            Counts::add(&counts.looks, 1);
            let _turn = turn;
            let reading = async {
                let events = node.store.events(&id, after, settings.look_page).await?;
                let named = named(&events);
                let people = if named.is_empty() {
                    vec![]
                } else {
                    node.store.people(&id, &named).await?
                };
                let records = if known.is_empty() {
                    None
                } else {
                    let records = node.store.people(&id, &known).await?;
                    Some((known, records))
                };
                let contacts = match owner {
                    Some(owner) => Some(node.store.contacts(&owner).await?),
                    None => None,
                };
                let more = events.len() >= settings.look_page;
                Ok(Found {
                    events,
                    people,
                    records,
                    contacts,
                    more,
                })
            };
            let timely = tokio::time::timeout(settings.look_timeout, reading).await;
            timely.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".into())))
        };
        let read = read.into_actor(self);
        ctx.spawn(read.map(move |found, act, ctx| act.looked(asked, thorough, found, ctx)));
    }

    fn looked(&mut self, asked: usize, thorough: bool, found: Result<Found, StoreError>, ctx: &mut Ctx) {
        self.enter_phase(Phase::Ready);
        match found {
            Ok(found) => {
                if !found.events.is_empty() {
                    let counts = &self.node.cluster.counts;
                    Counts::add(&counts.repaired, 1);
                    Counts::add(&counts.repaired_events, found.events.len());
                }
                if let Some((known, records)) = found.records {
                    self.compare_records(&known, &records);
                }
                self.take_in(found.events, found.people, ctx);
                if let Some(book) = found.contacts {
                    self.contacts_changed(&Arc::new(book));
                }
                self.take_waiting(ctx);
                if found.more {
                    self.remote.look_due = true;
                } else {
                    self.remote.sure = asked;
                }
            }
            Err(error) => {
                Counts::add(&self.node.cluster.counts.looks_failed, 1);
                tracing::warn!(room = %self.id, %error, "could not see whether the room is up to date");
                self.remote.thorough |= thorough;
                self.unseen(asked, &error);
                if !std::mem::replace(&mut self.remote.looking_again, true) {
                    ctx.run_later(LOOK_AGAIN, |act, ctx| {
                        act.remote.looking_again = false;
                        act.remote.look_due = true;
                        act.pump(ctx);
                    });
                }
            }
        }
        if self.is_stale() {
            self.read_again(ctx);
            return;
        }
        self.pump(ctx);
        self.arm(ctx);
    }

    /// The store does not answer. As long as the others are heard, what is known is told; otherwise questions are
    /// refused. Commands go on to the append, which knows.
    fn unseen(&mut self, asked: usize, error: &StoreError) {
        let blind = self.is_blind();
        let (asked, rest) = {
            let mut queue = std::mem::take(&mut self.queue);
            let rest = queue.split_off(asked.min(queue.len()));
            (queue, rest)
        };
        let now = self.node.now();
        for (work, permit) in asked {
            if blind && matches!(work, Work::Look(_)) {
                super::actor::refuse(work, &CommandError::Store(error.clone()), now);
            } else {
                self.queue.push_back((work, permit));
            }
        }
        self.remote.sure = self.queue.len();
        self.queue.extend(rest);
    }

    /// Whom the store no longer knows was erased while the bus was away.
    fn compare_records(&mut self, known: &[ParticipantId], records: &[Person]) {
        for who in known {
            if records.iter().any(|person| person.participant == *who) {
                continue;
            }
            let gone = self.core.people.get(*who).map(|person| person.subject.clone());
            if let Some(subject) = gone {
                self.forget_person(&subject);
            }
        }
    }

    fn hear_events(&mut self, events: Vec<Event>, people: Vec<Person>, ctx: &mut Ctx) {
        let known = self.core.durable();
        if events.last().is_none_or(|event| event.seq <= known) {
            Counts::add(&self.node.cluster.counts.ignored, 1);
            return;
        }
        self.remote.contend();
        let next = events.first().is_some_and(|event| event.seq <= known.next());
        if self.phase == Phase::Ready && next {
            self.take_in(events, people, ctx);
            self.take_waiting(ctx);
            return;
        }
        if self.remote.waiting.len() + events.len() > self.node.settings.cluster.heard_max {
            Counts::add(&self.node.cluster.counts.overflowed, 1);
            self.remote.waiting.clear();
            self.remote.people.clear();
            self.remote.look_due = true;
            return;
        }
        let numbered = events.into_iter().map(|event| (event.seq, event));
        self.remote.waiting.extend(numbered);
        self.remote.people.extend(people);
        if self.phase == Phase::Ready {
            self.remote.look_due = true;
        }
    }

    /// Applies what was heard and can be applied now. What is left waits for something that is missing.
    pub(super) fn take_waiting(&mut self, ctx: &mut Ctx) {
        let mut events = Vec::new();
        let mut next = self.core.state.seq.next();
        while let Some(first) = self.remote.waiting.first_entry() {
            if *first.key() > next {
                break;
            }
            let event = first.remove();
            if event.seq == next {
                next = next.next();
                events.push(event);
            }
        }
        let people = if self.remote.waiting.is_empty() {
            std::mem::take(&mut self.remote.people)
        } else {
            self.remote.look_due = true;
            self.remote.people.clone()
        };
        self.take_in(events, people, ctx);
    }

    /// Makes events of others so, as far as they are the next ones, and tells those who sit here.
    fn take_in(&mut self, events: Vec<Event>, people: Vec<Person>, ctx: &mut Ctx) {
        let known = self.core.state.seq;
        if events.last().is_none_or(|event| event.seq <= known) {
            return;
        }
        for person in people {
            self.core.people.insert(person);
        }
        for event in events {
            if event.seq != self.core.state.seq.next() {
                continue;
            }
            self.core.take_in(&event);
            Counts::add(&self.node.cluster.counts.applied, 1);
            self.announce_heard(&event);
            self.follow_heard(&event, ctx);
        }
        // Whoever wrote tells linked rooms; who waits here until that is done is told.
        self.remote.drives &= !self.linking.is_empty();
        self.shared.set_drives(self.remote.drives);
        if !self.link_waiters.is_empty() {
            self.drive_links(ctx);
        }
    }

    /// What has to be done here because of something that happened on another node.
    fn follow_heard(&mut self, event: &Event, ctx: &mut Ctx) {
        match &event.body {
            EventBody::EmergencyRaised { sos } => {
                self.alert_contacts(sos, event.at);
                self.bring_in(sos, ctx);
            }
            EventBody::Joined { who, .. } => {
                self.let_in(*who, ctx);
                // Those whose connection is elsewhere are passed on there.
                if self.core.presence.is_here(*who) && self.core.state.kind == Some(RoomKind::Circle) {
                    self.pass_on(*who, ctx);
                }
            }
            EventBody::JoinRequested { who } => self.tell_owner_of(*who),
            _ => self.follow_up(event, ctx),
        }
    }

    /// Hints may be lost without a trace: a room that has been silent for long looks for itself, and asks who is where.
    pub(super) fn compare_now_and_then(&mut self, ctx: &mut Ctx) {
        let every = self.node.settings.cluster.compare_every;
        let due = |since: Instant| !every.is_zero() && since.elapsed() >= every;
        // Where nobody sits nobody waits to be told, and whoever asks makes it look.
        if !self.clustered || self.phase != Phase::Ready || self.shared.is_deserted() {
            return;
        }
        // Not with the look, which any question may have brought about: the store does not know who is where.
        if due(self.remote.asked) {
            self.remote.asked = Instant::now();
            self.say_presence(true);
        }
        if due(self.remote.looked) {
            self.remote.look_due = true;
            self.look_in_turn(ctx);
        }
    }

    /// Tells the other nodes what is on disk now.
    pub(super) fn tell_others(&self, events: &[Event], people: &[Person]) {
        let mut people = people.to_vec();
        for slice in events.chunks(TOGETHER) {
            let news = News::Events {
                room: self.id.clone(),
                events: slice.to_vec(),
                people: std::mem::take(&mut people),
            };
            self.node.bus.publish(Topic::Room(self.id.clone()), news);
        }
    }
}

/// Whom events name: their records may be new, or changed.
fn named(events: &[Event]) -> Vec<ParticipantId> {
    let mut named = Vec::new();
    for event in events {
        named.extend(event.actor.participant());
        match &event.body {
            EventBody::Joined { who, .. }
            | EventBody::Left { who, .. }
            | EventBody::JoinRequested { who }
            | EventBody::JoinDenied { who }
            | EventBody::ContactAlerted { who } => named.push(*who),
            _ => {}
        }
    }
    named.sort_unstable();
    named.dedup();
    named
}
