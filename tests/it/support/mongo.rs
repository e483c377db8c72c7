//! Real MongoDB servers. They listen on this machine only, keep their data in folders of their own, and are gone when
//! the tests are, however those end.
//!
//! [`shared`] is one server for all tests that only need a database: it starts with the first of them and is ended by
//! a script that sees that nobody uses it any more. [`Set`] is a replica set of a test's own, whose members it may
//! kill.
//!
//! The store's own tests include this file, too: it uses nothing of its neighbours.

#![allow(dead_code, reason = "what one binary does not use another does")]

use std::fs::{File, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// A server is up by then, on a machine that is busy with other tests.
const START_DEADLINE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The name of every replica set.
const SET: &str = "tests";

fn tools() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let folder = cache.unwrap_or_default().join("mayday-tools/mongod");
    assert!(
        folder.join("version").exists(),
        "mongod is missing: run scripts/setup"
    );
    folder
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// What starts a server; its memory and its log are small.
fn arguments(data: &Path, port: u16) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--bind_ip",
        "127.0.0.1",
        "--nounixsocket",
        "--quiet",
        "--replSet",
        SET,
        "--wiredTigerCacheSizeGB",
        "0.25",
        "--oplogSize",
        "128",
        "--setParameter",
        "ttlMonitorSleepSecs=1",
        "--setParameter",
        "diagnosticDataCollectionEnabled=false",
        // As operators are told to: what a killed node has left open is over soon.
        "--setParameter",
        "transactionLifetimeLimitSeconds=5",
    ]
    .map(str::to_owned)
    .into();
    arguments.extend(["--dbpath".to_owned(), data.to_str().unwrap().to_owned()]);
    arguments.extend(["--logpath".to_owned(), format!("{}/log", data.to_str().unwrap())]);
    arguments.extend(["--port".to_owned(), port.to_string()]);
    arguments
}

fn mongod() -> PathBuf {
    tools().join("mongod")
}

fn libraries() -> PathBuf {
    tools().join("lib")
}

/// Waits until somebody listens.
fn listens(port: u16, mut is_alive: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + START_DEADLINE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if !is_alive() || Instant::now() > until {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

/// A client of one server, whatever it is in its set.
async fn direct(port: u16) -> Database {
    let mut options = ClientOptions::parse(format!("mongodb://127.0.0.1:{port}/?directConnection=true"))
        .await
        .unwrap();
    options.server_selection_timeout = Some(Duration::from_secs(5));
    Client::with_options(options).unwrap().database("admin")
}

/// Makes a set of servers that have none yet, and waits until it takes writes.
async fn initiate(ports: &[u16]) {
    let members: Vec<Document> = (0..)
        .zip(ports)
        .map(|(id, port)| doc! { "_id": id, "host": format!("127.0.0.1:{port}") })
        .collect();
    let config = doc! {
        "_id": SET,
        "members": members,
        "settings": { "electionTimeoutMillis": 1_000, "heartbeatIntervalMillis": 500 },
    };
    let first = direct(ports[0]).await;
    first
        .run_command(doc! { "replSetInitiate": config })
        .await
        .unwrap();
    primary(ports).await;
}

/// Which of them takes writes, once one does.
async fn primary(ports: &[u16]) -> usize {
    let until = Instant::now() + START_DEADLINE;
    loop {
        for (n, port) in ports.iter().enumerate() {
            let database = direct(*port).await;
            let hello = database.run_command(doc! { "hello": 1 }).await;
            if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
                return n;
            }
        }
        assert!(Instant::now() < until, "no server of the set takes writes");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// One server of a set.
struct Member {
    port: u16,
    data: PathBuf,
    child: Option<Child>,
}

impl Member {
    fn start(&mut self) {
        std::fs::create_dir_all(&self.data).unwrap();
        // It dies with the thread that starts it, should that be killed.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(mongod())
            .args(arguments(&self.data, self.port))
            .env("LD_LIBRARY_PATH", libraries())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let up = listens(self.port, || child.try_wait().is_ok_and(|ended| ended.is_none()));
        assert!(up, "mongod does not start: {}", self.log());
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.data.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        tail.join("\n")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A replica set of a test's own.
pub struct Set {
    members: Vec<Member>,
    _folder: TempDir,
}

impl Set {
    /// Starts one of so many members and waits until it takes writes.
    pub async fn start(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut members = Vec::new();
        for n in 0..count {
            let mut member = Member {
                port: free_port(),
                data: folder.path().join(n.to_string()),
                child: None,
            };
            member.start();
            members.push(member);
        }
        let set = Self {
            members,
            _folder: folder,
        };
        initiate(&set.ports()).await;
        set
    }

    fn ports(&self) -> Vec<u16> {
        let alive = self.members.iter().filter(|member| member.child.is_some());
        alive.map(|member| member.port).collect()
    }

    /// The process ids of those that run.
    pub fn pids(&self) -> Vec<u32> {
        let children = self.members.iter().filter_map(|member| member.child.as_ref());
        children.map(Child::id).collect()
    }

    /// Its address, with a database.
    pub fn url(&self, database: &str) -> String {
        let hosts: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("127.0.0.1:{}", member.port))
            .collect();
        format!("mongodb://{}/{database}?replicaSet={SET}", hosts.join(","))
    }

    /// Kills the primary (`kill -9`); answers which it was.
    pub async fn kill_primary(&mut self) -> usize {
        let ports = self.ports();
        let port = ports[primary(&ports).await];
        let n = self
            .members
            .iter()
            .position(|member| member.port == port)
            .unwrap();
        self.members[n].kill();
        n
    }

    /// Kills them all.
    pub fn kill_all(&mut self) {
        self.members.iter_mut().for_each(Member::kill);
    }

    /// Starts one again that was killed.
    pub fn restart(&mut self, n: usize) {
        self.members[n].start();
    }

    /// Starts all of them again.
    pub fn restart_all(&mut self) {
        self.members.iter_mut().for_each(Member::start);
    }

    /// Waits until the set takes writes.
    pub async fn is_up(&self) {
        primary(&self.ports()).await;
    }
}

/// The server that tests share; it stays as long as this process lives.
struct Lease {
    url: String,
    _users: File,
}

fn lock_file(folder: &Path, name: &str) -> File {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(name))
        .unwrap()
}

/// An address on the shared server, with a database that nobody else has.
pub async fn shared() -> String {
    static LEASE: OnceLock<Lease> = OnceLock::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    // Starting takes a while and waits for others: not on the caller's thread.
    let lease = tokio::task::spawn_blocking(|| LEASE.get_or_init(rent))
        .await
        .unwrap();
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let database = format!(
        "t{}_{n}_{}",
        std::process::id(),
        mongodb::bson::oid::ObjectId::new()
    );
    lease.url.replace("/?", &format!("/{database}?"))
}

fn rent() -> Lease {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_MANIFEST_DIR"), rustix::process::getuid().as_raw()).hash(&mut hasher);
    let folder = std::env::temp_dir().join(format!("mayday-tests-mongod-{:016x}", hasher.finish()));
    std::fs::create_dir_all(&folder).unwrap();
    // First this: from now on nobody ends a server that is there.
    let users = lock_file(&folder, "users");
    flock(&users, FlockOperation::LockShared).unwrap();
    let start = lock_file(&folder, "start");
    flock(&start, FlockOperation::LockExclusive).unwrap();
    let noted = std::fs::read_to_string(folder.join("url")).unwrap_or_default();
    let url = if is_up(&noted) { noted } else { launch(&folder) };
    drop(start);
    Lease { url, _users: users }
}

fn is_up(url: &str) -> bool {
    let address = url
        .strip_prefix("mongodb://")
        .and_then(|rest| rest.split('/').next());
    address.is_some_and(|address| TcpStream::connect(address).is_ok())
}

fn launch(folder: &Path) -> String {
    let port = free_port();
    let data = folder.join(format!("data-{port}"));
    std::fs::create_dir_all(&data).unwrap();
    let mut keeper = Command::new("setsid")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/support/mongod-shared"
        ))
        .arg(folder)
        .arg(port.to_string())
        .arg(std::os::unix::process::parent_id().to_string())
        .arg(mongod())
        .args(arguments(&data, port))
        .env("LD_LIBRARY_PATH", libraries())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let up = listens(port, || keeper.try_wait().is_ok_and(|ended| ended.is_none()));
    let log = || std::fs::read_to_string(data.join("log")).unwrap_or_default();
    assert!(up, "mongod does not start: {}", log());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(initiate(&[port]));
    let url = format!("mongodb://127.0.0.1:{port}/?replicaSet={SET}");
    std::fs::write(folder.join("url"), &url).unwrap();
    url
}
