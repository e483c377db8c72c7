//! How much an idle connection weighs.
//!
//! The sockets are held by processes of their own, as many as the limit of open files asks for.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Result;
use crate::cli::{Common, Idle, IdleWorker};
use crate::crew::Devices;
use crate::dialect::{Dialect, Heard};
use crate::engine::{Engine, raise_descriptor_limit};
use crate::reactor::{ConnId, Ending, Handler, Reactor};
use crate::report::Outcome;
use crate::stats::SECOND;

/// Descriptors of a client process that are no sockets.
const SPARE_DESCRIPTORS: u64 = 64;
/// A worker gives up when no connection has come about for so long.
const STALL_LIMIT: u64 = 8 * SECOND;

pub fn run(common: &Common, args: &Idle) -> Result<Outcome> {
    let mut engine = Engine::start(common, &[])?;
    let mut outcome = Outcome::new("idle");
    outcome.ask("connections", args.connections);
    outcome.ask("dialect", common.dialect.name());
    std::thread::sleep(Duration::from_secs(1));
    let before = engine.usage();

    let each = usize::try_from(raise_descriptor_limit().saturating_sub(SPARE_DESCRIPTORS))?.max(1);
    let mut workers = Vec::new();
    let mut open = 0;
    let mut half = None;
    let mut first = 0;
    while first < args.connections {
        // In two halves at least: what the first makes the engine allocate once is not the connections' own.
        let count = each
            .min(args.connections.div_ceil(2))
            .min(args.connections - first);
        let mut worker = Worker::spawn(&engine, (common, args), first, count)?;
        let (reached, trouble) = worker.wait_until_open()?;
        workers.push(worker);
        open += reached;
        if half.is_none() {
            std::thread::sleep(Duration::from_secs_f64(args.settle_seconds));
            half = Some((open, engine.usage()));
        }
        first += count;
        if let Some(trouble) = trouble {
            explain(&mut outcome, &engine, args.connections, open, &trouble);
            break;
        }
    }
    std::thread::sleep(Duration::from_secs_f64(args.settle_seconds));
    let settled = engine.usage();
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let after = engine.usage();

    outcome.find("connections open", open as f64, "");
    outcome.find("client processes", workers.len() as f64, "");
    if engine.is_measured() && open > 0 {
        let grown = settled.resident_bytes as f64 - before.resident_bytes as f64;
        outcome.find("resident, before", before.resident_bytes as f64 / 1e6, "MB");
        outcome.find("resident, with all", settled.resident_bytes as f64 / 1e6, "MB");
        outcome.find("resident for each connection", grown / open as f64, "bytes");
        if let Some((some, then)) = half
            && open > some
        {
            let grown = settled.resident_bytes as f64 - then.resident_bytes as f64;
            outcome.find(
                "resident for each of the second half",
                grown / (open - some) as f64,
                "bytes",
            );
        }
        outcome.find(
            "server CPU for each connect",
            (settled.cpu_seconds - before.cpu_seconds) * 1e6 / open as f64,
            "us",
        );
        let idle = (after.cpu_seconds - settled.cpu_seconds) / args.seconds * 100.0;
        outcome.find("server CPU while idle", idle, "% of a core");
    }
    if !engine.is_alive() {
        outcome.fail(format!("the engine ended\n{}", engine.log_tail()));
    }
    let mut lost = 0;
    for worker in workers {
        lost += worker.close()?;
    }
    outcome.expect_none("connections lost while idle", lost);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

fn explain(outcome: &mut Outcome, engine: &Engine, asked: usize, open: usize, trouble: &str) {
    match engine.descriptor_limit() {
        Some(limit) if open as u64 + 256 >= limit => outcome.remark(format!(
            "{open} of {asked} connections: the engine may have only {limit} files open (ulimit -n), \
             and this machine allows no more; the figures are those of {open}"
        )),
        _ => outcome.fail(format!("only {open} of {asked} connections: {trouble}")),
    }
}

struct Worker {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn spawn(engine: &Engine, (common, args): (&Common, &Idle), first: usize, count: usize) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("idle-worker")
            .args(["--url", &format!("http://{}", engine.addrs()[0])])
            .args(["--connections", &count.to_string()])
            .args(["--first", &first.to_string()])
            .args(["--concurrency", &args.concurrency.to_string()])
            .args(["--dialect", common.dialect.option()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = BufReader::new(child.stdout.take().ok_or("a worker has no stdout")?);
        Ok(Self { child, stdout })
    }

    /// How many it opened, and what kept it from more.
    fn wait_until_open(&mut self) -> Result<(usize, Option<String>)> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let (count, trouble) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Ok((count.parse()?, (!trouble.is_empty()).then(|| trouble.to_owned())))
    }

    /// Ends it, and says how many connections it had lost by then.
    fn close(mut self) -> Result<u64> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.stdout.read_to_string(&mut text)?;
        self.child.wait()?;
        Ok(text.trim().parse().unwrap_or(0))
    }
}

/// What a worker does: opens, says how many, holds them until its stdin ends, says how many were lost.
pub fn work(common: &Common, args: &IdleWorker) -> Result<()> {
    let url = common.url.as_deref().ok_or("a worker needs --url")?;
    let server = url.trim_start_matches("http://").parse()?;
    let mut net = Reactor::new(vec![server])?;
    net.skip_sources(args.first);
    let devices = Devices::of_this_run();
    let mut holding = Holding::new(common.dialect);
    let mut opened = 0;
    let mut quiet_since = net.now();
    let mut progress = 0;
    while holding.connected + holding.refused.len() < args.connections {
        while opened < args.connections
            && opened < holding.connected + holding.refused.len() + args.concurrency
        {
            match net.open_socket(
                common
                    .dialect
                    .opening(&devices.id(args.first + opened as u64), None),
            ) {
                Ok(_) => opened += 1,
                Err(error) => {
                    holding.refused.push(error.to_string());
                    opened += 1;
                }
            }
        }
        let until = net.now() + SECOND / 10;
        net.turn(&mut holding, until)?;
        if holding.connected > progress {
            progress = holding.connected;
            quiet_since = net.now();
        } else if net.now() > quiet_since + STALL_LIMIT || holding.refused.len() > 1000 {
            holding.refused.push("the engine took no more".into());
            break;
        }
    }
    let trouble = holding.refused.first().map_or("", String::as_str);
    println!("{} {}", holding.connected, trouble.replace('\n', " "));
    std::io::stdout().flush()?;

    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        seen.store(true, Ordering::Relaxed);
    });
    while !over.load(Ordering::Relaxed) {
        let until = net.now() + SECOND / 5;
        net.turn(&mut holding, until)?;
    }
    println!("{}", holding.lost);
    Ok(())
}

struct Holding {
    dialect: Dialect,
    connected: usize,
    refused: Vec<String>,
    lost: u64,
}

impl Holding {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            connected: 0,
            refused: Vec::new(),
            lost: 0,
        }
    }
}

impl Handler for Holding {
    fn frame(&mut self, _: &mut Reactor, _: ConnId, payload: &[u8], _: u64) {
        match self.dialect.hear(payload) {
            Heard::Connected => self.connected += 1,
            Heard::Refused => self.refused.push(String::from_utf8_lossy(payload).into_owned()),
            _ => {}
        }
    }

    fn closed(&mut self, _: &mut Reactor, _: ConnId, ending: Ending) {
        match ending {
            Ending::Refused(_) => self.refused.push(ending.to_string()),
            Ending::Code(_) | Ending::Lost(_) => self.lost += 1,
        }
    }
}
