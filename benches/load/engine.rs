//! The engine under test: started on a free port with a data folder of its own, read from /proc, ended by its
//! process id; with `--nodes`, so many of them over one MongoDB and one Redis. Or one that runs already.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::thread::CpuSet;

use crate::Result;
use crate::cli::Common;
use crate::servers::Servers;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const METRICS_LIMIT: Duration = Duration::from_secs(10);

/// A load is not abuse: what guards the engine against many requests of one origin is switched off.
const NO_LIMITS: &[&str] = &[
    "SOS_PER_HOUR",
    "USER_SOS_PER_HOUR",
    "ANON_REQUESTS",
    "USER_REQUESTS",
    "LOCATIONS_PER_MINUTE",
    "ANON_WRITES",
    "USER_WRITES",
    "REGISTRATIONS_PER_HOUR",
    "CONNECTS_PER_MINUTE",
    "REPORTS_PER_HOUR",
    "ADDRESS_SOS_PER_HOUR",
    "ADDRESS_SOS_MAX_PER_HOUR",
    "ADDRESS_REQUESTS",
    "ADDRESS_WRITES",
    "ADDRESS_LOCATIONS_PER_MINUTE",
    "ADDRESS_REGISTRATIONS_PER_HOUR",
    "ADDRESS_CONNECTS_PER_MINUTE",
    "ADDRESS_REPORTS_PER_HOUR",
    "CONNECTIONS_PER_ADDRESS",
    "CONNECTIONS_PER_SUBJECT",
    "HTTP_CONNECTIONS_PER_ADDRESS",
    "MESSAGES_PER_SECOND",
];

/// A running engine: one node, or many as one.
pub struct Engine {
    nodes: Vec<Node>,
    /// After the nodes, so that it ends after them.
    servers: Option<Servers>,
}

/// One process of the engine.
struct Node {
    addr: SocketAddr,
    pid: Option<u32>,
    child: Option<Child>,
    log: Option<PathBuf>,
    _data: Option<tempfile::TempDir>,
}

/// What the engine has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
}

impl Engine {
    /// Starts the engine, or takes the one at `--url`.
    pub fn start(common: &Common, settings: &[(&str, String)]) -> Result<Self> {
        let mut engine = Self {
            nodes: Vec::new(),
            servers: None,
        };
        if let Some(url) = &common.url {
            for (key, value) in settings {
                eprintln!("load: the scenario counts on {key}={value} at {url}");
            }
            engine.nodes.push(Node {
                addr: address_of(url)?,
                pid: common.pid,
                child: None,
                log: None,
                _data: None,
            });
        } else {
            let mut settings: Vec<(String, String)> = settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect();
            if common.nodes.is_some() {
                let servers = engine.servers.insert(Servers::start()?);
                settings.extend(servers.settings());
            }
            for number in 0..usize::from(common.nodes.unwrap_or(1)) {
                engine.nodes.push(Node::launch(common, &settings, number)?);
            }
        }
        if let Some(cores) = &common.client_cores {
            pin(cores)?;
        }
        Ok(engine)
    }

    /// Where its nodes listen.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.addr).collect()
    }

    /// The last lines of its logs, for a message about its failure.
    pub fn log_tail(&self) -> String {
        let tails: Vec<String> = self.nodes.iter().map(Node::log_tail).collect();
        tails.join("\n")
    }

    /// CPU time and resident memory of all nodes, zeros when the process is not known.
    pub fn usage(&self) -> Usage {
        let mut all = Usage::default();
        for node in &self.nodes {
            let one = node.pid.map_or_else(Usage::default, usage_of);
            all.cpu_seconds += one.cpu_seconds;
            all.resident_bytes += one.resident_bytes;
        }
        all
    }

    /// The CPU time of Redis and of MongoDB so far, in seconds; `None` without them.
    pub fn servers_cpu(&self) -> Option<[f64; 2]> {
        self.servers.as_ref().map(Servers::cpu_seconds)
    }

    /// The same since then.
    pub fn servers_cpu_since(&self, then: Option<[f64; 2]>) -> Option<[f64; 2]> {
        let (now, then) = self.servers_cpu().zip(then)?;
        Some([now[0] - then[0], now[1] - then[1]])
    }

    /// Whether `usage` tells anything.
    pub fn is_measured(&self) -> bool {
        self.nodes.iter().all(|node| node.pid.is_some())
    }

    /// A metric with its labels, as `/metrics` tells it, summed over the nodes.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let mut sum = 0.0;
        for node in &self.nodes {
            let text = metrics_of(node.addr)?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            sum += line.map_or(Ok(0.0), str::parse::<f64>)?;
        }
        Ok(sum)
    }

    /// How many file descriptors a node may have open.
    pub fn descriptor_limit(&self) -> Option<u64> {
        let pid = self.nodes.first()?.pid?;
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
        line.split_whitespace().nth(3)?.parse().ok()
    }

    /// Whether the processes that the tool started still run.
    pub fn is_alive(&mut self) -> bool {
        self.nodes.iter_mut().all(Node::is_alive)
    }

    /// Ends what the tool started and says how it went.
    pub fn stop(mut self) -> Result<Option<String>> {
        let mut bad = None;
        for node in self.nodes.drain(..) {
            bad = bad.or(node.stop()?);
        }
        Ok(bad)
    }
}

impl Node {
    fn launch(common: &Common, settings: &[(String, String)], number: usize) -> Result<Self> {
        let data = match &common.data_in {
            Some(folder) => tempfile::TempDir::new_in(folder)?,
            None => tempfile::TempDir::new()?,
        };
        let log = match &common.engine_log {
            Some(log) if number == 0 => log.clone(),
            Some(log) => PathBuf::from(format!("{}.{number}", log.display())),
            None => data.path().join("engine.log"),
        };
        let program = common
            .engine
            .clone()
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_mayday")));
        let mut command = Command::new(&program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .env("MAYDAY__HTTP__HOST", "127.0.0.1")
            .env("MAYDAY__HTTP__PORT", "0")
            .env("MAYDAY__DATA__PATH", data.path().join("data"))
            .env("MAYDAY__AUTH__JWT_SECRET", &common.jwt_secret);
        for limit in NO_LIMITS {
            command.env(format!("MAYDAY__LIMITS__{limit}"), "0");
        }
        for (key, value) in settings {
            command.env(key, value);
        }
        for setting in &common.settings {
            let (key, value) = setting.split_once('=').ok_or("--env wants KEY=VALUE")?;
            command.env(key, value);
        }
        // A child has its parent's cores from the first instruction on; all its threads then do.
        let own = rustix::thread::sched_getaffinity(None)?;
        if let Some(cores) = &common.server_cores {
            pin(cores)?;
        }
        let spawned = command.spawn();
        rustix::thread::sched_setaffinity(None, &own)?;
        let mut child = spawned.map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let stdout = child.stdout.take().ok_or("the engine has no stdout")?;
        let pid = child.id();
        let mut node = Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            pid: Some(pid),
            child: Some(child),
            log: Some(log),
            _data: Some(data),
        };
        match node.wait_for_address(stdout) {
            Ok(addr) => {
                node.addr = addr;
                Ok(node)
            }
            Err(error) => Err(format!("{error}\n{}", node.log_tail()).into()),
        }
    }

    fn wait_for_address(&mut self, stdout: std::process::ChildStdout) -> Result<SocketAddr> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                if let Some(url) = line.trim().strip_prefix("listening on ")
                    && let Some(tell) = tell.take()
                {
                    let _ = tell.send(url.to_owned());
                }
            }
        });
        match told.recv_timeout(START_LIMIT) {
            Ok(url) => address_of(&url),
            Err(_) => Err("the engine did not say `listening on http://...` on its stdout".into()),
        }
    }

    fn log_tail(&self) -> String {
        let Some(log) = &self.log else {
            return String::new();
        };
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn is_alive(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends it, if the tool started it, and says how it went.
    fn stop(mut self) -> Result<Option<String>> {
        let Some(mut child) = self.child.take() else {
            return Ok(None);
        };
        if let Some(status) = child.try_wait()? {
            return Ok(Some(format!(
                "the engine had ended by itself: {status}\n{}",
                self.log_tail()
            )));
        }
        let began = Instant::now();
        terminate(&child)?;
        while began.elapsed() < STOP_LIMIT {
            if let Some(status) = child.try_wait()? {
                let bad = (!status.success()).then(|| format!("the engine ended with {status}"));
                return Ok(bad);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        Ok(Some(format!(
            "the engine did not end within {} s of SIGTERM",
            STOP_LIMIT.as_secs()
        )))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn terminate(child: &Child) -> Result<()> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or("no process id")?;
    rustix::process::kill_process(pid, Signal::TERM)?;
    Ok(())
}

/// What a node says of itself.
fn metrics_of(addr: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(METRICS_LIMIT))?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// CPU time and resident memory of a process.
pub fn usage_of(pid: u32) -> Usage {
    Usage {
        cpu_seconds: cpu_seconds(pid).unwrap_or_default(),
        resident_bytes: resident_bytes(pid).unwrap_or_default(),
    }
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields after it are numbers.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    // USER_HZ is 100 on every Linux there is.
    Some((user + system) / 100.0)
}

fn resident_bytes(pid: u32) -> Option<u64> {
    // The rollup walks the pages: exact, where statm lags by some pages for each thread.
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find(|line| line.starts_with("Rss:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn address_of(url: &str) -> Result<SocketAddr> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let host = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    host.to_socket_addrs()?
        .find(SocketAddr::is_ipv4)
        .ok_or_else(|| format!("no IPv4 address for {url}").into())
}

/// Keeps this process (and what it starts) on the cores named.
fn pin(cores: &str) -> Result<()> {
    let mut set = CpuSet::new();
    for part in cores.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        for core in from.trim().parse::<usize>()?..=to.trim().parse::<usize>()? {
            set.set(core);
        }
    }
    rustix::thread::sched_setaffinity(None, &set)?;
    Ok(())
}

/// Raises the limit of open files to the most allowed, and says how many that is.
pub fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
