//! The mailbox, the queue and the store: one batch of decisions is written at a time, and nothing is said
//! before it is on disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use tokio::sync::oneshot;

use super::core::RoomCore;
use super::heard::Remote;
use super::messages::{Look, Poke, Positions, Reload, Rest, Ticketed, Work};
use super::noted::Noted;
use super::seats::{Phase, RoomShared};
use super::steps::Step;
use super::unknown::Unknown;
use crate::actors::cluster::Counts;
use crate::actors::error::CommandError;
use crate::actors::gate::Gate;
use crate::actors::node::Node;
use crate::actors::session::{SessionId, SessionShared};
use crate::delivery::{Audience, MemberToken};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::ContactBook;
use crate::domain::room::{Event, RoomKind, Seq};
use crate::domain::time::Timestamp;
use crate::store::{Append, AppendError, JobWrite, Lane, StoreError, StoredRoom};

/// When a log that could not be read is read again.
const RELOAD_AFTER: Duration = Duration::from_secs(1);

/// How often a batch is decided anew because another writer was first. With three nodes that write without a pause
/// one of them is third for so long less than once in a thousand times.
const CONFLICTS_MAX: u32 = 20;

/// What is read when a room is loaded: its log, its owner's contacts, where everybody is on other nodes.
type Read = (Option<StoredRoom>, ContactBook, Vec<(ParticipantId, Fix)>);

/// A room.
pub struct RoomActor {
    pub(super) id: RoomId,
    pub(super) node: Arc<Node>,
    pub(super) shared: Arc<RoomShared>,
    pub(super) core: RoomCore,
    pub(super) audience: Audience,
    pub(super) tokens: HashMap<SessionId, MemberToken>,
    /// Sessions that wait for the owner's answer.
    pub(super) asking: HashMap<ParticipantId, Vec<Arc<SessionShared>>>,
    pub(super) linking: HashMap<RoomId, usize>,
    pub(super) link_waiters: Vec<oneshot::Sender<()>>,
    pub(super) queue: VecDeque<(Work, Option<crate::actors::gate::Permit>)>,
    pub(super) gate: Arc<Gate>,
    pub(super) phase: Phase,
    conflicts: u32,
    pub(super) timer: Option<(Timestamp, SpawnHandle)>,
    /// What is due next may have changed.
    pub(super) deadlines_moved: bool,
    pub(super) early: HashMap<ParticipantId, Fix>,
    /// The newest positions that wait for the writers to come up.
    pub(super) gathered: HashMap<ParticipantId, Fix>,
    pub(super) used: Instant,
    pub(super) resting: bool,
    /// Those who sat here before the actor did have been found.
    seated: bool,
    /// What is stored is newer than what is remembered.
    stale: bool,
    pub(super) noted: Noted,
    /// Signs of life are being read.
    pub(super) asking_signs: bool,
    /// There may be other nodes.
    pub(super) clustered: bool,
    pub(super) unknown: Unknown,
    pub(super) remote: Remote,
}

type Ctx = Context<RoomActor>;

impl RoomActor {
    pub(in crate::actors) fn new(
        id: RoomId,
        node: Arc<Node>,
        shared: Arc<RoomShared>,
        gate: Arc<Gate>,
        fresh: bool,
    ) -> Self {
        Self {
            core: RoomCore::new(id.clone(), node.started),
            clustered: node.cluster.clustered,
            remote: Remote::new(),
            asking_signs: false,
            unknown: Unknown::default(),
            id,
            node,
            shared,
            audience: Audience::new(),
            tokens: HashMap::new(),
            asking: HashMap::new(),
            linking: HashMap::new(),
            link_waiters: Vec::new(),
            queue: VecDeque::new(),
            gate,
            // A room that was just begun has no log to read.
            phase: if fresh { Phase::Ready } else { Phase::Loading },
            conflicts: 0,
            timer: None,
            deadlines_moved: true,
            early: HashMap::new(),
            gathered: HashMap::new(),
            used: Instant::now(),
            resting: false,
            seated: fresh,
            stale: false,
            noted: Noted::default(),
        }
    }

    pub(super) fn enter_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.shared.set_phase(phase);
    }

    /// Whether the whole log is to be read anew.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    fn load(&mut self, ctx: &mut Ctx) {
        self.stale = false;
        self.enter_phase(Phase::Loading);
        let (node, id) = (Arc::clone(&self.node), self.id.clone());
        let read = async move {
            let stored = node.store.load(&id).await?;
            let owner = stored.as_ref().and_then(owner_of_circle);
            let contacts = match owner {
                Some(owner) => node.emergency_contacts(&owner).await?,
                None => ContactBook::default(),
            };
            // Others may have seen newer positions than history has.
            let newest = match stored {
                Some(_) => node.board.newest(&id).await,
                None => vec![],
            };
            Ok::<_, StoreError>((stored, contacts, newest))
        };
        let asked = self.queue.len();
        let read = read.into_actor(self);
        ctx.spawn(read.map(move |read, act, ctx| act.loaded(asked, read, ctx)));
    }

    fn loaded(&mut self, asked: usize, read: Result<Read, StoreError>, ctx: &mut Ctx) {
        let now = self.node.now();
        let (stored, contacts, newest) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(room = %self.id, %error, "could not read the room's log");
                self.enter_phase(Phase::Unread);
                let error = CommandError::Store(error);
                for (work, _) in std::mem::take(&mut self.queue) {
                    refuse(work, &error, now);
                }
                ctx.run_later(RELOAD_AFTER, |act, ctx| {
                    if act.phase == Phase::Unread {
                        act.load(ctx);
                    }
                });
                return;
            }
        };
        let log = match stored {
            Some(stored) => {
                let events = stored.events.clone();
                self.core.restore(stored, now);
                for (who, fix) in newest {
                    if self.core.state.shows_position_of(who) {
                        self.core.note_fix(who, fix);
                    }
                }
                Some(events)
            }
            None => {
                self.core.forget();
                None
            }
        };
        if self.stale {
            self.load(ctx);
            return;
        }
        self.core.contacts = Arc::new(contacts);
        self.put_out_former();
        self.show_trip();
        self.reseat(log.unwrap_or_default(), now, ctx);
        self.enter_phase(Phase::Ready);
        self.deadlines_moved = true;
        self.linking.clear();
        // Whoever drove before it died goes on; otherwise it is for the node that minds the room.
        self.remote.drives = self.shared.drives() || self.node.cluster.peers.minds(&self.id);
        self.remote.sure = asked;
        self.take_waiting(ctx);
        self.listen_to_others();
        let early: Vec<_> = std::mem::take(&mut self.early).into_iter().collect();
        if !early.is_empty() {
            self.tell_positions(&early);
            self.show(early, ctx);
        }
        self.pump(ctx);
        self.drive_links(ctx);
        self.arm(ctx);
    }

    /// Where a trip is that goes on is to be found again after a start.
    fn show_trip(&self) {
        let trip = self.core.state.trip.as_ref().filter(|trip| trip.is_open());
        if let Some(fix) = trip.and_then(|trip| self.core.newest.get(&trip.manifest.driver())) {
            self.node.trips.moved(&self.id, fix);
        }
    }

    /// Finds those who sat here before the actor did, and tells them what they have not been told.
    fn reseat(&mut self, log: Vec<Event>, now: Timestamp, ctx: &mut Ctx) {
        let first = !std::mem::replace(&mut self.seated, true);
        let (seats, departed) = if first {
            self.shared.seats_and_departed()
        } else {
            (vec![], vec![])
        };
        // Those who went while nobody looked were here: `departures` sees them off.
        for departure in &departed {
            self.core.presence.arrive(departure.participant, now);
        }
        if first && seats.is_empty() && departed.is_empty() {
            self.shared.set_announced(self.core.state.seq);
            return;
        }
        let (behind, present): (Vec<_>, Vec<_>) = seats.into_iter().partition(|seat| seat.behind.is_some());
        for seat in present.iter().chain(&behind) {
            self.core.presence.arrive(seat.participant, now);
        }
        for seat in present {
            self.listen(&seat.session, seat.participant);
        }
        let announced = self.shared.announced();
        let untold: Vec<Event> = log.into_iter().filter(|event| event.seq > announced).collect();
        if self.clustered && !untold.is_empty() {
            let people: Vec<_> = self.core.people.all().cloned().collect();
            self.tell_others(&untold, &people);
        }
        for event in untold {
            self.announce(&event, None);
            self.follow_up(&event, ctx);
        }
        // Those who were catching up have lost their reader: they go on from where they are.
        for seat in behind {
            let (since, upto) = (seat.behind.unwrap_or_default(), self.shared.announced());
            self.catch_up(&seat.session, seat.participant, since, upto, true, ctx);
        }
    }

    fn accept(&mut self, message: Ticketed, ctx: &mut Ctx) {
        self.used = Instant::now();
        self.listen_for(&message.work);
        self.queue.push_back((message.work, Some(message.permit)));
        self.hark(ctx);
        match self.phase {
            Phase::Unread => self.load(ctx),
            Phase::Ready => self.pump(ctx),
            Phase::Loading | Phase::Writing | Phase::Looking => {}
        }
    }

    /// Decides what waits, a slice at a time, and writes it.
    pub(super) fn pump(&mut self, ctx: &mut Ctx) {
        self.departures(ctx);
        if self.phase != Phase::Ready {
            return;
        }
        if self.remote.look_due {
            if self.queue.is_empty() {
                self.look_in_turn(ctx);
            } else {
                self.look(ctx);
            }
            return;
        }
        if self.queue.is_empty() {
            self.vanish(ctx);
            return;
        }
        if self.gives_way(ctx) {
            return;
        }
        let now = self.node.now();
        let mut append = Append {
            room: self.id.clone(),
            after: self.core.state.seq,
            events: Vec::new(),
            people: Vec::new(),
            idempotency: None,
            jobs: Vec::new(),
        };
        let steps = self.decide_some(now, &mut append);
        let asked = self.ask_service(ctx);
        if append.events.is_empty() {
            self.core.settle();
            // What is first in the queue wants a look, whether or not others wait for the service's word meanwhile.
            if steps.is_empty() && (!asked || !self.queue.is_empty()) {
                self.look(ctx);
                return;
            }
            self.release(steps, ctx);
            if self.queue.is_empty() {
                self.vanish(ctx);
            } else {
                // Another slice, after whatever else this thread has to do.
                ctx.spawn(
                    tokio::task::yield_now()
                        .into_actor(self)
                        .map(|(), act, ctx| act.pump(ctx)),
                );
            }
            return;
        }
        self.enter_phase(Phase::Writing);
        let jobs: Vec<Lane> = append.jobs.iter().filter_map(JobWrite::lane).collect();
        let node = Arc::clone(&self.node);
        let told = self
            .clustered
            .then(|| (append.events.clone(), append.people.clone()));
        let write = async move {
            let begun = Instant::now();
            let result = node.store.append(append).await;
            let took = begun.elapsed();
            if result.is_ok() {
                node.observer.appended(took);
                if let Some(notifier) = node.notifier.get() {
                    jobs.into_iter().for_each(|lane| notifier.wake(lane));
                }
            }
            result.map(|()| took)
        };
        ctx.spawn(write.into_actor(self).map(move |result, act, ctx| {
            if let (Ok(took), Some((events, people))) = (&result, told) {
                act.remote.land(*took);
                act.tell_others(&events, &people);
            }
            act.written(result.map(|_| ()), steps, ctx);
        }));
    }

    /// Decides what waits, as far as the room knows enough for it. Nothing decided and nothing to write: it must look
    /// into the store first.
    fn decide_some(&mut self, now: Timestamp, append: &mut Append) -> Vec<Step> {
        let mut steps = Vec::new();
        while steps.len() < self.node.settings.room_batch_max {
            let looks = |(work, _): &(Work, _)| self.wants_look(work);
            if self.queue.front().is_none_or(looks) {
                break;
            }
            let Some((work, permit)) = self.queue.pop_front() else {
                break;
            };
            if self.clustered && !self.core.is_marked() && work.may_write() {
                self.core.mark();
            }
            let mut step = self.decide_step(work, now, append);
            step.permit = permit;
            if self.remote.sure == 0 && self.is_doubtful(&step) {
                if let Some(again) = step.into_work() {
                    self.queue.push_front(again);
                }
                self.remote.look_due = !steps.is_empty();
                break;
            }
            self.remote.sure = self.remote.sure.saturating_sub(1);
            let Some(step) = self.set_aside(step) else {
                continue;
            };
            steps.push(step);
        }
        steps
    }

    fn written(&mut self, result: Result<(), AppendError>, steps: Vec<Step>, ctx: &mut Ctx) {
        let now = self.node.now();
        match result {
            Ok(()) => {
                self.conflicts = 0;
                self.core.settle();
                self.enter_phase(Phase::Ready);
                self.remote.drives = true;
                self.shared.set_drives(true);
                self.release(steps, ctx);
                if self.core.state.kind == Some(RoomKind::Sos)
                    && let Some(feed) = self.node.feed.get()
                {
                    feed.wake();
                }
                self.note_incident();
                self.drive_links(ctx);
                self.take_waiting(ctx);
                if self.stale {
                    self.read_again(ctx);
                } else {
                    self.pump(ctx);
                }
                return;
            }
            Err(AppendError::Conflict { head }) if self.conflicts < CONFLICTS_MAX => {
                self.conflicts += 1;
                self.remote.contend();
                Counts::add(&self.node.cluster.counts.conflicts, 1);
                for step in steps.into_iter().rev() {
                    if let Some(again) = step.into_work() {
                        self.queue.push_front(again);
                    }
                }
                if self.core.take_back() {
                    self.catch_up_with_others(Some(head), ctx);
                    return;
                }
            }
            Err(error) => {
                self.conflicts = 0;
                let error = match error {
                    AppendError::Store(error) => CommandError::Store(error),
                    AppendError::Repeated { room } => CommandError::Repeated(room),
                    AppendError::Conflict { .. } => CommandError::Busy,
                };
                for step in steps {
                    if let Some((work, _)) = step.into_work() {
                        refuse(work, &error, now);
                    }
                }
            }
        }
        // Memory is ahead of the disk.
        if self.core.take_back() {
            self.catch_up_with_others(None, ctx);
        } else {
            self.read_again(ctx);
        }
    }

    /// What was decided has been taken back. What others wrote instead was heard meanwhile, or is read: not the whole
    /// log, only its end.
    fn catch_up_with_others(&mut self, head: Option<Seq>, ctx: &mut Ctx) {
        self.enter_phase(Phase::Ready);
        self.remote.sure = 0;
        self.take_waiting(ctx);
        let up_to_date = head.is_some_and(|head| self.core.state.seq >= head);
        self.remote.look_due |= !up_to_date;
        if self.stale {
            self.read_again(ctx);
            return;
        }
        self.deadlines_moved = true;
        self.pump(ctx);
        self.arm(ctx);
    }

    pub(super) fn read_again(&mut self, ctx: &mut Ctx) {
        self.core.state = crate::domain::room::RoomState::new(self.id.clone());
        self.load(ctx);
    }
}

/// Says no to work that was not done.
pub(super) fn refuse(work: Work, error: &CommandError, now: Timestamp) {
    match work {
        Work::Act(act) => act.reply.fail(error.clone(), now, None),
        Work::Look(Look::View { to, .. }) => {
            let _ = to.send(Err(error.clone()));
        }
        Work::Look(Look::Glance(_, ask)) => ask.put(Err(error.clone())),
        Work::Look(Look::Broadcaster(_, to)) => {
            let _ = to.send(Err(error.clone()));
        }
        Work::Look(Look::Users(session)) => session.error(error, now),
        // The askers see their channel close; links and admissions are tried again by whoever drives them.
        Work::Look(Look::Emergency(_) | Look::LinksSettled(_) | Look::Typing { .. })
        | Work::Admit { .. }
        | Work::Call
        | Work::Concerns(_)
        | Work::Contacts(_)
        | Work::LinkEnded(_) => {}
    }
}

fn owner_of_circle(stored: &StoredRoom) -> Option<crate::domain::people::Subject> {
    let mut state = crate::domain::room::RoomState::new(stored.events.first()?.room.clone());
    state.apply(stored.events.first()?);
    let owner = state.owner.filter(|_| state.kind == Some(RoomKind::Circle))?;
    stored
        .people
        .iter()
        .find(|person| person.participant == owner)
        .map(|person| person.subject.clone())
}

impl Actor for RoomActor {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        if self.phase == Phase::Loading {
            self.load(ctx);
        } else {
            self.enter_phase(self.phase);
        }
    }

    fn stopped(&mut self, _: &mut Ctx) {
        self.node.registry.rested(&self.id, &self.shared);
    }
}

impl Drop for RoomActor {
    fn drop(&mut self) {
        if !self.resting && !self.node.is_draining() {
            // It died of a panic. If the channel is full, the janitor finds it.
            let _ = self.node.registry.deaths().try_send(self.id.clone());
        }
    }
}

impl Handler<Ticketed> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Ticketed, ctx: &mut Ctx) {
        self.accept(message, ctx);
    }
}

impl Handler<Positions> for RoomActor {
    type Result = ();

    fn handle(&mut self, Positions(fixes): Positions, ctx: &mut Ctx) {
        self.used = Instant::now();
        self.listen_to_others();
        self.hark(ctx);
        match self.phase {
            Phase::Ready | Phase::Writing | Phase::Looking => {
                self.tell_positions(&fixes);
                self.show(fixes, ctx);
            }
            Phase::Loading | Phase::Unread => {
                for (who, fix) in fixes {
                    let known = self.early.entry(who).or_insert(fix);
                    if known.at < fix.at {
                        *known = fix;
                    }
                }
                if self.phase == Phase::Unread {
                    self.load(ctx);
                }
            }
        }
    }
}

impl Handler<Poke> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Poke, ctx: &mut Ctx) {
        self.hark(ctx);
        self.departures(ctx);
    }
}

impl Handler<Reload> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Reload, ctx: &mut Ctx) {
        match self.phase {
            Phase::Ready | Phase::Unread => self.read_again(ctx),
            // What is being read or written now may have been begun before.
            Phase::Loading | Phase::Writing | Phase::Looking => self.stale = true,
        }
    }
}

impl Handler<Rest> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Rest, ctx: &mut Ctx) {
        self.hark(ctx);
        self.departures(ctx);
        self.note_signs();
        self.note_again();
        self.mind_links(ctx);
        self.keep_late_deadlines(ctx);
        self.compare_now_and_then(ctx);
        self.rest(ctx);
    }
}
