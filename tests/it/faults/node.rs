//! The engine inside this process, on a store that can be held up or made to panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use mayday::actors::blocks::Blocks;
use mayday::actors::engine::Parts;
use mayday::actors::pass::FreePass;
use mayday::actors::room::{Act, By, Reply, Work};
use mayday::actors::session::SessionShared;
use mayday::actors::session::voice::Voice;
use mayday::actors::{Clock, Engine, NoObserver, Settings, SystemClock};
use mayday::bus::{Alone, NodeId};
use mayday::delivery::Outbox;
use mayday::domain::conduct::{Block, BlockKey, Complaint, ComplaintCursor};
use mayday::domain::ids::{DeviceId, MessageId, ParticipantId, RoomId, UserId};
use mayday::domain::location::LocationPolicy;
use mayday::domain::people::{ContactBook, Identity, Person, Role, Subject};
use mayday::domain::phone::PhoneNumber;
use mayday::domain::room::{Command, Event, Genesis, Seq, UserType};
use mayday::domain::time::Timestamp;
use mayday::store::{
    Append, AppendError, Claim, Claimed, DeadLetter, DeadPlace, DeviceRecord, Embedded, EmbeddedOptions,
    Erased, FoundMessages, HistoryFix, HistoryQuery, IdempotencyKey, IncidentQuery, IncidentRow, Job,
    JobClaim, JobWrite, KeptFix, KeptKey, LaneDepth, Listed, ListingCircle, Membership, OutboxDepth, Place,
    Purged, Receipt, Retention, Settle, Settled, Sign, Store, StoreError, StoreStats, StoredRoom, Tally,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// A store that does what the embedded one does, unless the test meddles.
pub struct Meddling {
    inner: Embedded,
    /// Each append takes one; a test that takes them all holds the store up.
    gate: Semaphore,
    /// Appends that have come to the gate.
    arrived: AtomicUsize,
    /// The append after so many more panics before it is written.
    panic_before: AtomicUsize,
    /// The append after so many more panics when it is on disk and nobody knows.
    panic_after: AtomicUsize,
}

const PERMITS: usize = 1_000_000;
const NEVER: usize = usize::MAX;

impl Meddling {
    /// No append gets through until `release`.
    pub fn hold(&self) {
        self.gate.forget_permits(PERMITS);
    }

    /// Lets appends through again.
    pub fn release(&self) {
        self.gate.add_permits(PERMITS);
    }

    /// How many appends have come so far, held up or not.
    pub fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }

    /// The append after `n` more panics before it is written.
    pub fn panic_before_write(&self, n: usize) {
        self.panic_before.store(n, Ordering::SeqCst);
    }

    /// The append after `n` more panics when it is written.
    pub fn panic_after_write(&self, n: usize) {
        self.panic_after.store(n, Ordering::SeqCst);
    }
}

impl Meddling {
    /// Whether every panic that was asked for has happened.
    pub fn has_panicked(&self) -> bool {
        [&self.panic_before, &self.panic_after]
            .iter()
            .all(|countdown| countdown.load(Ordering::SeqCst) == NEVER)
    }
}

fn is_due(countdown: &AtomicUsize) -> bool {
    let step = |left: usize| match left {
        NEVER => None,
        0 => Some(NEVER),
        left => Some(left - 1),
    };
    countdown.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step) == Ok(0)
}

#[async_trait]
impl Store for Meddling {
    async fn append(&self, append: Append) -> Result<(), AppendError> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.acquire().await.unwrap());
        assert!(
            !is_due(&self.panic_before),
            "the test wants a panic before the write"
        );
        let written = self.inner.append(append).await;
        assert!(
            !is_due(&self.panic_after),
            "the test wants a panic after the write"
        );
        written
    }

    async fn load(&self, room: &RoomId) -> Result<Option<StoredRoom>, StoreError> {
        self.inner.load(room).await
    }

    async fn events(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.inner.events(room, after, limit).await
    }

    async fn live_rooms(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        self.inner.live_rooms(after, limit).await
    }

    async fn memberships(&self, subject: &Subject) -> Result<Vec<Membership>, StoreError> {
        self.inner.memberships(subject).await
    }

    async fn circles_of(&self, subject: &Subject) -> Result<Vec<RoomId>, StoreError> {
        self.inner.circles_of(subject).await
    }

    async fn circles_listing(
        &self,
        phone: &PhoneNumber,
        limit: usize,
    ) -> Result<Vec<ListingCircle>, StoreError> {
        self.inner.circles_listing(phone, limit).await
    }

    async fn repeated(&self, key: &IdempotencyKey) -> Result<Option<RoomId>, StoreError> {
        self.inner.repeated(key).await
    }

    async fn incident(&self, room: &RoomId) -> Result<Option<IncidentRow>, StoreError> {
        self.inner.incident(room).await
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Listed>, StoreError> {
        self.inner.incidents(query).await
    }

    async fn messages(
        &self,
        room: &RoomId,
        before: Option<Seq>,
        limit: usize,
        text: Option<&str>,
    ) -> Result<FoundMessages, StoreError> {
        self.inner.messages(room, before, limit, text).await
    }

    async fn keep_fixes(&self, fixes: Vec<KeptFix>, policy: &LocationPolicy) -> Result<usize, StoreError> {
        self.inner.keep_fixes(fixes, policy).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryFix>, StoreError> {
        self.inner.history(query).await
    }

    async fn contacts(&self, owner: &Subject) -> Result<ContactBook, StoreError> {
        self.inner.contacts(owner).await
    }

    async fn put_contacts(&self, owner: &Subject, book: ContactBook) -> Result<(), StoreError> {
        self.inner.put_contacts(owner, book).await
    }

    async fn device(&self, id: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        self.inner.device(id).await
    }

    async fn put_device(&self, id: DeviceId, record: DeviceRecord) -> Result<(), StoreError> {
        self.inner.put_device(id, record).await
    }

    async fn see_devices(&self, seen: Vec<(DeviceId, Timestamp)>) -> Result<(), StoreError> {
        self.inner.see_devices(seen).await
    }

    async fn note_signs(&self, signs: Vec<Sign>) -> Result<(), StoreError> {
        self.inner.note_signs(signs).await
    }

    async fn places(
        &self,
        subject: &Subject,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        self.inner.places(subject, after, limit).await
    }

    async fn idempotency_keys(
        &self,
        subject: &Subject,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptKey>, StoreError> {
        self.inner.idempotency_keys(subject, after, limit).await
    }

    async fn tally(&self, subject: &Subject) -> Result<Tally, StoreError> {
        self.inner.tally(subject).await
    }

    async fn put_report(&self, complaint: Complaint) -> Result<(), StoreError> {
        self.inner.put_report(complaint).await
    }

    async fn reports(
        &self,
        room: Option<&RoomId>,
        after: Option<ComplaintCursor>,
        limit: usize,
    ) -> Result<Vec<Complaint>, StoreError> {
        self.inner.reports(room, after, limit).await
    }

    async fn whose(&self, who: ParticipantId) -> Result<Option<Person>, StoreError> {
        self.inner.whose(who).await
    }

    async fn put_block(&self, block: Block) -> Result<(), StoreError> {
        self.inner.put_block(block).await
    }

    async fn lift_block(&self, key: BlockKey) -> Result<bool, StoreError> {
        self.inner.lift_block(key).await
    }

    async fn block_of(&self, who: ParticipantId) -> Result<Option<Block>, StoreError> {
        self.inner.block_of(who).await
    }

    async fn blocks(&self, after: Option<BlockKey>, limit: usize) -> Result<Vec<Block>, StoreError> {
        self.inner.blocks(after, limit).await
    }

    async fn outbox_claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.inner.outbox_claim(claim).await
    }

    async fn outbox_settle(&self, settle: Vec<Settle>) -> Result<Vec<Settled>, StoreError> {
        self.inner.outbox_settle(settle).await
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        self.inner.outbox_depth().await
    }

    async fn dead_letters(
        &self,
        after: Option<DeadPlace>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead_letters(after, limit).await
    }

    async fn dead_letter(&self, room: &RoomId, seq: Seq) -> Result<Option<DeadLetter>, StoreError> {
        self.inner.dead_letter(room, seq).await
    }

    async fn put_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.inner.put_dead_letter(letter).await
    }

    async fn drop_dead_letter(&self, room: &RoomId, seq: Seq) -> Result<bool, StoreError> {
        self.inner.drop_dead_letter(room, seq).await
    }

    async fn trim_dead_letters(&self, keep: usize) -> Result<u64, StoreError> {
        self.inner.trim_dead_letters(keep).await
    }

    async fn write_jobs(&self, changes: Vec<JobWrite>) -> Result<Vec<bool>, StoreError> {
        self.inner.write_jobs(changes).await
    }

    async fn claim_jobs(&self, claim: JobClaim) -> Result<Vec<Job>, StoreError> {
        self.inner.claim_jobs(claim).await
    }

    async fn job_of(&self, key: &str) -> Result<Option<Job>, StoreError> {
        self.inner.job_of(key).await
    }

    async fn jobs_of(
        &self,
        whose: &Subject,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(Job, Timestamp)>, StoreError> {
        self.inner.jobs_of(whose, prefix, limit).await
    }

    async fn jobs_depth(&self) -> Result<Vec<LaneDepth>, StoreError> {
        self.inner.jobs_depth().await
    }

    async fn receipt(&self, reference: &str) -> Result<Option<Receipt>, StoreError> {
        self.inner.receipt(reference).await
    }

    async fn erase(&self, subject: &Subject, now: Timestamp) -> Result<Erased, StoreError> {
        self.inner.erase(subject, now).await
    }

    async fn purge(&self, now: Timestamp, retention: &Retention) -> Result<Purged, StoreError> {
        self.inner.purge(now, retention).await
    }

    async fn rebuild(&self) -> Result<u64, StoreError> {
        self.inner.rebuild().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// An engine without HTTP.
pub struct Node {
    pub engine: Engine,
    pub store: Arc<Meddling>,
    _folder: TempDir,
}

impl Node {
    /// Starts one. Needs a running actix system.
    pub fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Meddling {
            inner: Embedded::open(EmbeddedOptions::new(folder.path().join("data"))).unwrap(),
            gate: Semaphore::new(PERMITS),
            arrived: AtomicUsize::new(0),
            panic_before: AtomicUsize::new(NEVER),
            panic_after: AtomicUsize::new(NEVER),
        });
        let engine = Engine::start(Parts {
            bus: Alone::new(NodeId::from_bits(1)),
            blocks: Arc::new(Blocks::new(b"a secret of the test", 100)),
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock: Arc::new(SystemClock),
            settings,
            observer: Arc::new(NoObserver),
            lookups: None,
            chores: vec![],
        });
        Self {
            engine,
            store,
            _folder: folder,
        }
    }

    /// Somebody's connection without a socket.
    pub fn session(&self, name: &str) -> Seated {
        let identity = Arc::new(Identity {
            subject: Subject::User(UserId::new(name).unwrap()),
            role: Role::Dispatcher,
            name: Some(name.to_owned()),
            phone: None,
            email: None,
            mission: None,
            device: None,
            scopes: mayday::domain::scopes::Scopes::ALL,
        });
        let outbox = Outbox::detached(64 << 20);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let shared = SessionShared::new(identity, (outbox, Voice::Json), clock, Arc::new(FreePass), 1_000);
        Seated { shared }
    }
}

/// A connection without a socket.
pub struct Seated {
    shared: Arc<SessionShared>,
}

impl Seated {
    /// Who it is.
    pub fn identity(&self) -> &Arc<Identity> {
        self.shared.identity()
    }

    fn by(&self) -> By {
        By::Person(Arc::clone(self.shared.identity()), Some(Arc::clone(&self.shared)))
    }

    /// Gives a command; a refusal is heard like any other answer.
    pub fn says(&self, node: &Node, room: &RoomId, command: Command) {
        let reply = Reply::session(Arc::clone(&self.shared));
        let work = Work::Act(Box::new(Act::new(self.by(), command, reply)));
        let handle = node.engine.node().registry.get(room);
        if let Err((Work::Act(act), error)) = handle.hand_over(work) {
            act.reply.fail(error, SystemClock.now(), None);
        }
    }

    /// Sends a message.
    pub fn writes(&self, node: &Node, room: &RoomId, id: &str) {
        let id = MessageId::new(id).unwrap();
        let content = id.as_str().to_owned();
        self.says(node, room, Command::SendMessage { id, content });
    }

    /// What it has been told since it was asked last.
    pub fn hears(&self) -> Vec<Value> {
        let frames = self.shared.outbox().drain();
        frames
            .iter()
            .map(|frame| serde_json::from_slice(frame.payload()).unwrap())
            .collect()
    }

    /// Reads on until a message fits.
    pub async fn hears_until(&self, what: &str, mut fits: impl FnMut(&[Value]) -> bool) -> Vec<Value> {
        let heard = std::cell::RefCell::new(Vec::new());
        crate::support::eventually(what, || {
            heard.borrow_mut().extend(self.hears());
            let done = fits(&heard.borrow());
            async move { done.then_some(()) }
        })
        .await;
        heard.into_inner()
    }
}

/// Creates an incident room with its creator in it.
pub fn creates(node: &Node, owner: &Seated, room: &RoomId) {
    let command = Command::Create {
        genesis: Genesis::Circle,
        user_type: UserType::Citizen,
    };
    owner.says(node, room, command);
}

/// How many of what was heard are of this type.
pub fn count(heard: &[Value], kind: &str) -> usize {
    heard.iter().filter(|message| message["type"] == kind).count()
}
