//! What a worker and those who look at it share: the vendors and how they fare, what is counted, what wakes it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::body::{JobBody, SendBody};
use super::core::{Choice, Health, Progress};
use super::errand::Errand;
use super::{Links, NotifyParts, NotifySettings, Tally, content, incident, news};
use crate::actors::Clock;
use crate::actors::clock::random;
use crate::actors::error::CommandError;
use crate::actors::node::Node;
use crate::actors::room::Glimpse;
use crate::domain::breaker::{Breaker, Stand};
use crate::domain::ids::RoomId;
use crate::domain::notify::{Channel, Content, DeliveryState, Destination, Lane, Occasion, Vendor, plan};
use crate::domain::people::{Contact, Identity, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Event, EventBody};
use crate::domain::time::Timestamp;
use crate::notify::Provider;
use crate::store::{JobId, JobWrite, LaneDepth, NewJob, Store, StoreError};

/// Wake-ups are taken together: an incident that is raised tells more than one person.
const GATHER: Duration = Duration::from_millis(2);

/// What a worker and those who look at it share.
pub(super) struct Shared {
    /// As a trait object: the node holds what holds this, and the compiler need not follow that round.
    node: Box<dyn Fn() -> Option<Arc<Node>> + Send + Sync>,
    pub store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    providers: Vec<Arc<dyn Provider>>,
    breakers: Mutex<HashMap<Vendor, Breaker>>,
    pub settings: NotifySettings,
    pub links: Arc<dyn Links>,
    operator: Arc<Identity>,
    pub tally: Tally,
    depth: Mutex<Vec<LaneDepth>>,
    begun: Instant,
    wake: Notify,
    lanes: AtomicU8,
    deaths: AtomicU64,
}

impl Shared {
    pub fn new(node: &Arc<Node>, parts: NotifyParts) -> Arc<Self> {
        let weak = Arc::downgrade(node);
        Arc::new(Self {
            node: Box::new(move || weak.upgrade()),
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
        })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The node; gone when the process ends.
    pub fn node(&self) -> Result<Arc<Node>, CommandError> {
        (self.node)().ok_or(CommandError::Restarted)
    }

    /// What is to be known of a room, whoever may see it.
    pub async fn glance<T: Send + 'static>(
        &self,
        room: &RoomId,
        ask: impl FnOnce(&Glimpse<'_>) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let node = self.node()?;
        node.room(room)
            .glance(Some(Arc::clone(&self.operator)), ask)
            .await
    }

    pub async fn contacts(&self, owner: &Subject) -> Result<Vec<Contact>, StoreError> {
        let node = self
            .node()
            .map_err(|_| StoreError::Unavailable("the node ends".into()))?;
        Ok(node.contact_book(owner).await?.emergency)
    }

    /// Where a contact is reached over channels that are on, the best first.
    pub async fn reached(&self, contact: &Contact) -> Vec<Destination> {
        let reach = &contact.reach;
        let channels = if reach.channels.is_empty() {
            &self.settings.plan.channels
        } else {
            &reach.channels
        };
        let mut found = Vec::new();
        // Where a device is pushed to is not looked up when nobody pushes: that is a read for each contact of each SOS.
        for channel in channels.iter().filter(|channel| self.is_on(**channel)) {
            let to = match channel {
                Channel::Sms => vec![Destination::Sms(contact.phone.clone())],
                Channel::Whatsapp => vec![Destination::Whatsapp(contact.phone.clone())],
                Channel::Email => reach.email.iter().cloned().map(Destination::Email).collect(),
                Channel::Push => self.pushed(&contact.phone).await,
                Channel::Webhook | Channel::Pager => vec![],
            };
            found.extend(to);
        }
        found.retain(|to| self.carries(to));
        found
    }

    /// The same of somebody who is known.
    pub async fn pushed_to(&self, who: &Subject) -> Vec<Destination> {
        let Ok(node) = self.node() else { return vec![] };
        node.push_targets_of(who).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "where somebody's devices are pushed to cannot be read");
            vec![]
        })
    }

    /// That it cannot be read where somebody's devices are pushed to keeps them from no other channel.
    async fn pushed(&self, phone: &PhoneNumber) -> Vec<Destination> {
        let Ok(node) = self.node() else { return vec![] };
        node.push_targets(phone).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "where somebody's devices are pushed to cannot be read");
            vec![]
        })
    }

    /// Where operators are reached.
    pub fn operators(&self) -> Vec<Destination> {
        let all = [Destination::Pager, Destination::Webhook];
        all.into_iter().filter(|to| self.carries(to)).collect()
    }

    /// Whether any vendor is on.
    pub fn carries_anything(&self) -> bool {
        !self.providers.is_empty()
    }

    fn is_on(&self, channel: Channel) -> bool {
        let mut all = self.providers.iter();
        all.any(|provider| provider.vendor().channel() == channel)
    }

    pub fn carries(&self, to: &Destination) -> bool {
        self.providers.iter().any(|provider| provider.carries(to))
    }

    pub fn provider(&self, vendor: Vendor, to: &Destination) -> Option<Arc<dyn Provider>> {
        let mut all = self.providers.iter();
        all.find(|provider| provider.vendor() == vendor && provider.carries(to))
            .cloned()
    }

    /// Vendors that could carry something there.
    pub fn choices(&self, to: &Destination) -> Vec<Choice> {
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
                idempotent: matches!(
                    vendor.channel(),
                    Channel::Pager | Channel::Push | Channel::Webhook
                ),
            }
        })
        .collect()
    }

    /// What an answer said of its vendor.
    pub fn health(&self, vendor: Vendor, health: Health) {
        let now = self.begun.elapsed();
        let mut breakers = self.breakers.lock();
        let breaker = breakers
            .entry(vendor)
            .or_insert_with(|| Breaker::new(self.settings.breaker_failures, self.settings.breaker_rest));
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
    pub async fn forget(&self, to: &Destination) {
        let Ok(node) = self.node() else { return };
        if let Err(error) = node.forget_push_target(to).await {
            tracing::warn!(%error, "where a device was pushed to cannot be forgotten");
        }
    }

    /// A step was planned so long after the incident was raised.
    pub fn planned(&self, took: Duration) {
        self.tally.planned(took);
    }

    /// A vendor has a message. The first news of an incident is watched: it must not be late.
    pub async fn handed_over(&self, errand: &Errand, body: &SendBody) {
        self.tally
            .handed(errand.job.lane, self.now().since(errand.job.since));
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
            ?took,
            planned_after = ?written,
            "an SOS was handed to its first vendor late"
        );
        self.trouble(room, "late", "it was handed to a vendor late").await;
    }

    /// What follows when messages have moved: those that waited for one that failed are due, and operators hear of
    /// somebody who was not reached.
    pub async fn follow_up(&self, room: &RoomId, events: &[Event]) {
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
                    self.trouble(room, "unreached", "somebody was reached over no channel")
                        .await;
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
        if self.carries(&Destination::Pager) {
            self.add(vec![self.trouble_job(room, (kind, reason), Destination::Pager)])
                .await;
        }
    }

    /// Somebody acts: the operators' own systems are told, once. The pager is not: what it holds for acknowledged it would
    /// not bring back to anybody when the incident is left alone.
    pub fn acknowledged_jobs(&self, room: &RoomId) -> Vec<JobWrite> {
        let to = Destination::Webhook;
        if !self.carries(&to) {
            return vec![];
        }
        let content = content::of_room(Occasion::SosAcknowledged, room, &[]);
        vec![self.operators_job(room, ("acknowledged", content), to)]
    }

    /// Whoever raised an incident is under duress: every way to the operators is told of it.
    pub fn duress_jobs(&self, room: &RoomId) -> Vec<JobWrite> {
        let what = (
            "duress",
            "DURESS: it looks ended to whoever raised it, and is not",
        );
        let job = |to| self.trouble_job(room, what, to);
        self.operators().into_iter().map(job).collect()
    }

    fn trouble_job(&self, room: &RoomId, (kind, reason): (&str, &str), to: Destination) -> JobWrite {
        let content = content::of_room(Occasion::Trouble, room, &[("reason", reason)]);
        self.operators_job(room, (&format!("trouble-{kind}"), content), to)
    }

    fn operators_job(&self, room: &RoomId, (what, content): (&str, Content), to: Destination) -> JobWrite {
        let key = content::operators_key(room, what, to.channel());
        let lane = plan::lane(content.occasion);
        let body = SendBody {
            notification: None,
            state: DeliveryState::Pending,
            to,
            content,
            raised_at: None,
            expires_at: self.now() + self.settings.plan.ttl,
            progress: Progress::default(),
        };
        JobWrite::Add(NewJob {
            id: JobId::from_random(u64::from_be_bytes(random())),
            key,
            lane,
            room: None,
            whose: None,
            after: Duration::ZERO,
            body: JobBody::Send(Box::new(body)).encode(),
        })
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

    pub fn wake(&self, lane: Lane) {
        self.lanes.fetch_or(1 << lane.index(), Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Something that was in hand no longer is.
    pub fn look_up(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to be done; answers in which lanes, a bit each.
    pub async fn woken(&self) -> u8 {
        self.wake.notified().await;
        tokio::time::sleep(GATHER).await;
        self.lanes.swap(0, Ordering::AcqRel)
    }

    /// What waits, on all nodes, as of the last look.
    pub fn depth(&self) -> Vec<LaneDepth> {
        self.depth.lock().clone()
    }

    /// Which vendors are on, how each stands and how often it was left alone.
    pub fn vendors(&self) -> Vec<(Vendor, Stand, u64)> {
        let now = self.begun.elapsed();
        let breakers = self.breakers.lock();
        let all = self.providers.iter().map(|provider| {
            let breaker = breakers.get(&provider.vendor());
            let stand = breaker.map_or(Stand::Closed, |breaker| breaker.stand(now));
            (provider.vendor(), stand, breaker.map_or(0, Breaker::opened))
        });
        all.collect()
    }

    /// The worker has died and is started anew, or a job in its hands has.
    pub fn died(&self) {
        self.deaths.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    pub fn deaths(&self) -> u64 {
        self.deaths.load(Ordering::Relaxed)
    }

    pub fn counted(&self, depth: Vec<LaneDepth>) {
        for lane in &depth {
            let max = self.settings.lanes[lane.lane.index()].queue_max as u64;
            if lane.waiting > max {
                tracing::error!(
                    lane = lane.lane.as_str(),
                    waiting = lane.waiting,
                    max,
                    "too many messages wait"
                );
            }
        }
        *self.depth.lock() = depth;
    }
}
