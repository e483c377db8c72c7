//! The mailbox, the queue and the store: one batch of decisions is written at a time, and nothing is said
//! before it is on disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use tokio::sync::oneshot;

use super::core::RoomCore;
use super::messages::{Look, Poke, Positions, Reload, Rest, Ticketed, Work};
use super::noted::Noted;
use super::seats::{Phase, RoomShared};
use super::steps::Step;
use crate::actors::error::CommandError;
use crate::actors::gate::Gate;
use crate::actors::node::Node;
use crate::actors::session::{SessionId, SessionShared};
use crate::delivery::{Audience, MemberToken};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::ContactBook;
use crate::domain::room::{Event, RoomKind};
use crate::domain::time::Timestamp;
use crate::store::{Append, AppendError, StoreError, StoredRoom};

/// When a log that could not be read is read again.
const RELOAD_AFTER: Duration = Duration::from_secs(1);

/// How often a batch is decided anew because another writer was first.
const CONFLICTS_MAX: u32 = 5;

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

    fn enter_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.shared.set_phase(phase);
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
        ctx.spawn(read.into_actor(self).map(|read, act, ctx| act.loaded(read, ctx)));
    }

    fn loaded(&mut self, read: Result<Read, StoreError>, ctx: &mut Ctx) {
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
        let early: Vec<_> = std::mem::take(&mut self.early).into_iter().collect();
        if !early.is_empty() {
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
        for event in log.into_iter().filter(|event| event.seq > announced) {
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
        self.queue.push_back((message.work, Some(message.permit)));
        match self.phase {
            Phase::Unread => self.load(ctx),
            Phase::Ready => self.pump(ctx),
            Phase::Loading | Phase::Writing => {}
        }
    }

    /// Decides what waits, a slice at a time, and writes it.
    pub(super) fn pump(&mut self, ctx: &mut Ctx) {
        self.departures(ctx);
        if self.phase != Phase::Ready {
            return;
        }
        if self.queue.is_empty() {
            self.vanish(ctx);
            return;
        }
        let now = self.node.now();
        let mut append = Append {
            room: self.id.clone(),
            after: self.core.state.seq,
            events: Vec::new(),
            people: Vec::new(),
            idempotency: None,
        };
        let mut steps = Vec::new();
        while steps.len() < self.node.settings.room_batch_max {
            let Some((work, permit)) = self.queue.pop_front() else {
                break;
            };
            let mut step = self.decide_step(work, now, &mut append);
            step.permit = permit;
            steps.push(step);
        }
        if append.events.is_empty() {
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
        let node = Arc::clone(&self.node);
        let write = async move {
            let begun = Instant::now();
            let result = node.store.append(append).await;
            if result.is_ok() {
                node.observer.appended(begun.elapsed());
            }
            result
        };
        ctx.spawn(
            write
                .into_actor(self)
                .map(move |result, act, ctx| act.written(result, steps, ctx)),
        );
    }

    fn written(&mut self, result: Result<(), AppendError>, steps: Vec<Step>, ctx: &mut Ctx) {
        let now = self.node.now();
        match result {
            Ok(()) => {
                self.conflicts = 0;
                self.enter_phase(Phase::Ready);
                self.release(steps, ctx);
                self.note_incident();
                self.drive_links(ctx);
                if self.stale {
                    self.read_again(ctx);
                } else {
                    self.pump(ctx);
                }
                return;
            }
            Err(AppendError::Conflict { .. }) if self.conflicts < CONFLICTS_MAX => {
                self.conflicts += 1;
                for step in steps.into_iter().rev() {
                    if let Some(again) = step.into_work() {
                        self.queue.push_front(again);
                    }
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
        self.read_again(ctx);
    }

    fn read_again(&mut self, ctx: &mut Ctx) {
        self.core.state = crate::domain::room::RoomState::new(self.id.clone());
        self.load(ctx);
    }
}

/// Says no to work that was not done.
fn refuse(work: Work, error: &CommandError, now: Timestamp) {
    match work {
        Work::Act(act) => act.reply.fail(error.clone(), now, None),
        Work::Look(Look::View(_, to)) => {
            let _ = to.send(Err(error.clone()));
        }
        Work::Look(Look::Glance(_, ask)) => ask.put(Err(error.clone())),
        Work::Look(Look::Broadcaster(_, to)) => {
            let _ = to.send(Err(error.clone()));
        }
        Work::Look(Look::Users(session)) => session.error(error, now),
        // The askers see their channel close; links and admissions are tried again by whoever drives them.
        Work::Look(Look::Emergency(_) | Look::LinksSettled(_))
        | Work::Admit { .. }
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
        match self.phase {
            Phase::Ready | Phase::Writing => self.show(fixes, ctx),
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
        self.departures(ctx);
    }
}

impl Handler<Reload> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Reload, ctx: &mut Ctx) {
        match self.phase {
            Phase::Ready | Phase::Unread => self.read_again(ctx),
            // What is being read or written now may have been begun before.
            Phase::Loading | Phase::Writing => self.stale = true,
        }
    }
}

impl Handler<Rest> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Rest, ctx: &mut Ctx) {
        self.departures(ctx);
        self.note_signs();
        self.note_again();
        self.rest(ctx);
    }
}
