//! Tells those who are not connected: contacts by text message, push, e-mail; operators by their pager.
//!
//! What is to be done is a job in the store, written with the event that causes it. Every node has one worker, which
//! claims jobs lane by lane and carries them out: `incident` looks who is to be told and plans it, `send` carries one
//! message from vendor to vendor, `news` takes in what vendors and people answer. What comes next is decided by
//! `domain::notify::plan` and by `core`, which are pure. The incident's log is the truth about each message.

mod actor;
mod body;
mod content;
mod core;
mod errand;
mod incident;
mod news;
mod send;
mod settings;
mod tally;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use actix::{Addr, ArbiterHandle};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

pub use self::body::{BadBody, JobBody, SendBody};
pub use self::core::{Progress, RetrySettings, Stage};
use self::actor::{NotifyActor, Stop};
use self::core::{Choice, Health};
use self::errand::Errand;
pub use self::news::Heard;
pub use self::settings::{LaneSettings, NotifySettings};
pub use self::tally::{Counted, Tally};
use super::error::CommandError;
use super::node::Node;
use super::room::Glimpse;
use crate::domain::breaker::{Breaker, Stand};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::notify::{Channel, Destination, Lane, Vendor};
use crate::domain::people::{Contact, Identity, Subject};
use crate::domain::room::{Event, EventBody, Genesis};
use crate::domain::time::Timestamp;
use crate::notify::Provider;
use crate::store::{JobWrite, LaneDepth, NewJob, Store, StoreError};

/// Wake-ups are taken together: an incident that is raised tells more than one person.
const GATHER: Duration = Duration::from_millis(2);

/// Makes the links that messages carry.
pub trait Links: Send + Sync + 'static {
    /// A link by which `who` acknowledges an incident; `None`: there is no address to link to.
    fn acknowledge(&self, room: &RoomId, who: ParticipantId) -> Option<String>;
}

/// What a worker is made of.
pub struct NotifyParts {
    /// The vendors that are on, the preferred ones of each channel first.
    pub providers: Vec<Arc<dyn Provider>>,
    /// The numbers.
    pub settings: NotifySettings,
    /// The links.
    pub links: Arc<dyn Links>,
}

/// What a worker and those who look at it share.
pub(in crate::actors) struct Shared {
    node: OnceLock<Weak<Node>>,
    pub(super) store: Arc<dyn Store>,
    clock: Arc<dyn super::Clock>,
    providers: Vec<Arc<dyn Provider>>,
    breakers: Mutex<HashMap<Vendor, Breaker>>,
    pub(super) settings: NotifySettings,
    pub(super) links: Arc<dyn Links>,
    operator: Arc<Identity>,
    pub(super) tally: Tally,
    depth: Mutex<Vec<LaneDepth>>,
    begun: Instant,
    wake: Notify,
    lanes: AtomicU8,
    deaths: AtomicU64,
}

impl Shared {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The node; gone when the process ends.
    pub(super) fn node(&self) -> Result<Arc<Node>, CommandError> {
        self.node.get().and_then(Weak::upgrade).ok_or(CommandError::Restarted)
    }

    /// What is to be known of a room, whoever may see it.
    pub(super) async fn glance<T: Send + 'static>(
        &self,
        room: &RoomId,
        ask: impl FnOnce(&Glimpse<'_>) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let node = self.node()?;
        node.room(room).glance(Some(Arc::clone(&self.operator)), ask).await
    }

    pub(super) async fn contacts(&self, owner: &Subject) -> Result<Vec<Contact>, StoreError> {
        let node = self
            .node()
            .map_err(|_| StoreError::Unavailable("the node ends".into()))?;
        Ok(node.emergency_contacts(owner).await?.emergency)
    }

    /// Where a contact is reached over channels that are on, the best first.
    pub(super) async fn reached(&self, contact: &Contact) -> Vec<Destination> {
        let mut found = Vec::new();
        for channel in &self.settings.plan.channels {
            let to = match channel {
                Channel::Sms => vec![Destination::Sms(contact.phone.clone())],
                Channel::Whatsapp => vec![Destination::Whatsapp(contact.phone.clone())],
                _ => vec![],
            };
            found.extend(to);
        }
        found.retain(|to| self.carries(to));
        found
    }

    /// Where operators are reached.
    pub(super) fn operators(&self) -> Vec<Destination> {
        let all = [Destination::Pager, Destination::Webhook];
        all.into_iter().filter(|to| self.carries(to)).collect()
    }

    fn carries(&self, to: &Destination) -> bool {
        self.providers.iter().any(|provider| provider.carries(to))
    }

    pub(super) fn provider(&self, vendor: Vendor, to: &Destination) -> Option<Arc<dyn Provider>> {
        let mut all = self.providers.iter();
        all.find(|provider| provider.vendor() == vendor && provider.carries(to))
            .cloned()
    }

    /// Vendors that could carry something there.
    pub(super) fn choices(&self, to: &Destination) -> Vec<Choice> {
        let now = self.begun.elapsed();
        let mut breakers = self.breakers.lock();
        let able = self.providers.iter().filter(|provider| provider.carries(to));
        able.map(|provider| {
            let vendor = provider.vendor();
            let rests = breakers
                .get_mut(&vendor)
                .and_then(|breaker| breaker.next(now))
                .map_or(Duration::ZERO, |until| until.saturating_sub(now));
            Choice {
                vendor,
                rests,
                can_search: provider.can_search(),
                can_ask: provider.can_search(),
                idempotent: matches!(vendor.channel(), Channel::Pager | Channel::Push | Channel::Webhook),
            }
        })
        .collect()
    }

    /// What an answer said of its vendor.
    pub(super) fn health(&self, vendor: Vendor, health: Health) {
        let now = self.begun.elapsed();
        let mut breakers = self.breakers.lock();
        let breaker = breakers.entry(vendor).or_insert_with(|| {
            Breaker::new(self.settings.breaker_failures, self.settings.breaker_rest)
        });
        let before = breaker.opened();
        match health {
            Health::Well => breaker.succeeded(),
            Health::Ill => breaker.failed(now),
            Health::Barred => breaker.trip(now),
        }
        if breaker.opened() > before {
            tracing::error!(vendor = vendor.as_str(), "a vendor is left alone for a while");
        }
    }

    /// A destination is gone for good.
    pub(super) async fn forget(&self, to: &Destination) {
        let _ = to;
    }

    /// A step was planned so long after the incident was raised.
    pub(super) fn planned(&self, took: Duration) {
        self.tally.planned(took);
    }

    /// A vendor has a message. The first news of an incident is watched: it must not be late.
    pub(super) async fn handed_over(&self, errand: &Errand, body: &SendBody) {
        self.tally.handed(errand.job.lane, self.now().since(errand.job.since));
        let (Some(raised_at), Some(room)) = (body.raised_at, &errand.job.room) else {
            return;
        };
        let took = self.now().since(raised_at);
        self.tally.sos_handed(took);
        if took <= self.settings.late_after {
            return;
        }
        self.tally.late();
        let written = errand.job.since.since(raised_at);
        tracing::warn!(
            %room,
            took_ms = took.as_millis() as u64,
            planned_after_ms = written.as_millis() as u64,
            "an SOS was handed to its first vendor late"
        );
        self.trouble(room, "late", "it was handed to a vendor late").await;
    }

    /// What follows when messages have moved: those that waited for one that failed are due, and operators hear of
    /// somebody who was not reached.
    pub(super) async fn follow_up(&self, errand: &Errand, room: &RoomId, id: u32, events: &[Event]) {
        let _ = (errand, id);
        self.after_moves(room, events).await;
    }

    pub(super) async fn after_moves(&self, room: &RoomId, events: &[Event]) {
        for event in events {
            match &event.body {
                EventBody::NotificationMoved(change) => {
                    self.tally.moved(change.vendor, change.to);
                    if change.to.is_failed() {
                        self.next_channel(room, change.id).await;
                    }
                }
                EventBody::ContactUnreached { .. } => {
                    self.tally.unreached();
                    self.trouble(room, "unreached", "somebody was reached over no channel").await;
                }
                _ => {}
            }
        }
    }

    /// What waited for a message to have its time need not wait for one that failed.
    async fn next_channel(&self, room: &RoomId, id: u32) {
        let waiting = self.glance(room, move |glimpse| {
            let incident = glimpse.state.incident.as_ref();
            incident.map_or_else(Vec::new, |incident| incident.told.waiting_of(id))
        });
        let jobs = match waiting.await {
            Ok(waiting) => news::hasten(room, waiting),
            Err(error) => {
                tracing::warn!(%room, %error, "the next channel has to wait for its time");
                return;
            }
        };
        self.add(jobs).await;
    }

    /// Tells the operators' pager that an incident is in trouble, once for each kind.
    async fn trouble(&self, room: &RoomId, kind: &str, reason: &str) {
        if !self.carries(&Destination::Pager) {
            return;
        }
        let body = SendBody {
            notification: None,
            state: crate::domain::notify::DeliveryState::Pending,
            to: Destination::Pager,
            content: content::of_trouble(room, reason),
            raised_at: None,
            expires_at: self.now() + self.settings.plan.ttl,
            progress: Progress::default(),
        };
        let key = content::trouble_key(room, kind);
        let job = NewJob {
            id: crate::store::JobId::from_random(u64::from_be_bytes(super::clock::random())),
            key,
            lane: Lane::Sos,
            room: None,
            whose: None,
            after: Duration::ZERO,
            body: JobBody::Send(Box::new(body)).encode(),
        };
        self.add(vec![JobWrite::Add(job)]).await;
    }

    /// Writes jobs that nothing else hangs on.
    async fn add(&self, jobs: Vec<JobWrite>) {
        if jobs.is_empty() {
            return;
        }
        match self.store.write_jobs(jobs).await {
            Ok(_) => self.wake(Lane::Sos),
            Err(error) => tracing::error!(%error, "a job cannot be written"),
        }
    }

    fn wake(&self, lane: Lane) {
        self.lanes.fetch_or(1 << lane.index(), Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Waits until there is something to be done; answers in which lanes, a bit each.
    pub(super) async fn woken(&self) -> u8 {
        self.wake.notified().await;
        tokio::time::sleep(GATHER).await;
        self.lanes.swap(0, Ordering::AcqRel)
    }

    pub(super) fn counted(&self, depth: Vec<LaneDepth>) {
        for lane in &depth {
            let max = self.settings.lanes[lane.lane.index()].queue_max as u64;
            if lane.waiting > max {
                tracing::error!(lane = lane.lane.as_str(), waiting = lane.waiting, max, "too many messages wait");
            }
        }
        *self.depth.lock() = depth;
    }
}

/// The way to a node's worker. Cheap to clone.
#[derive(Clone)]
pub struct Notifier(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    on: ArbiterHandle,
    addr: Mutex<Addr<NotifyActor>>,
    closed: AtomicBool,
}

impl Notifier {
    /// Starts a worker on a thread. Needs a node whose store it works on.
    pub fn launch(node: &Arc<Node>, parts: NotifyParts, on: &ArbiterHandle) -> Self {
        let shared = Arc::new(Shared {
            node: OnceLock::new(),
            store: Arc::clone(&node.store),
            clock: Arc::clone(&node.clock),
            tally: Tally::new(&parts.providers),
            providers: parts.providers,
            breakers: Mutex::default(),
            settings: parts.settings,
            links: parts.links,
            operator: incident::operator(),
            depth: Mutex::default(),
            begun: Instant::now(),
            wake: Notify::new(),
            lanes: AtomicU8::new(0),
            deaths: AtomicU64::new(0),
        });
        let _ = shared.node.set(Arc::downgrade(node));
        let notifier = Self(Arc::new(Handle {
            addr: Mutex::new(NotifyActor::launch(Arc::clone(&shared), on)),
            shared,
            on: on.clone(),
            closed: AtomicBool::new(false),
        }));
        let _ = node.notifier.set(notifier.clone());
        notifier
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Something of this lane is to be done.
    pub fn wake(&self, lane: Lane) {
        self.addr();
        self.0.shared.wake(lane);
    }

    /// The worker; one that died of a panic is started anew. What it had in hand is due when its leases have run out.
    fn addr(&self) -> Addr<NotifyActor> {
        let handle = &self.0;
        let mut addr = handle.addr.lock();
        if !addr.connected() && !handle.closed.load(Ordering::Acquire) {
            handle.shared.deaths.fetch_add(1, Ordering::Relaxed);
            *addr = NotifyActor::launch(Arc::clone(&handle.shared), &handle.on);
        }
        addr.clone()
    }

    /// What is to be done because of an event of an incident: it is written with it.
    pub fn jobs_of(&self, event: &Event) -> Vec<JobWrite> {
        let room = &event.room;
        let look = |after| JobWrite::Add(incident::incident_look(room, after));
        match &event.body {
            EventBody::Created(Genesis::Incident(_)) => vec![look(Duration::ZERO)],
            EventBody::StatusChanged { to, .. } if !to.is_open() => {
                vec![look(Duration::ZERO), JobWrite::Hasten(incident::incident_job(room))]
            }
            EventBody::StatusChanged { .. } | EventBody::Acknowledged { .. } => {
                let after = self.0.shared.settings.plan.untouched_after;
                if after.is_zero() { vec![] } else { vec![look(after)] }
            }
            _ => vec![],
        }
    }

    /// Which vendors are on, how each stands and how often it was left alone.
    pub fn vendors(&self) -> Vec<(Vendor, Stand, u64)> {
        let shared = &self.0.shared;
        let now = shared.begun.elapsed();
        let breakers = shared.breakers.lock();
        let mut found: Vec<_> = shared
            .providers
            .iter()
            .map(|provider| {
                let breaker = breakers.get(&provider.vendor());
                let stand = breaker.map_or(Stand::Closed, |breaker| breaker.stand(now));
                (provider.vendor(), stand, breaker.map_or(0, Breaker::opened))
            })
            .collect();
        found.dedup_by_key(|one| one.0);
        found
    }

    /// What waits, on all nodes, as of the last look.
    pub fn depth(&self) -> Vec<LaneDepth> {
        self.0.shared.depth.lock().clone()
    }

    /// What it has done.
    pub fn tally(&self) -> &Tally {
        &self.0.shared.tally
    }

    /// How often it died and was started anew.
    pub fn deaths(&self) -> u64 {
        self.0.shared.deaths.load(Ordering::Relaxed)
    }

    /// Takes nothing more in hand, and waits for what is.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        let (to, done) = oneshot::channel();
        if self.addr().try_send(Stop(to)).is_ok() {
            let patience = self.0.shared.settings.timeout + Duration::from_secs(2);
            let _ = tokio::time::timeout(patience, done).await;
        }
    }
}
