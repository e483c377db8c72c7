//! The real program in a process of its own, on a port and a data folder of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::people::Person;

/// The key by which the tests sign tokens.
pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough-0123456789";
/// What sister services show.
pub const INTERNAL_TOKEN: &str = "an-internal-token-of-the-tests-0123456789-abcdef";
/// Nothing that a test waits for takes longer, not even where a disk that others write to takes its time with an fsync.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// A start includes the integrity check, on a machine that is busy with other tests.
const START_DEADLINE: Duration = Duration::from_secs(60);

struct Running {
    child: Child,
    /// Lines of standard output; closed when the process has ended.
    stdout: Receiver<String>,
}

/// Where the engine listens now; it changes with a restart.
pub type Address = Arc<Mutex<SocketAddr>>;

/// A running engine. It is killed when this is dropped, and its log is shown when the test failed.
pub struct Engine {
    running: Option<Running>,
    address: Address,
    tls_address: Option<SocketAddr>,
    data: PathBuf,
    program: PathBuf,
    /// By how much its clock is wrong.
    clock: Option<String>,
    settings: BTreeMap<String, String>,
    log: Arc<Mutex<String>>,
    _folder: Option<TempDir>,
}

/// `mayday` with nothing of the caller's environment that would change its settings.
pub fn mayday(folder: &Path) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_mayday")), folder)
}

/// The library that makes a clock wrong.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let mut libraries = folders.map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let there = libraries.find(|library| library.exists());
    there.expect("libfaketime is missing: run scripts/setup")
}

/// A key of a sister service, and its entry in the settings.
pub fn made(name: &str, scopes: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = mayday(folder.path());
    command.args(["api-key", "--name", name]);
    for scope in scopes {
        command.args(["--scope", scope]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(!folder.path().join("data").exists(), "nothing is kept");
    (lines[1].to_owned(), lines[5].to_owned())
}

fn program(path: &Path, folder: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MAYDAY") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

impl Engine {
    /// Starts one whose settings differ from the defaults by `settings`: `("limits.sos_per_hour", "0")`.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut engine = Self::prepare(&data, settings);
        engine._folder = Some(folder);
        engine.restart();
        engine
    }

    /// Starts one whose clock is wrong: `"+30s"`. What it measures is not.
    pub fn start_by_clock(clock: &str, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = Self::prepare(&folder.path().join("data"), settings);
        engine.clock = Some(clock.to_owned());
        engine._folder = Some(folder);
        engine.restart();
        engine
    }

    /// Starts one on a data folder that outlives it.
    pub fn start_on(data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut engine = Self::prepare(data, settings);
        engine.restart();
        engine
    }

    /// One that is not started: for its commands.
    pub fn not_started(data: &Path, settings: &[(&str, &str)]) -> Self {
        Self::prepare(data, settings)
    }

    /// Starts another version of it.
    pub fn of_program(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = Self::prepare(&folder.path().join("data"), &[]);
        engine.program = program.to_path_buf();
        engine._folder = Some(folder);
        engine.restart();
        engine
    }

    /// One without any limit on what a client may do.
    pub fn unlimited() -> Self {
        Self::start(&UNLIMITED)
    }

    fn prepare(data: &Path, settings: &[(&str, &str)]) -> Self {
        let defaults = [
            ("http.port", "0"),
            ("auth.jwt_secret", SECRET),
            ("auth.internal_token", INTERNAL_TOKEN),
        ];
        let settings = defaults.iter().chain(settings);
        Self {
            running: None,
            address: Arc::new(Mutex::new(SocketAddr::from(([127, 0, 0, 1], 0)))),
            tls_address: None,
            data: data.to_path_buf(),
            program: env!("CARGO_BIN_EXE_mayday").into(),
            clock: None,
            settings: settings
                .map(|(key, value)| (variable(key), (*value).to_owned()))
                .collect(),
            log: Arc::default(),
            _folder: None,
        }
    }

    /// A command of the program with this engine's settings and data.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.program, self.data.parent().unwrap());
        if let Some(clock) = &self.clock {
            // Not by its own program, which would stand between the engine and whoever ends it.
            command
                .env("LD_PRELOAD", faketime())
                .env("FAKETIME", clock)
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command
            .args(arguments)
            .envs(&self.settings)
            .env("MAYDAY__DATA__PATH", &self.data);
        command
    }

    /// Changes a setting from the next start on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(variable(key), value.to_owned());
    }

    /// Starts it (again) on the data that are there, and waits until it listens.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "the engine is running");
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, stdout) = sync_channel(1024);
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = lines.try_send(line);
            }
        });
        let (err, log) = (
            BufReader::new(child.stderr.take().unwrap()),
            Arc::clone(&self.log),
        );
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                let _ = writeln!(log.lock().unwrap(), "{line}");
            }
        });
        let running = self.running.insert(Running { child, stdout });
        let until = Instant::now() + START_DEADLINE;
        let wanted = |key, value| self.settings.get(&variable(key)).is_some_and(|set| set != value);
        let (plain, tls) = (!wanted("http.plain", "true"), wanted("tls.certificate", ""));
        let (mut http, mut https) = (None, None);
        while (plain && http.is_none()) || (tls && https.is_none()) {
            match running
                .stdout
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(address) = line.strip_prefix("listening on http://") {
                        http = Some(address.parse().unwrap());
                    } else if let Some(address) = line.strip_prefix("listening on https://") {
                        https = Some(address.parse().unwrap());
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("the engine does not listen"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the engine ended: {}", running.child.wait().unwrap())
                }
            }
        }
        if let Some(address) = http {
            *self.address.lock().unwrap() = address;
        }
        self.tls_address = https;
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        let mut running = self.running.take().expect("the engine is running");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM) and does not wait.
    pub fn ask_to_end(&self) {
        let running = self.running.as_ref().expect("the engine is running");
        kill_process(Pid::from_child(&running.child), Signal::TERM).unwrap();
    }

    /// Tells it to look at its certificate again (SIGHUP).
    pub fn hang_up(&self) {
        let running = self.running.as_ref().expect("the engine is running");
        kill_process(Pid::from_child(&running.child), Signal::HUP).unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the engine is running");
        let until = Instant::now() + START_DEADLINE;
        loop {
            match running
                .stdout
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return running.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => {
                    running.child.kill().unwrap();
                    panic!("the engine does not end");
                }
            }
        }
    }

    /// Asks it to end and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.ended()
    }

    /// What it has logged so far, over all its starts.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Where it keeps everything.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    /// Where it listens with TLS.
    pub fn tls_address(&self) -> SocketAddr {
        self.tls_address.expect("the engine listens with TLS")
    }

    /// A registered citizen.
    pub fn user(&self, name: &str) -> Person {
        Person::user(Arc::clone(&self.address), name)
    }

    /// An anonymous device.
    pub fn device(&self) -> Person {
        Person::device(Arc::clone(&self.address))
    }

    /// An anonymous device with an id of its own.
    pub fn device_of(&self, id: &str) -> Person {
        Person::device_of(Arc::clone(&self.address), id)
    }

    /// Somebody with a token made elsewhere.
    pub fn bearer(&self, token: &str) -> Person {
        Person::bearer(Arc::clone(&self.address), token)
    }

    /// Somebody without a credential.
    pub fn nobody(&self) -> Person {
        Person::nobody(Arc::clone(&self.address))
    }
}

/// No limit on what a client may do.
pub const UNLIMITED: [(&str, &str); 23] = [
    ("limits.sos_per_hour", "0"),
    ("limits.user_sos_per_hour", "0"),
    ("limits.anon_requests", "0"),
    ("limits.user_requests", "0"),
    ("limits.locations_per_minute", "0"),
    ("limits.anon_writes", "0"),
    ("limits.user_writes", "0"),
    ("limits.registrations_per_hour", "0"),
    ("limits.connects_per_minute", "0"),
    ("limits.reports_per_hour", "0"),
    ("limits.address_sos_per_hour", "0"),
    ("limits.address_sos_max_per_hour", "0"),
    ("limits.address_requests", "0"),
    ("limits.address_writes", "0"),
    ("limits.address_locations_per_minute", "0"),
    ("limits.address_registrations_per_hour", "0"),
    ("limits.address_connects_per_minute", "0"),
    ("limits.address_reports_per_hour", "0"),
    ("limits.connections_per_address", "0"),
    ("limits.connections_per_subject", "0"),
    ("limits.http_connections_per_address", "0"),
    ("limits.messages_per_second", "0"),
    ("locations.min_interval_ms", "1000"),
];

fn variable(key: &str) -> String {
    format!("MAYDAY__{}", key.to_uppercase().replace('.', "__"))
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().rev().take(200).collect::<Vec<_>>();
            eprintln!("--- the engine's log, its last {} lines ---", tail.len());
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
