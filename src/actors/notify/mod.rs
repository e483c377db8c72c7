//! Tells those who are not connected: contacts by text message, push, e-mail; operators by their pager.
//!
//! What is to be done is a job in the store, written with the event that causes it. Every node has one worker, which
//! claims jobs lane by lane and carries them out: `incident` looks who is to be told and plans it, `send` carries one
//! message from vendor to vendor, `news` takes in what vendors and people answer. What comes next is decided by
//! `domain::notify::plan` and by `core`, which are pure. The incident's log is the truth about each message.

mod actor;
mod body;
mod check_in;
mod content;
mod core;
mod errand;
mod incident;
mod news;
mod places;
mod send;
mod settings;
mod shared;
mod sink;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Addr, ArbiterHandle};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::actor::{NotifyActor, Stop};
pub use self::body::{BadBody, JobBody, SendBody};
pub use self::core::{Progress, RetrySettings, Stage};
pub use self::incident::operator;
pub use self::news::{Heard, acknowledge};
pub use self::settings::{LaneSettings, NotifySettings};
use self::shared::Shared;
pub use self::tally::{BOUNDS_MS, Counted, Spans, Tally};
use super::node::Node;
use crate::domain::breaker::Stand;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::Status;
use crate::domain::notify::{Lane, Vendor};
use crate::domain::room::{Event, EventBody, Genesis};
use crate::notify::Provider;
use crate::store::{JobWrite, LaneDepth};

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
        let shared = Shared::new(node, parts);
        let notifier = Self(Arc::new(Handle {
            addr: Mutex::new(NotifyActor::launch(Arc::clone(&shared), on)),
            shared,
            on: on.clone(),
            closed: AtomicBool::new(false),
        }));
        let _ = node.notifier.set(notifier.clone());
        notifier
    }

    fn shared(&self) -> &Arc<Shared> {
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
            handle.shared.died();
            *addr = NotifyActor::launch(Arc::clone(&handle.shared), &handle.on);
        }
        addr.clone()
    }

    /// What is to be done because of an event of an incident: it is written with it.
    pub fn jobs_of(&self, event: &Event) -> Vec<JobWrite> {
        if !self.0.shared.carries_anything() {
            return vec![];
        }
        let room = &event.room;
        let look = |after| JobWrite::Add(incident::incident_look(room, after));
        match &event.body {
            EventBody::Created(Genesis::Incident(_)) => vec![look(Duration::ZERO)],
            EventBody::StatusChanged { to, .. } if !to.is_open() => {
                vec![
                    look(Duration::ZERO),
                    JobWrite::Hasten(incident::incident_job(room)),
                ]
            }
            EventBody::Duress { .. } => self.0.shared.duress_jobs(room),
            EventBody::StatusChanged {
                to: Status::Active, ..
            } => vec![],
            EventBody::StatusChanged { .. } | EventBody::Acknowledged { .. } => {
                let mut jobs = self.0.shared.acknowledged_jobs(room);
                let after = self.0.shared.settings.plan.untouched_after;
                jobs.extend((!after.is_zero()).then(|| look(after)));
                jobs
            }
            _ => vec![],
        }
    }

    /// Which vendors are on, how each stands and how often it was left alone.
    pub fn vendors(&self) -> Vec<(Vendor, Stand, u64)> {
        self.0.shared.vendors()
    }

    /// What waits, on all nodes, as of the last look.
    pub fn depth(&self) -> Vec<LaneDepth> {
        self.0.shared.depth()
    }

    /// What it has done.
    pub fn tally(&self) -> &Tally {
        &self.0.shared.tally
    }

    /// How often it died and was started anew.
    pub fn deaths(&self) -> u64 {
        self.0.shared.deaths()
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
