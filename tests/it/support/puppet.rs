//! The field's Socket.IO client, under Node, as a story's puppet: one process with as many clients as the story has. It
//! hears every event in order, and a story fails on one that nobody expected.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Person;
use super::document::check_word;
use super::engine::DEADLINE;
use super::matching::misfit;

/// What one client may have heard that its story has not asked for yet.
const HEARD_MAX: usize = 10_000;

type Ears = Arc<Mutex<HashMap<u64, mpsc::Sender<Value>>>>;

/// The process.
pub struct Puppets {
    /// Ends with this.
    _child: Child,
    commands: Arc<tokio::sync::Mutex<ChildStdin>>,
    ears: Ears,
    last: AtomicU64,
}

/// A client.
pub struct Puppet {
    name: String,
    number: u64,
    commands: Arc<tokio::sync::Mutex<ChildStdin>>,
    heard: mpsc::Receiver<Value>,
    /// What came before an answer that was waited for.
    early: std::collections::VecDeque<Value>,
    asked: u64,
    log: Vec<String>,
}

/// Where npm's packages for the tests are: elsewhere than in the build's folder, so that all checkouts share them.
pub fn modules() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    let modules = cache.unwrap_or_default().join("mayday-tools/node_modules");
    assert!(
        modules.join("socket.io-client").exists(),
        "socket.io-client is missing: run scripts/setup"
    );
    modules
}

impl Puppets {
    /// Starts the process. It ends with the test, whatever becomes of that.
    pub fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/puppet.cjs");
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "node", script])
            .env("NODE_PATH", modules())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("setpriv and node are there: scripts/setup");
        let commands = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ears = Ears::default();
        let all = Arc::clone(&ears);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let heard: Value = serde_json::from_str(&line).unwrap();
                let ear = all.lock().get(&heard["client"].as_u64().unwrap()).cloned();
                if let Some(ear) = ear {
                    let _ = ear.send(heard).await;
                }
            }
        });
        Self {
            _child: child,
            commands: Arc::new(tokio::sync::Mutex::new(commands)),
            ears,
            last: AtomicU64::new(0),
        }
    }

    /// Opens a client of this person over these transports, and waits until it is connected.
    pub async fn connect(&self, name: &str, person: &Person, namespace: &str, transports: &[&str]) -> Puppet {
        let auth = person.shows();
        let mut puppet = self
            .open(
                name,
                person,
                namespace,
                json!({"transports": transports, "auth": auth}),
            )
            .await;
        puppet.expect_connect(false).await;
        puppet
    }

    /// Opens a client with these options of its own.
    pub async fn open(&self, name: &str, person: &Person, namespace: &str, options: Value) -> Puppet {
        self.open_at(name, &person.url("http", namespace), options).await
    }

    /// The same at any address.
    pub async fn open_at(&self, name: &str, url: &str, options: Value) -> Puppet {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (ear, heard) = mpsc::channel(HEARD_MAX);
        self.ears.lock().insert(number, ear);
        let puppet = Puppet {
            name: name.into(),
            number,
            commands: Arc::clone(&self.commands),
            heard,
            early: std::collections::VecDeque::new(),
            asked: 0,
            log: Vec::new(),
        };
        puppet
            .tell(json!({"do": "open", "url": url, "options": options}))
            .await;
        puppet
    }
}

impl Puppet {
    async fn tell(&self, mut command: Value) {
        command["client"] = json!(self.number);
        let line = format!("{command}\n");
        let mut to = self.commands.lock().await;
        to.write_all(line.as_bytes())
            .await
            .expect("the clients' process has ended");
    }

    /// Says something.
    pub async fn emits(&self, event: &str, args: Value) {
        self.tell(json!({"do": "emit", "event": event, "args": [args]}))
            .await;
    }

    /// Says something and waits for the acknowledgement, its first argument.
    pub async fn asks(&mut self, event: &str, args: Value) -> Value {
        self.asked += 1;
        let ask = self.asked;
        self.tell(json!({"do": "emit", "event": event, "args": [args], "ask": ask}))
            .await;
        self.answer(ask).await
    }

    /// The transport that it is on.
    pub async fn transport(&mut self) -> Value {
        self.asked += 1;
        let ask = self.asked;
        self.tell(json!({"do": "transport", "ask": ask})).await;
        self.answer(ask).await
    }

    /// It comes to be on this transport.
    pub async fn moves_to(&mut self, transport: &str) {
        let moves = async { while self.transport().await != transport {} };
        let moved = timeout(DEADLINE, moves).await;
        assert!(moved.is_ok(), "the client never came to {transport}");
    }

    /// Its connection breaks, without a word.
    pub async fn is_cut(&self) {
        self.tell(json!({"do": "cut"})).await;
    }

    /// From now on it shows another credential.
    pub async fn shows(&self, auth: Value) {
        self.tell(json!({"do": "show", "auth": auth})).await;
    }

    /// When it connects again, it is to where this person asks.
    pub async fn goes_to(&self, person: &Person) {
        self.tell(json!({"do": "go", "url": person.url("http", "")}))
            .await;
    }

    /// It leaves its namespace.
    pub async fn disconnects(&self) {
        self.tell(json!({"do": "disconnect"})).await;
    }

    /// It comes back to its namespace.
    pub async fn connects(&self) {
        self.tell(json!({"do": "connect"})).await;
    }

    async fn answer(&mut self, ask: u64) -> Value {
        loop {
            let heard = self.receive().await;
            if heard["is"] == "ack" && heard["ask"] == ask {
                return heard["args"][0].clone();
            }
            self.early.push_back(heard);
        }
    }

    async fn receive(&mut self) -> Value {
        let Ok(heard) = timeout(DEADLINE, self.heard.recv()).await else {
            panic!(
                "{} hears nothing more; heard so far:\n{}",
                self.name,
                self.log.join("\n")
            );
        };
        let heard = heard.expect("the clients' process has ended");
        if heard["is"] == "event" {
            check_word(heard["event"].as_str().unwrap(), &heard["args"][0]);
        }
        if self.log.len() == 40 {
            self.log.remove(0);
        }
        self.log.push(heard.to_string());
        heard
    }

    /// Whatever comes next.
    pub async fn hears(&mut self) -> Value {
        match self.early.pop_front() {
            Some(heard) => heard,
            None => self.receive().await,
        }
    }

    /// The next event, which must be this one and fit; answers its first argument.
    pub async fn expect(&mut self, event: &str, pattern: Value) -> Value {
        let heard = self.hears().await;
        let wanted = json!({"is": "event", "event": event});
        let body = &heard["args"][0];
        if let Some(misfit) = misfit(&wanted, &heard).or_else(|| misfit(&pattern, body)) {
            self.unexpected(&misfit, &format!("{event} {pattern}"), &heard);
        }
        body.clone()
    }

    /// One thing under each of these names, in this order.
    pub async fn expect_each(&mut self, events: &[&str], pattern: Value) {
        for event in events {
            self.expect(event, pattern.clone()).await;
        }
    }

    /// These events, each once, in whatever order; answers their first arguments in the order in which they came.
    pub async fn expect_in_any_order(&mut self, events: &[&str]) -> Vec<Value> {
        let (mut left, mut bodies) = (events.to_vec(), Vec::new());
        while !left.is_empty() {
            let heard = self.hears().await;
            match left.iter().position(|event| heard["event"] == **event) {
                Some(at) => left.remove(at),
                None => self.unexpected("is none of those left", &format!("{left:?}"), &heard),
            };
            bodies.push(heard["args"][0].clone());
        }
        bodies
    }

    /// It is connected, where it was or anew.
    pub async fn expect_connect(&mut self, recovered: bool) -> Value {
        let heard = self.hears().await;
        if let Some(misfit) = misfit(&json!({"is": "connect", "recovered": recovered}), &heard) {
            self.unexpected(&misfit, "to be connected", &heard);
        }
        heard["id"].clone()
    }

    /// It is not let in; answers the message.
    pub async fn expect_connect_error(&mut self, code: &str) -> String {
        let heard = self.hears().await;
        if let Some(misfit) = misfit(&json!({"is": "connect_error", "data": {"code": code}}), &heard) {
            self.unexpected(&misfit, "to be refused", &heard);
        }
        heard["message"].as_str().unwrap().to_owned()
    }

    /// It is no longer connected, for this reason.
    pub async fn expect_disconnect(&mut self, reason: &str) {
        let heard = self.hears().await;
        if let Some(misfit) = misfit(&json!({"is": "disconnect", "reason": reason}), &heard) {
            self.unexpected(&misfit, "to be disconnected", &heard);
        }
    }

    /// The next is an error with this code.
    pub async fn expect_error(&mut self, code: &str) -> Value {
        self.expect("error", json!({"code": code, "message": "*"})).await
    }

    /// Nothing else stands before the answer to a heartbeat: what was sent to this client before now has been heard.
    pub async fn hears_nothing_more(&mut self) {
        self.emits("heartbeat", json!({})).await;
        self.expect("heartbeat:ack", json!({"timestamp": "*"})).await;
    }

    /// Joins an incident and hears that it is in; answers who it is there.
    pub async fn joins(&mut self, sos: &str) -> Value {
        self.emits("join:sos", json!(sos)).await;
        let told = json!({"sosId": sos, "action": "user_joined", "recovered": false});
        self.expect("sos:init", told).await["userId"].clone()
    }

    fn unexpected(&self, misfit: &str, wanted: &str, heard: &Value) -> ! {
        panic!(
            "{}: {misfit}\n  expected {wanted}\n  heard    {heard}\n  after:\n{}",
            self.name,
            self.log.join("\n")
        )
    }
}
