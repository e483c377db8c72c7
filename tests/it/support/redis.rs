//! Real Redis servers: one alone, one with sentinels, a cluster. Each listens on a free port of this machine, has a
//! folder of its own, and is ended by its process id, also when the test panics or is killed.

#![allow(dead_code, reason = "what one binary does not use another does")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server says that it is there by then; one takes 50 ms when nothing else runs.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// A cluster or its sentinels agree by then.
const AGREE_DEADLINE: Duration = Duration::from_secs(60);
/// Below the ports that the system hands out to clients, so that one that was killed finds its port free again.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// How often a port is tried that somebody else took at the same moment.
const PORT_TRIES: usize = 20;
/// The name of the master that the sentinels watch.
pub const MASTER: &str = "engine";

/// One process.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    /// With `--sentinel` and a file of its own, which it rewrites.
    is_sentinel: bool,
    arguments: Vec<String>,
    folder: TempDir,
    log: Arc<Mutex<String>>,
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    loop {
        let mut random = [0u8; 2];
        getrandom::fill(&mut random).unwrap();
        let span = PORTS.end - PORTS.start;
        let port = PORTS.start + u16::from_le_bytes(random) % span;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Redis {
    /// One server that keeps nothing.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with further settings: `("--requirepass", "…")`.
    pub fn with(arguments: &[&str]) -> Self {
        Self::launch(false, |_, _| {
            arguments.iter().map(|part| (*part).into()).collect()
        })
    }

    /// Tries ports until one is its own.
    fn launch(is_sentinel: bool, arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        for _ in 0..PORT_TRIES {
            let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
            let mut redis = Self {
                child: None,
                port,
                is_sentinel,
                arguments: arguments(port, folder.path()),
                folder,
                log: Arc::default(),
            };
            if redis.run() {
                return redis;
            }
        }
        panic!("no port is free for a Redis");
    }

    fn command(&self) -> Command {
        // The kernel ends it with the thread that started it, so that nothing is left behind when a test is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "redis-server"]);
        if self.is_sentinel {
            command.arg(self.sentinel_file()).arg("--sentinel");
        } else {
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.arg("--dir").arg(self.folder.path());
            if !self.arguments.iter().any(|argument| argument == "--port") {
                command.arg("--port").arg(self.port.to_string());
            }
            command.args(&self.arguments);
        }
        command
    }

    fn sentinel_file(&self) -> PathBuf {
        self.folder.path().join("sentinel.conf")
    }

    /// Starts it; whether it got its port.
    fn run(&mut self) -> bool {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| missing("redis-server", &error));
        let (lines, heard) = sync_channel(1_024);
        let (out, log) = (
            BufReader::new(child.stdout.take().unwrap()),
            Arc::clone(&self.log),
        );
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = writeln!(log.lock().unwrap(), "{line}");
                let _ = lines.try_send(line);
            }
        });
        let there = if self.is_sentinel {
            "+monitor master"
        } else {
            "Ready to accept connections"
        };
        if wait_for_line(&heard, there) {
            self.child = Some(child);
            return true;
        }
        let _ = child.kill();
        let _ = child.wait();
        let log = self.log.lock().unwrap().clone();
        assert!(log.contains("in use"), "redis-server does not start:\n{log}");
        false
    }

    /// Starts it again on the same port with what is left in its folder.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the server is running");
        let until = Instant::now() + START_DEADLINE;
        while !self.run() {
            assert!(Instant::now() < until, "the port is taken");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("the server is running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it where it is: its connections stand, but nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server is running");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL for the settings.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` answers.
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log.lock().unwrap();
            let tail: Vec<_> = log.lines().rev().take(15).collect();
            eprintln!("--- the Redis on port {}, its last lines ---", self.port);
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

fn missing(program: &str, error: &std::io::Error) -> ! {
    if error.kind() == ErrorKind::NotFound {
        panic!("{program} is not installed: run scripts/setup");
    }
    panic!("{program} does not start: {error}");
}

fn wait_for_line(heard: &Receiver<String>, wanted: &str) -> bool {
    let until = Instant::now() + START_DEADLINE;
    loop {
        match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(wanted) => return true,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => panic!("redis-server does not say {wanted:?}"),
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| missing("redis-cli", &error));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until servers agree on something; nothing announces it.
fn agree(what: &str, look: impl Fn() -> bool) {
    let until = Instant::now() + AGREE_DEADLINE;
    while !look() {
        assert!(Instant::now() < until, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A master, its replica, and three sentinels that replace it within about two seconds.
pub struct Sentinels {
    /// The master at first, then its replica.
    pub servers: [Redis; 2],
    sentinels: Vec<Redis>,
}

impl Sentinels {
    /// Starts them, and waits until they know each other.
    pub fn start() -> Self {
        let master = Redis::start();
        let of = master.port().to_string();
        let replica = Redis::with(&["--replicaof", "127.0.0.1", &of, "--repl-diskless-sync-delay", "0"]);
        let sentinels: Vec<_> = (0..3)
            .map(|_| {
                Redis::launch(true, |port, folder| {
                    let text = format!(
                        "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {of} 2\n\
                         sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 3000\n",
                        folder.display()
                    );
                    std::fs::write(folder.join("sentinel.conf"), text).unwrap();
                    Vec::new()
                })
            })
            .collect();
        agree("the replica follows its master", || {
            replica
                .cli(&["info", "replication"])
                .contains("master_link_status:up")
        });
        agree("the sentinels know each other and the replica", || {
            sentinels.iter().all(|sentinel| {
                let about = sentinel.cli(&["sentinel", "master", MASTER]);
                let field = |name: &str| about.lines().skip_while(|line| *line != name).nth(1);
                field("num-other-sentinels") == Some("2") && field("num-slaves") == Some("1")
            })
        });
        let servers = [master, replica];
        Self { servers, sentinels }
    }

    /// Stops all where they are.
    pub fn freeze(&self) {
        self.servers.iter().chain(&self.sentinels).for_each(Redis::freeze);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.servers.iter().chain(&self.sentinels).for_each(Redis::thaw);
    }

    /// Their URL for the settings.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port()))
            .collect();
        format!("redis+sentinel://{}/{MASTER}", hosts.join(","))
    }
}

/// Three primaries, each with a replica; when a primary dies its replica takes over within about four seconds.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts them, and waits until they are a cluster.
    pub fn start() -> Self {
        let nodes: Vec<_> = (0..6)
            .map(|_| {
                Redis::launch(false, |_, _| {
                    let bus = free_port().to_string();
                    let arguments = [
                        "--cluster-enabled",
                        "yes",
                        "--cluster-port",
                        &bus,
                        "--cluster-node-timeout",
                        "1500",
                        // Or a primary that is killed soon after the beginning is never replaced.
                        "--repl-diskless-sync-delay",
                        "0",
                    ];
                    arguments.map(String::from).into()
                })
            })
            .collect();
        let addresses: Vec<_> = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        let said = nodes[0].cli(&create);
        assert!(said.contains("All 16384 slots covered"), "no cluster:\n{said}");
        agree("every node knows the cluster, every replica its primary", || {
            nodes.iter().all(|node| {
                let replication = node.cli(&["info", "replication"]);
                node.cli(&["cluster", "info"]).contains("cluster_state:ok")
                    && (replication.contains("role:master") && replication.contains("connected_slaves:1")
                        || replication.contains("master_link_status:up"))
            })
        });
        Self { nodes }
    }

    /// Stops all nodes where they are.
    pub fn freeze(&self) {
        self.nodes.iter().for_each(Redis::freeze);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.nodes.iter().for_each(Redis::thaw);
    }

    /// Its URL for the settings: some of the nodes.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The primary that keeps `key` now.
    pub fn primary_of(&mut self, key: &str) -> &mut Redis {
        let alive = self.nodes.iter().find(|node| node.child.is_some()).unwrap();
        let slot: u16 = alive.cli(&["cluster", "keyslot", key]).parse().unwrap();
        let nodes = alive.cli(&["cluster", "nodes"]);
        let serves = |range: &str| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if (from..=to).contains(&slot))
        };
        let port = nodes
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|fields| !fields[2].contains("fail") && fields.iter().skip(8).any(|range| serves(range)))
            .and_then(|fields| {
                fields[1]
                    .split(['@', ','])
                    .next()?
                    .rsplit(':')
                    .next()?
                    .parse()
                    .ok()
            });
        let port: u16 = port.unwrap_or_else(|| panic!("nobody keeps slot {slot}:\n{nodes}"));
        let node = self.nodes.iter_mut().find(|node| node.port() == port);
        node.expect("the port is one of ours")
    }

    /// Whether all slots are served.
    pub fn is_well(&self) -> bool {
        let mut alive = self.nodes.iter().filter(|node| node.child.is_some());
        alive.all(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"))
    }
}
