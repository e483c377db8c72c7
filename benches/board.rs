//! How many positions a second one node puts into a real Redis on this machine: the stream, the newest of each, and the
//! map of trips. `cargo bench --bench board -- [seconds] [subjects]`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot go on says so and ends"
)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mayday::bus::redis::{BoardSettings, BusUrl, Channels, Connection, Options, RedisBoard, TlsFiles};
use mayday::bus::{Board, Note, Sighting};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{ParticipantId, RoomId};
use mayday::domain::room::RoomKind;
use mayday::domain::time::Timestamp;

/// Positions of one tick of a batcher's shard.
const TICK: usize = 500;
/// Every so many subjects there is a trip's driver.
const TRIPS: usize = 4;
/// Members of one room.
const ROOM: usize = 4;

struct Redis(Child, u16);

impl Redis {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let text = port.to_string();
        let arguments = [
            "--port",
            &text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let child = Command::new("redis-server")
            .args(arguments)
            .stdout(Stdio::null())
            .spawn();
        Self(
            child.expect("redis-server is not installed: run scripts/setup"),
            port,
        )
    }

    /// Seconds of CPU that it has used.
    fn cpu(&self) -> f64 {
        cpu_of(self.0.id())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cpu_of(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |n: usize| {
        fields
            .get(n)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    // Hundredths of a second, by this kernel's build.
    (ticks(11) + ticks(12)) / 100.0
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap())
}

fn sightings(subjects: usize, rooms: &[RoomId], first: usize) -> Vec<Sighting> {
    let at = now();
    (first..first + TICK)
        .map(|n| n % subjects)
        .map(|n| {
            #[expect(clippy::cast_precision_loss, reason = "a place, roughly")]
            let (north, east) = ((n % 1_000) as f64 / 1e4, (n / 1_000) as f64 / 1e4);
            let position = Position::new(14.6 + north, 121.0 + east).unwrap();
            Sighting {
                room: rooms[n / ROOM].clone(),
                participant: ParticipantId::from_bits(n as u64),
                fix: Fix::new(position, at)
                    .with_motion(Some(5.0), Some(8.3), Some(270.0))
                    .unwrap(),
                newest: true,
                kind: if n % TRIPS == 0 {
                    RoomKind::Trip
                } else {
                    RoomKind::Sos
                },
                keep: n % 15 == 0,
            }
        })
        .collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|text| text.parse().ok()).collect();
    let seconds = numbers.first().copied().unwrap_or(5);
    let subjects = numbers.get(1).copied().unwrap_or(20_000);
    let redis = Redis::start();
    let options = Options {
        address: BusUrl::new(format!("redis://127.0.0.1:{}", redis.1))
            .parse()
            .unwrap()
            .unwrap(),
        tls: TlsFiles::default(),
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(5),
        reconnect_min: Duration::from_millis(20),
        reconnect_max: Duration::from_millis(200),
        health_interval: Duration::from_secs(1),
        sharded: true,
        commands_max: 10_000,
    };
    let connection = Connection::open(options);
    assert!(connection.connected(Duration::from_secs(10)).await, "no Redis");
    let settings = BoardSettings {
        patience: Duration::from_secs(10),
        ..BoardSettings::default()
    };
    let board: Arc<RedisBoard> = RedisBoard::start(connection, Channels::new(0), settings.clone(), now);
    let rooms: Vec<RoomId> = (0..=subjects / ROOM)
        .map(|n| RoomId::new(format!("trip-{n:08}")).unwrap())
        .collect();
    let (begun, own, its) = (Instant::now(), cpu_of(std::process::id()), redis.cpu());
    let mut sent = 0;
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        // As fast as they go, and never more than fit.
        if board.counts().waiting + TICK > settings.waiting_max / 2 {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        board.put(Note::Positions(sightings(subjects, &rooms, sent)));
        sent += TICK;
        tokio::task::yield_now().await;
    }
    board.settle().await;
    let (took, counts) = (begun.elapsed().as_secs_f64(), board.counts());
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let put = counts.put as f64;
    println!(
        "{subjects} subjects: {:.0} positions/s into Redis ({} in {took:.1} s, {} dropped, {} pipelines)",
        put / took,
        counts.put,
        counts.dropped,
        counts.pipelines
    );
    println!(
        "CPU for a position: {:.2} us here (making it included), {:.2} us in Redis",
        (cpu_of(std::process::id()) - own) * 1e6 / put,
        (redis.cpu() - its) * 1e6 / put
    );
}
