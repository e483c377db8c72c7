//! How fast the embedded store is: bursts of SOS, group commit, loading a long log, the nearest incidents.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may say so in any way")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::stream::{self, StreamExt};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{DeviceId, MessageId, ParticipantId, RoomId};
use mayday::domain::incident::{Address, IncidentType, Report, Severity, Visibility};
use mayday::domain::location::LocationPolicy;
use mayday::domain::people::{Person, Role, Subject};
use mayday::domain::room::{Actor, Event, EventBody, Genesis, Seq, UserType};
use mayday::domain::time::Timestamp;
use mayday::store::{
    Append, Embedded, EmbeddedOptions, IdempotencyKey, IncidentQuery, KeptFix, Sight, Store,
};

const BURST: usize = 30_000;

struct Bench {
    store: Embedded,
    runtime: Runtime,
    random: u64,
    clock: i64,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(false)
    }

    /// `feed`: it is noted what there is to tell of each incident.
    fn with(feed: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions {
            feed,
            ..EmbeddedOptions::new(folder.path())
        };
        let store = Embedded::open(options).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        Self {
            store,
            runtime,
            random: 1,
            clock: 0,
            _folder: folder,
        }
    }

    fn bits(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self) -> [u8; 16] {
        (u128::from(self.bits()) << 64 | u128::from(self.bits())).to_be_bytes()
    }

    /// A place in a city some 30 km across.
    fn place(&mut self) -> Position {
        let mut part = || (self.bits() >> 11) as f64 / (1u64 << 53) as f64 * 0.27;
        Position::new(14.46 + part(), 120.85 + part()).unwrap()
    }

    /// What an SOS of an anonymous device appends.
    fn sos(&mut self) -> Append {
        let room = RoomId::from_random(self.bytes());
        let who = ParticipantId::from_bits(self.bits());
        let subject = Subject::Device(DeviceId::from_random(self.bytes()));
        self.clock += 1;
        let at = Timestamp::from_ms(1_700_000_000_000 + self.clock / 10);
        let report = Report {
            kind: IncidentType::Medical,
            message: "my neighbour fell down the stairs and does not wake up".into(),
            silent: false,
            drill: false,
            raised_at: None,
            guarded: false,
            severity: Severity::High,
            position: Some(self.place()),
            accuracy: Some(12.5),
            address: Address {
                city: Some("Manila".into()),
                barangay: Some("Ermita".into()),
            },
            city_id: Some("MNL".into()),
            visibility: Visibility::Public,
            trip_id: None,
            booking_id: None,
            raised_from: vec![],
        };
        let bodies = [
            EventBody::Created(Genesis::Incident(Box::new(report))),
            EventBody::Joined {
                who,
                user_type: UserType::Citizen,
                as_contact: false,
            },
        ];
        let events = (1..).zip(bodies).map(|(seq, body)| Event {
            room: room.clone(),
            seq: Seq::new(seq),
            at,
            actor: Actor::Participant(who),
            body,
        });
        Append {
            after: Seq::ZERO,
            events: events.collect(),
            people: vec![Person {
                participant: who,
                subject: subject.clone(),
                name: Some("Maria Santos".into()),
                phone: None,
                role: Role::Anon,
            }],
            idempotency: Some(IdempotencyKey {
                subject,
                key: RoomId::from_random(self.bytes()).to_string(),
            }),
            jobs: Vec::new(),
            room,
        }
    }

    /// Appends all, with so many under way at once.
    fn append_all(&self, appends: Vec<Append>, in_flight: usize) {
        self.runtime.block_on(async {
            stream::iter(appends)
                .map(|append| self.store.append(append))
                .buffer_unordered(in_flight)
                .for_each(|outcome| async { outcome.unwrap() })
                .await;
        });
    }

    fn fill(&mut self, count: u64) {
        let appends = (0..count).map(|_| self.sos()).collect();
        self.append_all(appends, 5_000);
    }
}

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<f64>().unwrap() / 100.0)
        .sum()
}

fn burst(c: &mut Criterion) {
    let mut group = c.benchmark_group("burst");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(BURST as u64));
    group.bench_function("30,000 SOS", |b| b.iter_custom(|rounds| bursts(rounds, false)));
    group.bench_function("30,000 SOS, each to be told", |b| {
        b.iter_custom(|rounds| bursts(rounds, true));
    });
    group.finish();
}

fn bursts(rounds: u64, feed: bool) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        let mut bench = Bench::with(feed);
        let appends: Vec<Append> = (0..BURST).map(|_| bench.sos()).collect();
        let (begun, used) = (Instant::now(), cpu());
        bench.append_all(appends, BURST);
        spent += begun.elapsed();
        let groups = bench.store.observe().group_size;
        eprintln!(
            "burst: {:.2} s, {:.2} CPU s, {} groups",
            begun.elapsed().as_secs_f64(),
            cpu() - used,
            groups.count
        );
    }
    spent
}

fn group_commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.sample_size(10);
    for in_flight in [1, 100, 1_000] {
        let count = in_flight as u64 * 4;
        group.throughput(Throughput::Elements(count));
        let mut bench = Bench::new();
        group.bench_function(format!("{in_flight} in flight"), |b| {
            b.iter_custom(|rounds| {
                let appends: Vec<Append> = (0..count * rounds).map(|_| bench.sos()).collect();
                let begun = Instant::now();
                bench.append_all(appends, in_flight);
                begun.elapsed()
            });
        });
    }
    group.finish();
}

fn load(c: &mut Criterion) {
    let mut bench = Bench::new();
    let mut append = bench.sos();
    for seq in 3..=10_000 {
        append.events.push(Event {
            seq: Seq::new(seq),
            body: EventBody::MessageSent {
                id: MessageId::new(format!("m{seq}")).unwrap(),
                content: "we are at the second floor, the stairs are clear".into(),
                relay: None,
            },
            ..append.events[1].clone()
        });
    }
    let room = append.room.clone();
    bench.append_all(vec![append], 1);
    c.bench_function("load a room of 10,000 events", |b| {
        b.iter(|| {
            bench
                .runtime
                .block_on(bench.store.load(black_box(&room)))
                .unwrap()
                .unwrap()
        });
    });
}

fn nearest(c: &mut Criterion) {
    let mut bench = Bench::new();
    bench.fill(10_000);
    let mut group = c.benchmark_group("nearest of 10,000");
    let centre = Position::new(14.6, 121.0).unwrap();
    for (name, radius, kind) in [
        ("a page of 100 within 5 km", 5_000.0, None),
        ("a page of 100 within 25 km", 25_000.0, None),
        (
            "nothing that passes within 25 km",
            25_000.0,
            Some(IncidentType::Crime),
        ),
    ] {
        let query = IncidentQuery {
            status: vec![],
            kind,
            city_id: None,
            near: Some((centre, radius)),
            sight: Sight::Public,
            limit: 100,
            after: None,
        };
        group.bench_function(name, |b| {
            b.iter(|| {
                bench
                    .runtime
                    .block_on(bench.store.incidents(black_box(&query)))
                    .unwrap()
            });
        });
    }
    group.finish();
}

fn fixes(c: &mut Criterion) {
    let mut bench = Bench::new();
    let room = RoomId::new("sos").unwrap();
    let mut at = 0;
    let mut group = c.benchmark_group("fixes");
    group.throughput(Throughput::Elements(10_000)).sample_size(10);
    group.bench_function("10,000 of 10,000 subjects", |b| {
        b.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                at += 15_000;
                let position = bench.place();
                let fixes: Vec<KeptFix> = (0..10_000)
                    .map(|n| KeptFix {
                        room: room.clone(),
                        participant: ParticipantId::from_bits(n),
                        fix: Fix::new(position, Timestamp::from_ms(at)),
                        sampled: true,
                    })
                    .collect();
                let begun = Instant::now();
                bench
                    .runtime
                    .block_on(bench.store.keep_fixes(fixes, &LocationPolicy::default()))
                    .unwrap();
                spent += begun.elapsed();
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, burst, group_commit, load, nearest, fixes);
criterion_main!(benches);
