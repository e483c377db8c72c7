//! The command line: one subcommand for each scenario, and what all of them share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::dialect::Dialect;

/// Puts load on the engine and measures it.
#[derive(Parser, Debug)]
#[command(
    name = "load",
    bin_name = "cargo bench --bench load --",
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub scenario: Option<Scenario>,
    #[command(flatten)]
    pub common: Common,
    /// Cargo adds this to what it runs; it means nothing here.
    #[arg(long, hide = true, global = true)]
    pub bench: bool,
}

/// Which engine, on which cores, and where the results go.
#[derive(Args, Debug, Clone)]
pub struct Common {
    /// An engine that runs already; without it the tool starts its own.
    #[arg(long, global = true)]
    pub url: Option<String>,
    /// The process of the engine at --url, for its CPU and memory.
    #[arg(long, global = true)]
    pub pid: Option<u32>,
    /// The secret that signs tokens.
    #[arg(
        long,
        global = true,
        default_value = "a-secret-of-the-load-tester-and-nobody-else"
    )]
    pub jwt_secret: String,
    /// The engine's binary, when it is not the one that cargo built.
    #[arg(long, global = true)]
    pub engine: Option<PathBuf>,
    /// A further setting of the engine that the tool starts, KEY=VALUE; may be repeated.
    #[arg(long = "env", global = true, value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Where the engine's log goes; by default into its temporary data folder.
    #[arg(long, global = true)]
    pub engine_log: Option<PathBuf>,
    /// Where the engine keeps its data (in a folder that is made and removed); by default the system's
    /// temporary folder. Durability costs what the disk below it costs.
    #[arg(long, global = true)]
    pub data_in: Option<PathBuf>,
    /// So many nodes as one, over a MongoDB and a Redis that the tool starts (`scripts/setup` installs them);
    /// connections go to them in turn. Without: one node on its embedded store.
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub nodes: Option<u16>,
    /// What the sockets of the scenario speak.
    #[arg(long, global = true, value_enum, default_value = "json")]
    pub dialect: Dialect,
    /// Cores for the engine, such as 0 or 0,2-3.
    #[arg(long, global = true)]
    pub server_cores: Option<String>,
    /// Cores for the tool.
    #[arg(long, global = true)]
    pub client_cores: Option<String>,
    /// Writes the results as JSON; - for stdout.
    #[arg(long, global = true)]
    pub json: Option<PathBuf>,
    /// Writes the results as one HTML page.
    #[arg(long, global = true)]
    pub report: Option<PathBuf>,
    /// Fails (exit code 1) when a p99 named by the scenario is over this.
    #[arg(long, global = true)]
    pub p99_limit_ms: Option<f64>,
}

/// What to do to the engine.
#[derive(Subcommand, Debug, Clone)]
pub enum Scenario {
    /// Holds idle WebSockets and weighs them.
    Idle(Idle),
    /// Connects at a steady rate, from the intended start to `connected`.
    Connect(Connect),
    /// Positions by some members of a room, to all the others.
    Fanout(Fanout),
    /// Uploads positions at a steady rate.
    Locations(Locations),
    /// Raises many SOS, as in a disaster.
    SosStorm(SosStorm),
    /// Drops every connection at once and resumes.
    ReconnectStorm(ReconnectStorm),
    /// Drives recorded journeys through the engine and compares what comes out.
    Replay(Replay),
    /// Reads: the list of open incidents page by page, and every other read in its turn.
    Reads(Reads),
    /// Messages to emergency contacts that wait for a vendor, from when it takes them again.
    Notify(Notify),
    /// Many nodes as one: words and positions from node to node, uploads into Redis, a storm of SOS on MongoDB.
    Cluster(Cluster),
    /// A further client process of an idle scenario.
    #[command(hide = true)]
    IdleWorker(IdleWorker),
}

impl Scenario {
    /// Refuses a dialect that the scenario has no use for.
    pub fn check(&self, dialect: Dialect) -> Result<(), &'static str> {
        if dialect == Dialect::Json {
            return Ok(());
        }
        match self {
            Self::Locations(Locations { via: Via::Rest, .. }) => {
                Err("--dialect is of sockets, and these locations go by REST: add --via socket")
            }
            Self::Reads(_) | Self::Notify(_) => {
                Err("--dialect is of sockets, and this goes by HTTP: leave it out")
            }
            Self::SosStorm(_) => Err(
                "the watchers of sos-storm watch an area, for which Socket.IO has no event: leave out --dialect",
            ),
            Self::Cluster(Cluster { only, .. }) if only[..] == [Part::Storm] => Err(
                "the watchers of a storm watch an area, for which Socket.IO has no event: leave out --dialect",
            ),
            _ => Ok(()),
        }
    }
}

#[derive(Args, Debug, Clone)]
pub struct Idle {
    #[arg(long, default_value_t = 10_000)]
    pub connections: usize,
    /// How long to let things settle before they are weighed.
    #[arg(long, default_value_t = 5.0)]
    pub settle_seconds: f64,
    /// How long to watch the engine's CPU while nothing happens.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Most connects under way at a time, in each client process.
    #[arg(long, default_value_t = 128)]
    pub concurrency: usize,
}

#[derive(Args, Debug, Clone)]
pub struct IdleWorker {
    #[arg(long)]
    pub connections: usize,
    #[arg(long)]
    pub first: u64,
    #[arg(long)]
    pub concurrency: usize,
}

#[derive(Args, Debug, Clone)]
pub struct Connect {
    /// Connects a second.
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// How many stay open; the oldest is closed for a new one.
    #[arg(long, default_value_t = 8_000)]
    pub keep: usize,
}

#[derive(Args, Debug, Clone)]
pub struct Fanout {
    #[arg(long, default_value_t = 1)]
    pub rooms: usize,
    /// Members of each room, its creator included.
    #[arg(long, default_value_t = 1000)]
    pub members: usize,
    /// Signals a second in all rooms together.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    #[arg(long, value_enum, default_value = "positions")]
    pub what: What,
    /// How large a delivered signal should be; the tool says when it is not.
    #[arg(long, default_value_t = 200)]
    pub payload_bytes: usize,
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// The engine's least time between two positions of one subject; by default its own, or 0 where the rate
    /// asks more of a member than it lets through.
    #[arg(long)]
    pub min_interval_ms: Option<u64>,
    /// Finds the highest rate with p99 within --max-p99-ms and no loss.
    #[arg(long)]
    pub max: bool,
    /// Seconds of each trial on the way to the highest rate.
    #[arg(long, default_value_t = 3.0)]
    pub trial_seconds: f64,
    #[arg(long, default_value_t = 100.0)]
    pub max_p99_ms: f64,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Signals: the newest counts.
    Positions,
    /// Events: each is durable before anybody hears of it.
    Messages,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Rest,
    Socket,
}

#[derive(Args, Debug, Clone)]
pub struct Locations {
    /// Uploads a second.
    #[arg(long, default_value_t = 5000.0)]
    pub rate: f64,
    /// Keep-alive connections of --via rest; by socket each subject has its own.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// People who upload, each in an incident of their own.
    #[arg(long, default_value_t = 1000)]
    pub subjects: usize,
    #[arg(long, value_enum, default_value = "rest")]
    pub via: Via,
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    #[arg(long)]
    pub min_interval_ms: Option<u64>,
    /// Finds the highest rate with p99 within --max-p99-ms and no error.
    #[arg(long)]
    pub max: bool,
    #[arg(long, default_value_t = 3.0)]
    pub trial_seconds: f64,
    #[arg(long, default_value_t = 100.0)]
    pub max_p99_ms: f64,
}

#[derive(Args, Debug, Clone)]
pub struct SosStorm {
    #[arg(long, default_value_t = 30_000)]
    pub count: usize,
    /// SOS a second; 0 is all at once.
    #[arg(long, default_value_t = 5000.0)]
    pub rate: f64,
    #[arg(long, default_value_t = 256)]
    pub connections: usize,
    /// Operators who watch the area.
    #[arg(long, default_value_t = 6)]
    pub watchers: usize,
    /// How many of the acknowledged ones are read back; all by default.
    #[arg(long)]
    pub verify: Option<usize>,
    /// Emergency contacts of each person, who are told by text messages through a vendor of the tool's own. 0: those
    /// who raise an SOS are devices that nobody knows, and nobody is told.
    #[arg(long, default_value_t = 0)]
    pub contacts: usize,
    /// How long that vendor takes to answer.
    #[arg(long, default_value_t = 0)]
    pub vendor_latency_ms: u64,
}

#[derive(Args, Debug, Clone)]
pub struct Notify {
    /// Messages that wait.
    #[arg(long, default_value_t = 10_000)]
    pub jobs: usize,
    /// Emergency contacts of each person, each of whom is worth a message.
    #[arg(long, default_value_t = 3)]
    pub contacts: usize,
    /// Keep-alive connections that raise the SOS.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// How long the vendor takes to answer.
    #[arg(long, default_value_t = 0)]
    pub vendor_latency_ms: u64,
    /// Fails when it takes longer until the last message is with the vendor.
    #[arg(long, default_value_t = 60.0)]
    pub within_seconds: f64,
}

#[derive(Args, Debug, Clone)]
pub struct ReconnectStorm {
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
    #[arg(long, default_value_t = 20)]
    pub members: usize,
    /// Messages a second in all rooms together, before, during and after the drop.
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
    /// Seconds of messages before the drop, and again after all are back.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Most connects under way at a time.
    #[arg(long, default_value_t = 128)]
    pub concurrency: usize,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixTimes {
    /// Moved so that a journey's last fix is at the present: true distances in time, older than now.
    Shifted,
    /// Moved and compressed by the speed-up: each fix is sent at its own time.
    Compressed,
}

#[derive(Args, Debug, Clone)]
pub struct Replay {
    /// The recorded journeys, CSV; the header tells which file it is.
    #[arg(long, default_value = "../shared/data/gps/san-francisco-taxis.csv")]
    pub traces: PathBuf,
    /// How many times faster than it happened.
    #[arg(long, default_value_t = 600.0)]
    pub speedup: f64,
    /// How many journeys, the longest first.
    #[arg(long, default_value_t = 100)]
    pub subjects: usize,
    /// At most this many fixes of each journey.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    pub fixes: usize,
    /// The engine's least time between two positions of one subject. 0 lets every fix through.
    #[arg(long, default_value_t = 0)]
    pub min_interval_ms: u64,
    #[arg(long, value_enum, default_value = "shifted")]
    pub fix_times: FixTimes,
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Leaves the stored history out of the comparison.
    #[arg(long)]
    pub no_history: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Messages,
    Positions,
    Uploads,
    Storm,
}

#[derive(Args, Debug, Clone)]
pub struct Cluster {
    /// Rooms whose members are on all nodes.
    #[arg(long, default_value_t = 200)]
    pub rooms: usize,
    #[arg(long, default_value_t = 10)]
    pub members: usize,
    /// Messages, and then positions, a second in all rooms together.
    #[arg(long, default_value_t = 2000.0)]
    pub rate: f64,
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Uploads of positions by socket a second, by as many people as `--subjects`.
    #[arg(long, default_value_t = 25_000.0)]
    pub uploads: f64,
    #[arg(long, default_value_t = 2_000)]
    pub subjects: usize,
    /// SOS of the storm, and how many a second; 0 is all at once.
    #[arg(long, default_value_t = 5_000)]
    pub storm: usize,
    #[arg(long, default_value_t = 500.0)]
    pub storm_rate: f64,
    /// Only these, comma-separated.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,
}

#[derive(Args, Debug, Clone)]
pub struct Reads {
    /// Open incidents, round ten cities.
    #[arg(long, default_value_t = 10_000)]
    pub incidents: usize,
    /// Pages of the list a second.
    #[arg(long, default_value_t = 2000.0)]
    pub rate: f64,
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Entries of a page.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// How far round a place, in metres.
    #[arg(long, default_value_t = 5000.0)]
    pub radius: f64,
    /// Each of the other reads a second.
    #[arg(long, default_value_t = 500.0)]
    pub read_rate: f64,
    #[arg(long, default_value_t = 3.0)]
    pub read_seconds: f64,
    /// Keep-alive connections, each a client that follows the pages.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Messages of the incident that has most.
    #[arg(long, default_value_t = 10_000)]
    pub messages: usize,
    /// Only these reads, by name (list, sos, messages, ...), comma-separated.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

impl Reads {
    /// Whether this read is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}
