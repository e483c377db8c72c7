//! What operators follow, as whoever serves it to them sees it.

mod alone;
mod cluster;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mayday::actors::Engine;
use mayday::actors::ops::{Cursor, Filter, Following, OpsEvent, OpsPosition, OpsPositions, OpsSink};
use mayday::domain::ids::{RoomId, UserId};
use mayday::domain::incident::{Report, Status};
use mayday::domain::people::{Identity, Role, Subject};
use mayday::domain::room::{Command, Proof};
use mayday::domain::scopes::Scopes;
use mayday::store::Store;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::support::eventually;

/// Somebody who follows, and remembers all of it.
pub struct Ear {
    events: Mutex<Vec<Arc<OpsEvent>>>,
    positions: Mutex<Vec<OpsPosition>>,
    /// Where it began, and whether after a gap.
    begun: Mutex<Vec<(Cursor, bool)>>,
    open: AtomicBool,
    queued: watch::Sender<usize>,
}

impl Ear {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::default(),
            positions: Mutex::default(),
            begun: Mutex::default(),
            open: AtomicBool::new(true),
            queued: watch::Sender::new(0),
        })
    }

    pub fn count(&self) -> usize {
        self.events.lock().len()
    }

    pub fn begun(&self) -> Vec<(Cursor, bool)> {
        self.begun.lock().clone()
    }

    pub fn gaps(&self) -> usize {
        self.begun().iter().filter(|(_, gap)| *gap).count()
    }

    pub fn events(&self) -> Vec<Arc<OpsEvent>> {
        self.events.lock().clone()
    }

    /// Incidents with their numbers.
    pub fn told(&self) -> Vec<(RoomId, u64)> {
        let events = self.events.lock();
        let told = |event: &Arc<OpsEvent>| (event.event.room.clone(), event.event.seq.get());
        events.iter().map(told).collect()
    }

    pub fn positions(&self) -> Vec<OpsPosition> {
        self.positions.lock().clone()
    }

    /// Pretends that so many bytes wait.
    pub fn queue(&self, bytes: usize) {
        self.queued.send_replace(bytes);
    }

    pub fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
    }

    pub async fn hears(&self, count: usize) {
        eventually("all of it is heard", || async {
            (self.count() >= count).then_some(())
        })
        .await;
    }
}

impl OpsSink for Ear {
    fn event(&self, event: &Arc<OpsEvent>) {
        self.events.lock().push(Arc::clone(event));
    }

    fn positions(&self, positions: &Arc<OpsPositions>) {
        self.positions.lock().extend(positions.positions.iter().cloned());
    }

    fn begins(&self, cursor: Cursor, gap: bool) {
        self.begun.lock().push((cursor, gap));
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    fn queued_bytes(&self) -> usize {
        *self.queued.borrow()
    }

    fn drained(&self, below: usize) -> BoxFuture<'static, ()> {
        let mut queued = self.queued.subscribe();
        async move {
            let _ = queued.wait_for(|queued| *queued <= below).await;
        }
        .boxed()
    }
}

/// Begins to follow everything; without a cursor it hears what happens from now on.
pub async fn follow(engine: &Engine, ear: &Arc<Ear>, cursor: Option<Cursor>) -> Following {
    let sink = Arc::clone(ear) as Arc<dyn OpsSink>;
    let following = engine.node().ops.follow(Filter::default(), cursor, sink).unwrap();
    if cursor.is_none() {
        eventually("it begins", || async { (!ear.begun().is_empty()).then_some(()) }).await;
    }
    following
}

pub fn person(name: &str) -> Arc<Identity> {
    Arc::new(Identity {
        subject: Subject::User(UserId::new(name).unwrap()),
        role: Role::Admin,
        name: Some(name.to_owned()),
        phone: None,
        email: None,
        mission: None,
        device: None,
        scopes: Scopes::ALL,
    })
}

pub fn report() -> Report {
    crate::nodes::cluster::report()
}

/// Raises an incident.
pub async fn raise(engine: &Engine, who: &str) -> RoomId {
    engine.create_sos(&person(who), report(), None).await.unwrap().sos
}

/// Moves one along.
pub async fn set(engine: &Engine, sos: &RoomId, to: Status) {
    let command = Command::SetStatus {
        to,
        expected: None,
        note: None,
        lower_case: false,
        proof: Proof::Nothing,
    };
    engine.act(sos, &person("staff"), command, None).await.unwrap();
}

/// Says something in one.
pub async fn say(engine: &Engine, sos: &RoomId, who: &str, words: &str) {
    let command = Command::SendMessage {
        id: mayday::domain::ids::MessageId::new(words.replace(' ', "-")).unwrap(),
        content: words.to_owned(),
    };
    engine.act(sos, &person(who), command, None).await.unwrap();
}

/// What was heard has each incident's events in order, each once, and all that the store has.
pub async fn is_whole(store: &dyn Store, told: &[(RoomId, u64)], incidents: &[RoomId]) {
    let mut heads: HashMap<&RoomId, u64> = HashMap::new();
    for (room, seq) in told {
        let head = heads.entry(room).or_default();
        assert_eq!(*seq, *head + 1, "in {room}");
        *head = *seq;
    }
    for room in incidents {
        let row = store.incident(room).await.unwrap().unwrap();
        assert_eq!(heads.get(room), Some(&row.seq.get()), "all of {room}");
    }
}

/// How many events the store has of these.
pub async fn total(store: &dyn Store, incidents: &[RoomId]) -> usize {
    let rows = store.incidents_of(incidents).await.unwrap();
    rows.iter()
        .map(|row| usize::try_from(row.seq.get()).unwrap())
        .sum()
}
