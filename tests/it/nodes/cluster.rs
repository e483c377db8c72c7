//! The nodes, and those who are connected to them.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mayday::actors::blocks::Blocks;
use mayday::actors::engine::Parts;
use mayday::actors::pass::FreePass;
use mayday::actors::room::{Act, By, Outcome, Reply, Work};
use mayday::actors::session::SessionShared;
use mayday::actors::session::voice::Voice;
use mayday::actors::settings::ClusterSettings;
use mayday::actors::{Clock, CommandError, Engine, NoObserver, Settings, SystemClock};
use mayday::bus::{Hub, NodeId};
use mayday::delivery::Outbox;
use mayday::domain::geo::Position;
use mayday::domain::ids::{MessageId, RoomId, UserId};
use mayday::domain::incident::{Address, IncidentType, Report, Severity, Visibility};
use mayday::domain::people::{Identity, Role, Subject};
use mayday::domain::phone::{PhoneNumber, Region};
use mayday::domain::room::{Command, Event, Genesis, Seq, UserType};
use mayday::domain::time::Timestamp;
use mayday::store::{Embedded, EmbeddedOptions, Store};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::eventually;

/// Where everything happens.
pub const HERE: (f64, f64) = (14.5995, 120.9842);

/// The machine's time, and what a test adds to it.
#[derive(Default)]
pub struct Later(AtomicI64);

impl Later {
    /// From now on it is later by `by`.
    pub fn pass(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(SystemClock.now().ms() + self.0.load(Ordering::SeqCst))
    }
}

/// Several nodes.
pub struct Cluster {
    pub hub: Arc<Hub>,
    pub store: Arc<Embedded>,
    pub clock: Arc<Later>,
    pub nodes: Vec<Engine>,
    settings: Settings,
    _folder: TempDir,
}

impl Cluster {
    /// So many nodes that know each other. Needs a running actix system.
    pub async fn start(nodes: usize) -> Self {
        Self::with(nodes, |_| ()).await
    }

    /// With other settings.
    pub async fn with(nodes: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(EmbeddedOptions::new(folder.path().join("data"))).unwrap();
        let mut settings = Settings {
            sweep: Duration::from_millis(100),
            cluster: ClusterSettings {
                heartbeat: Duration::from_millis(20),
                compare_every: Duration::from_millis(300),
                ..ClusterSettings::default()
            },
            ..Settings::default()
        };
        change(&mut settings);
        let mut cluster = Self {
            hub: Hub::start(),
            store: Arc::new(store),
            clock: Arc::default(),
            nodes: vec![],
            settings,
            _folder: folder,
        };
        for _ in 0..nodes {
            cluster.join();
        }
        cluster.know_each_other(nodes).await;
        cluster
    }

    /// One more node.
    pub fn join(&mut self) -> usize {
        let engine = Engine::start(Parts {
            bus: self.hub.join(),
            blocks: Arc::new(Blocks::new(b"a secret of the test", 100)),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            settings: self.settings.clone(),
            observer: Arc::new(NoObserver),
            lookups: None,
            chores: vec![],
        });
        self.nodes.push(engine);
        self.nodes.len() - 1
    }

    /// Waits until the first `n` nodes know of `n` nodes.
    pub async fn know_each_other(&self, n: usize) {
        eventually("the nodes know each other", || async {
            let knows = |engine: &Engine| engine.node().cluster.peers.alive().len() == n;
            self.nodes.iter().rev().take(n).all(knows).then_some(())
        })
        .await;
    }

    /// A node's name.
    pub fn id(&self, node: usize) -> NodeId {
        self.nodes[node].node().bus.node()
    }

    /// A node dies: it is heard of no more.
    pub fn kill(&self, node: usize) {
        self.hub.kill(self.id(node));
    }

    /// Somebody who is connected to a node, without a socket.
    pub fn guest(&self, node: usize, name: &str) -> Guest {
        self.connect(node, person(name, Role::Dispatcher, None))
    }

    /// A citizen with a number, who is connected to a node.
    pub fn citizen(&self, node: usize, name: &str, number: u32) -> Guest {
        self.connect(node, person(name, Role::Citizen, Some(phone(number))))
    }

    /// Somebody connects to a node.
    pub fn connect(&self, node: usize, identity: Identity) -> Guest {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let outbox = Outbox::detached(64 << 20);
        let shared = SessionShared::new(
            Arc::new(identity),
            (outbox, Voice::Json),
            clock,
            Arc::new(FreePass),
            1_000,
        );
        let engine = self.nodes[node].clone();
        engine.node().directory.add(&shared);
        Guest {
            engine,
            shared,
            heard: RefCell::default(),
        }
    }

    /// What the log of a room says.
    pub async fn log(&self, room: &RoomId) -> Vec<Event> {
        self.store.events(room, Seq::ZERO, 1_000_000).await.unwrap()
    }
}

/// Somebody.
pub fn person(name: &str, role: Role, phone: Option<PhoneNumber>) -> Identity {
    Identity {
        subject: Subject::User(UserId::new(name).unwrap()),
        role,
        name: Some(name.to_owned()),
        phone,
        email: None,
        mission: None,
        device: None,
        scopes: mayday::domain::scopes::Scopes::ALL,
    }
}

/// A number of its own.
pub fn phone(n: u32) -> PhoneNumber {
    PhoneNumber::parse(&format!("+63917{n:07}"), Region::new("PH").unwrap()).unwrap()
}

/// A fire that anybody may see.
pub fn report() -> Report {
    Report {
        kind: IncidentType::Fire,
        message: "the roof is burning".into(),
        silent: false,
        drill: false,
        raised_at: None,
        guarded: false,
        severity: Severity::High,
        position: Some(Position::new(HERE.0, HERE.1).unwrap()),
        accuracy: None,
        address: Address::default(),
        city_id: None,
        visibility: Visibility::Public,
        trip_id: None,
        booking_id: None,
        raised_from: vec![],
    }
}

/// Somebody who is connected to a node.
pub struct Guest {
    pub engine: Engine,
    pub shared: Arc<SessionShared>,
    heard: RefCell<Vec<Value>>,
}

impl Guest {
    /// Who they are.
    pub fn identity(&self) -> &Arc<Identity> {
        self.shared.identity()
    }

    fn act(&self, command: Command, since: Option<u64>) -> Act {
        let by = By::Person(Arc::clone(self.identity()), Some(Arc::clone(&self.shared)));
        let mut act = Act::new(by, command, Reply::session(Arc::clone(&self.shared)));
        act.since = since.map(Seq::new);
        act
    }

    fn hand(&self, room: &RoomId, act: Act) {
        if let Err((Work::Act(act), error)) =
            self.engine.node().room(room).hand_over(Work::Act(Box::new(act)))
        {
            act.reply.fail(error, SystemClock.now(), None);
        }
    }

    /// Gives a command over the socket; a refusal is heard like any other answer.
    pub fn says(&self, room: &RoomId, command: Command) {
        self.hand(room, self.act(command, None));
    }

    /// Joins, and waits until they are in.
    pub async fn joins(&self, room: &RoomId) {
        self.asks_to_join(room, None);
        self.hears("join-approved").await;
    }

    /// Joins, and wants what happened after `since`.
    pub fn asks_to_join(&self, room: &RoomId, since: Option<u64>) {
        let user_type = UserType::Citizen;
        self.hand(room, self.act(Command::Join { user_type }, since));
    }

    /// Makes a circle, and waits until they are in.
    pub async fn makes_circle(&self, room: &RoomId) {
        let book = self.engine.contacts(self.identity()).await.unwrap();
        let genesis = Genesis::Circle;
        let user_type = UserType::Citizen;
        let mut act = self.act(Command::Create { genesis, user_type }, None);
        act.contacts = Some(Arc::new(book));
        self.hand(room, act);
        self.hears("room-created").await;
    }

    /// Makes an incident, and waits until they are in.
    pub async fn raises(&self, room: &RoomId) {
        let genesis = Genesis::Incident(Box::new(report()));
        let user_type = UserType::Citizen;
        self.says(room, Command::Create { genesis, user_type });
        self.hears("room-created").await;
    }

    /// Sends a message over the socket.
    pub fn writes(&self, room: &RoomId, id: &str) {
        let id = MessageId::new(id).unwrap();
        let content = id.as_str().to_owned();
        self.says(room, Command::SendMessage { id, content });
    }

    /// Gives a command by REST.
    pub async fn calls(&self, room: &RoomId, command: Command) -> Result<Outcome, CommandError> {
        self.engine.act(room, self.identity(), command, None).await
    }

    /// The connection ends.
    pub fn goes(&self) {
        self.engine.node().directory.remove(&self.shared);
        for room in self.shared.end() {
            if let Some(room) = self.engine.node().registry.peek(&room) {
                room.depart(self.shared.id());
            }
        }
    }

    /// All that they have heard so far.
    pub fn all_heard(&self) -> Vec<Value> {
        let frames = self.shared.outbox().drain();
        let read = frames
            .iter()
            .map(|frame| serde_json::from_slice(frame.payload()).unwrap());
        self.heard.borrow_mut().extend(read);
        self.heard.borrow().clone()
    }

    /// What they have heard of one type.
    pub fn all_of(&self, kind: &str) -> Vec<Value> {
        let mut heard = self.all_heard();
        heard.retain(|message| message["type"] == kind);
        heard
    }

    /// Waits for the first message of a type.
    pub async fn hears(&self, kind: &str) -> Value {
        self.hears_that(kind, |_| true).await
    }

    /// Waits for the first message of a type that fits.
    pub async fn hears_that(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{kind} is heard"), || async {
            self.all_of(kind).into_iter().find(|message| fits(message))
        })
        .await
    }

    /// Waits until they have heard so many messages of a type.
    pub async fn hears_times(&self, kind: &str, times: usize) -> Vec<Value> {
        eventually(&format!("{kind} is heard {times} times"), || async {
            let heard = self.all_of(kind);
            (heard.len() >= times).then_some(heard)
        })
        .await
    }

    /// The `seq` of what they have heard, where there is one.
    pub fn seqs(&self) -> Vec<u64> {
        let events = |message: &Value| {
            let kind = message["type"].as_str().unwrap_or_default();
            let answer = matches!(
                kind,
                "join-approved" | "message-accepted" | "room-created" | "auto-joined" | "history"
            );
            (!answer).then(|| message["seq"].as_u64()).flatten()
        };
        self.all_heard().iter().filter_map(events).collect()
    }
}

/// Asserts that everything was heard once and in order, from the first on.
pub fn each_once_in_order(seqs: &[u64]) {
    for pair in seqs.windows(2) {
        assert!(pair[0] < pair[1], "out of order or twice: {seqs:?}");
    }
}
