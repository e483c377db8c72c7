//! Positions go through the nodes' stream into the store, whichever node dies on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mayday::actors::history::{HistoryCounts, HistorySettings, HistoryWriter};
use mayday::bus::redis::{BoardSettings, Channels, Connection, FixStream, RedisBoard, Taken};
use mayday::bus::{Board, Note, Sighting};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{ParticipantId, RoomId};
use mayday::domain::location::LocationPolicy;
use mayday::domain::room::RoomKind;
use mayday::domain::time::Timestamp;
use mayday::store::{Embedded, EmbeddedOptions, HistoryQuery, KeptFix, Store};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::options;
use crate::support::redis::{Redis, RedisCluster};
use crate::support::{DEADLINE, eventually, now_ms};

const FIXES: usize = 1_200;

fn now() -> Timestamp {
    Timestamp::from_ms(i64::try_from(now_ms()).unwrap())
}

/// Of three people; every fifth is late, which the store then holds against the others.
fn sightings() -> Vec<Sighting> {
    let sighting = |n: usize| {
        let at = Timestamp::from_ms(i64::try_from(n / 3).unwrap() * 20_000);
        let position = Position::new(14.5 + n as f64 * 1e-3, 120.9).unwrap();
        Sighting {
            room: RoomId::new("sos").unwrap(),
            participant: ParticipantId::from_bits(n as u64 % 3),
            fix: Fix::new(position, at)
                .with_motion(Some(4.5), None, Some(271.0))
                .unwrap(),
            newest: !n.is_multiple_of(5),
            kind: RoomKind::Sos,
            keep: true,
        }
    };
    (0..FIXES).map(sighting).collect()
}

/// What somebody takes of the next so many entries, once the connection by which they wait stands.
async fn taken_by(stream: &FixStream, max: usize) -> Vec<Taken> {
    let taken = eventually("the stream is read", || async { stream.take(max).await.ok() });
    taken.await.taken
}

/// What the board says to others, and history does not keep.
fn passing() -> Note {
    let pass = |sighting: Sighting| Sighting {
        room: RoomId::new("elsewhere").unwrap(),
        keep: false,
        ..sighting
    };
    Note::Positions(sightings().into_iter().take(100).map(pass).collect())
}

struct Place {
    url: String,
    store: Arc<dyn Store>,
    _folder: TempDir,
}

impl Place {
    fn at(url: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            url,
            store: Arc::new(Embedded::open(EmbeddedOptions::new(folder.path())).unwrap()),
            _folder: folder,
        }
    }

    async fn connection(&self) -> Connection {
        let connection = Connection::open(options(&self.url));
        assert!(connection.connected(DEADLINE).await);
        connection
    }

    async fn board(&self) -> Arc<RedisBoard> {
        let settings = BoardSettings {
            patience: DEADLINE,
            ..BoardSettings::default()
        };
        RedisBoard::start(self.connection().await, Channels::new(0), settings, now)
    }

    async fn stream(&self, name: &str) -> FixStream {
        let stream = FixStream::new(
            &self.connection().await,
            name.to_owned(),
            Duration::from_millis(100),
        );
        stream.prepare().await.unwrap();
        stream
    }

    async fn writer(&self, name: &str, board: &Arc<RedisBoard>) -> Running {
        let counts = Arc::new(HistoryCounts::default());
        let writer = HistoryWriter {
            stream: self.stream(name).await,
            board: Arc::clone(board) as Arc<dyn Board>,
            store: Arc::clone(&self.store),
            policy: LocationPolicy::default(),
            settings: HistorySettings {
                batch_max: 250,
                interval: Duration::from_millis(200),
                take_over_after: Duration::from_millis(500),
            },
            counts: Arc::clone(&counts),
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(writer.run(stopped));
        Running { counts, stop, task }
    }

    async fn history(&self) -> Vec<(ParticipantId, Fix)> {
        let query = HistoryQuery {
            limit: 10 * FIXES,
            room: Some(RoomId::new("sos").unwrap()),
            ..HistoryQuery::default()
        };
        let found = self.store.history(&query).await.unwrap();
        found.into_iter().map(|fix| (fix.participant, fix.fix)).collect()
    }

    async fn has(&self, count: usize) {
        eventually("all fixes are in the store", || async {
            (self.history().await.len() == count).then_some(())
        })
        .await;
        let mut wanted: Vec<_> = sightings()
            .into_iter()
            .take(count)
            .map(|sighting| (sighting.participant, sighting.fix))
            .collect();
        wanted.sort_by_key(|(who, fix)| (fix.at, *who));
        assert_eq!(self.history().await, wanted);
    }
}

struct Running {
    counts: Arc<HistoryCounts>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stops(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    async fn counts(&self, what: fn(&HistoryCounts) -> &AtomicU64, count: u64) {
        eventually("it has counted them", || async {
            (what(&self.counts).load(Ordering::Relaxed) == count).then_some(())
        })
        .await;
    }
}

async fn what_a_node_had_taken_when_it_died_another_writes(url: String) {
    let place = Place::at(url);
    let (board, dead) = (place.board().await, place.stream("dead").await);
    board.put(passing());
    board.put(Note::Positions(sightings()));
    board.settle().await;
    let taken = taken_by(&dead, 800).await;
    assert_eq!(taken.len(), 700, "what passes is not taken");
    assert_eq!(
        taken[1].fix,
        sightings()[1].clone().kept(),
        "it is read as it was written"
    );
    // It had written these, and nobody heard of it.
    let written: Vec<KeptFix> = taken[..300].iter().map(|taken| taken.fix.clone()).collect();
    let policy = LocationPolicy::default();
    place.store.keep_fixes(written, &policy).await.unwrap();
    drop(dead);

    let alive = place.writer("alive", &board).await;
    place.has(FIXES).await;
    alive.counts(|counts| &counts.taken_over, 700).await;
    let again = place.stream("again").await;
    eventually("all of it is acknowledged", || async {
        let left = again.take_over(Duration::ZERO, FIXES).await.unwrap();
        left.taken.is_empty().then_some(())
    })
    .await;
    alive.stops().await;
}

#[tokio::test]
async fn what_a_node_had_taken_when_it_died_another_writes_by_one_redis() {
    let redis = Redis::start();
    what_a_node_had_taken_when_it_died_another_writes(redis.url()).await;
}

#[tokio::test]
async fn what_a_node_had_taken_when_it_died_another_writes_by_a_redis_cluster() {
    let redis = RedisCluster::start();
    what_a_node_had_taken_when_it_died_another_writes(redis.url()).await;
}

#[tokio::test]
async fn two_nodes_share_the_stream_and_one_that_ends_writes_what_it_has() {
    let redis = Redis::start();
    let place = Place::at(redis.url());
    let board = place.board().await;
    let (one, two) = (
        place.writer("one", &board).await,
        place.writer("two", &board).await,
    );
    for piece in sightings().chunks(40) {
        board.put(Note::Positions(piece.to_vec()));
        board.settle().await;
    }
    one.stops().await;
    place.has(FIXES).await;
    two.stops().await;
}

#[tokio::test]
async fn what_redis_cannot_take_is_written_all_the_same() {
    let mut redis = Redis::start();
    let place = Place::at(redis.url());
    let board = place.board().await;
    let writer = place.writer("one", &board).await;
    let all = sightings();
    board.put(Note::Positions(all[..400].to_vec()));
    place.has(400).await;
    redis.kill9();
    board.put(Note::Positions(all[400..800].to_vec()));
    place.has(800).await;
    assert_eq!(writer.counts.spilled.load(Ordering::Relaxed), 400);
    // It comes back and remembers nothing, not even that there was a group.
    redis.restart();
    eventually("it is written to again", || async {
        board.put(Note::Positions(all[800..].to_vec()));
        board.settle().await;
        (redis.cli(&["exists", "location_stream"]) == "1").then_some(())
    })
    .await;
    place.has(FIXES).await;
    writer.stops().await;
}

#[tokio::test]
async fn what_the_stream_has_forgotten_and_what_is_no_position_is_counted_and_let_go() {
    let redis = Redis::start();
    let place = Place::at(redis.url());
    let (board, dead) = (place.board().await, place.stream("dead").await);
    board.put(Note::Positions(sightings()[..20].to_vec()));
    board.settle().await;
    assert_eq!(taken_by(&dead, 20).await.len(), 20);
    redis.cli(&["xtrim", "location_stream", "maxlen", "5"]);
    redis.cli(&["xadd", "location_stream", "*", "roomId", "sos", "keep", "1"]);
    redis.cli(&["xadd", "location_stream", "*", "what", "is this"]);
    let writer = place.writer("one", &board).await;
    writer.counts(|counts| &counts.forgotten, 15).await;
    writer.counts(|counts| &counts.unreadable, 2).await;
    writer.counts(|counts| &counts.written, 5).await;
    eventually("nothing is left", || async {
        let pending = redis.cli(&["xpending", "location_stream", "history"]);
        pending.starts_with('0').then_some(())
    })
    .await;
    writer.stops().await;
}
