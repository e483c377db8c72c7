//! Engines that share a store and a real Redis: what one of them knows the other one finds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayday::actors::blocks::Blocks;
use mayday::actors::engine::{NewTrip, Parts};
use mayday::actors::trips::Nearby;
use mayday::actors::{Engine, NoObserver, Settings, SystemClock};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{RoomId, ServiceName, UserId};
use mayday::domain::incident::Status;
use mayday::domain::people::{Contact, ContactBook, Identity, Role, Subject};
use mayday::domain::phone::PhoneNumber;
use mayday::domain::room::{Command, Proof};
use mayday::domain::scopes::Scopes;
use mayday::domain::time::Timestamp;
use mayday::store::{Embedded, EmbeddedOptions, Store};
use serde_json::Value;
use smallvec::smallvec;
use tempfile::TempDir;

use super::contract::{Nodes, settings};
use crate::support::redis::Redis;
use crate::support::{DEADLINE, HERE, eventually, now_ms};

/// Two engines, and the Redis between them.
struct Pair {
    redis: Redis,
    engines: [Engine; 2],
    _nodes: Nodes,
    _folder: TempDir,
}

impl Pair {
    async fn start() -> Self {
        let redis = Redis::start();
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(EmbeddedOptions::new(folder.path().join("data"))).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let mut bridge = settings(&redis.url());
        bridge.board.patience = DEADLINE;
        let mut nodes = Nodes::on(bridge);
        let mut engines = Vec::new();
        for _ in 0..2 {
            engines.push(Engine::start(Parts {
                bus: nodes.join().await,
                blocks: Arc::new(Blocks::new(b"a secret of the test", 100)),
                store: Arc::clone(&store),
                clock: Arc::new(SystemClock),
                settings: Settings {
                    sweep: Duration::from_millis(200),
                    ..Settings::default()
                },
                observer: Arc::new(NoObserver),
                lookups: None,
                chores: vec![],
            }));
        }
        Self {
            redis,
            engines: engines.try_into().unwrap_or_else(|_| panic!("two")),
            _nodes: nodes,
            _folder: folder,
        }
    }
}

fn dispatch() -> Arc<Identity> {
    Arc::new(Identity::service(
        ServiceName::new("dispatch").unwrap(),
        Scopes::ALL,
    ))
}

fn person(id: &str) -> Arc<Identity> {
    Arc::new(Identity {
        subject: Subject::User(UserId::new(id).unwrap()),
        role: Role::Citizen,
        name: Some(id.to_owned()),
        ..Identity::service(ServiceName::new("x").unwrap(), Scopes::ALL)
    })
}

fn place(north: f64) -> Position {
    Position::new(HERE.0 + north, HERE.1).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_ms(i64::try_from(now_ms()).unwrap())
}

#[actix::test]
async fn a_trip_is_found_and_its_driver_seen_from_a_node_that_took_none_of_it() {
    let Pair {
        engines: [one, other],
        redis,
        ..
    } = &Pair::start().await;
    let trip = RoomId::new("trip-1").unwrap();
    let new = NewTrip {
        trip: trip.clone(),
        driver: UserId::new("dan").unwrap(),
        passengers: vec![UserId::new("pia").unwrap()],
        booking: None,
    };
    one.create_trip(&dispatch(), &new).await.unwrap();
    // The same on the other node is the same trip.
    other.create_trip(&dispatch(), &new).await.unwrap();
    let fix = Fix::new(place(0.01), now());
    let rooms = one.upload(&person("dan"), None, smallvec![fix]).await.unwrap();
    assert_eq!(rooms, std::slice::from_ref(&trip));
    let nearby = Nearby {
        centre: place(0.0),
        radius_m: 5_000.0,
        since: Timestamp::default(),
        limit: 10,
    };
    let found = eventually("the other node finds it", async || {
        let found = other.trips_near(&dispatch(), &nearby).await.unwrap();
        found.into_iter().next()
    })
    .await;
    assert_eq!((&found.near.trip, found.near.at), (&trip, fix.at));
    assert_eq!(found.info.driver, Some(person("dan").subject.clone()));
    let view = other.view(&trip, &dispatch()).await.unwrap();
    let driver = view.state.owner.unwrap();
    // A moment later, which history does not keep: 15 s have not passed, nor 50 m.
    let later = Fix::new(place(0.0101), fix.at + Duration::from_millis(1_100));
    one.upload(&person("dan"), None, smallvec![later]).await.unwrap();
    let seen = eventually("the other node sees the newest", async || {
        let seen = other
            .latest_location(&trip, &person("pia"), driver)
            .await
            .unwrap();
        seen.filter(|seen| seen.at == later.at)
    })
    .await;
    assert_eq!(seen, later);
    // Those who are not on it are not shown.
    assert!(
        other
            .latest_location(&trip, &person("eve"), driver)
            .await
            .is_err()
    );

    other.end_trip(&dispatch(), &trip).await.unwrap();
    eventually("nobody finds it", async || {
        let found = one.trips_near(&dispatch(), &nearby).await.unwrap();
        let there = redis.cli(&["zcard", "active_trips_geo"]);
        (found.is_empty() && there == "0").then_some(())
    })
    .await;
}

#[actix::test]
async fn contacts_that_change_on_one_node_are_known_on_the_other_within_a_second() {
    let Pair {
        engines: [one, other],
        redis,
        ..
    } = &Pair::start().await;
    let ana = person("ana");
    let book = |n: u32| ContactBook {
        emergency: vec![Contact::new(
            format!("Contact {n}"),
            PhoneNumber::from_e164(&format!("+63917000{n:04}")).unwrap(),
        )],
        dependent: vec![],
    };
    one.put_contacts(&ana, book(0)).await.unwrap();
    for n in 0..20 {
        // Filled on a miss, by whoever asks.
        eventually("it is remembered", async || {
            let known = other.node().emergency_contacts(&ana.subject).await.unwrap();
            assert_eq!(known.emergency, book(n).emergency);
            (redis.cli(&["llen", "emergency:ana"]) == "1").then_some(())
        })
        .await;
        one.put_contacts(&ana, book(n + 1)).await.unwrap();
        let changed = Instant::now();
        eventually("the change is known", async || {
            let known = other.node().emergency_contacts(&ana.subject).await.unwrap();
            (known.emergency == book(n + 1).emergency).then_some(())
        })
        .await;
        assert!(
            changed.elapsed() < Duration::from_secs(1),
            "after {:?}",
            changed.elapsed()
        );
    }
    let (hits, misses) = other.node().board.counts().contacts;
    assert!(hits > 0 && misses > 0, "{hits} hits, {misses} misses");
}

#[actix::test]
async fn an_incident_is_told_as_it_stands_by_whichever_node_moves_it_and_again_when_redis_lost_it() {
    let Pair {
        engines: [one, other],
        redis,
        ..
    } = &mut Pair::start().await;
    let report = mayday::domain::incident::Report {
        trip_id: None,
        ..crate::nodes::cluster::report()
    };
    let sos = one.create_sos(&person("ana"), report, None).await.unwrap().sos;
    let key = format!("sos:state:{sos}");
    let status = |redis: &Redis| {
        let state: Value = serde_json::from_str(&redis.cli(&["get", &key])).ok()?;
        Some((
            state["status"].as_str()?.to_owned(),
            state["citizenId"].as_str()?.to_owned(),
        ))
    };
    let told = |wanted: &'static str| (wanted.to_owned(), "ana".to_owned());
    eventually("it is told", async || {
        (status(redis) == Some(told("ACTIVE"))).then_some(())
    })
    .await;
    let set = |to| Command::SetStatus {
        to,
        expected: None,
        note: None,
        lower_case: false,
        proof: Proof::Nothing,
    };
    other
        .act(&sos, &dispatch(), set(Status::Responding), None)
        .await
        .unwrap();
    eventually("its move is told", async || {
        (status(redis) == Some(told("RESPONDING"))).then_some(())
    })
    .await;
    // Redis comes back empty.
    redis.kill9();
    redis.restart();
    eventually("it is told again", async || {
        (status(redis) == Some(told("RESPONDING"))).then_some(())
    })
    .await;
    eventually("it is listed", async || {
        (redis.cli(&["sismember", "sos:rooms", sos.as_str()]) == "1").then_some(())
    })
    .await;
    // Whatever says that it is open when it is not is found out.
    redis.cli(&["sadd", "sos:rooms", "long-gone"]);
    eventually("what is over is not listed", async || {
        (redis.cli(&["sismember", "sos:rooms", "long-gone"]) == "0").then_some(())
    })
    .await;
    one.act(&sos, &dispatch(), set(Status::Closed), None)
        .await
        .unwrap();
    eventually("its end is told", async || {
        (status(redis) == Some(told("CLOSED"))).then_some(())
    })
    .await;
}
