//! One node on the embedded store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mayday::actors::blocks::Blocks;
use mayday::actors::engine::{NewTrip, Parts};
use mayday::actors::ops::{Filter, OpsError, OpsSettings, OpsSink};
use mayday::actors::{Engine, NoObserver, Settings, SystemClock};
use mayday::bus::{Alone, NodeId};
use mayday::domain::area::Area;
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{RoomId, UserId};
use mayday::domain::incident::{Report, Status};
use mayday::domain::room::RoomKind;
use mayday::domain::time::Timestamp;
use mayday::store::{Embedded, EmbeddedOptions, Retention, Store};
use serde_json::Value;
use smallvec::smallvec;
use tempfile::TempDir;

use super::{Ear, follow, is_whole, person, raise, report, say, set, total};
use crate::support::{HERE, eventually, now_ms};

struct One {
    engine: Engine,
    store: Arc<dyn Store>,
    folder: TempDir,
}

impl One {
    fn start(change: impl FnOnce(&mut OpsSettings)) -> Self {
        Self::on(tempfile::tempdir().unwrap(), change)
    }

    fn on(folder: TempDir, change: impl FnOnce(&mut OpsSettings)) -> Self {
        let store = Embedded::open(EmbeddedOptions::new(folder.path().join("data"))).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let mut settings = Settings::default();
        change(&mut settings.ops);
        let engine = Engine::start(Parts {
            lookups: None,
            bus: Alone::new(NodeId::from_bits(1)),
            blocks: Arc::new(Blocks::new(b"a secret of the test", 100)),
            store: Arc::clone(&store),
            clock: Arc::new(SystemClock),
            settings,
            observer: Arc::new(NoObserver),
            chores: vec![],
        });
        Self {
            engine,
            store,
            folder,
        }
    }
}

async fn raise_many(engine: &Engine, count: usize) -> Vec<RoomId> {
    let all = (0..count).map(|n| async move { raise(engine, &format!("ana-{n}")).await });
    join_all(all).await
}

#[actix::test]
async fn every_event_of_every_incident_comes_in_the_order_of_the_store() {
    let One { engine, store, .. } = &One::start(|_| ());
    let (ear, other) = (Ear::new(), Ear::new());
    let _following = follow(engine, &ear, None).await;
    let _other = follow(engine, &other, None).await;
    let incidents = raise_many(engine, 40).await;
    for sos in &incidents[..10] {
        set(engine, sos, Status::Responding).await;
        set(engine, sos, Status::Resolved).await;
    }
    say(engine, &incidents[20], "ana-20", "they are inside").await;
    let count = total(&**store, &incidents).await;
    ear.hears(count).await;
    other.hears(count).await;
    is_whole(&**store, &ear.told(), &incidents).await;
    assert_eq!(ear.told(), other.told());
    let kept = store.feed_after(0, 10_000).await.unwrap().unwrap();
    let kept: Vec<_> = kept
        .events
        .iter()
        .map(|feed| (feed.event.room.clone(), feed.event.seq.get()))
        .collect();
    assert_eq!(ear.told(), kept);
    // What each of them says.
    let events = ear.events();
    let resolved = events
        .iter()
        .rev()
        .find(|event| event.event.room == incidents[9])
        .unwrap();
    let shown: Value = serde_json::from_str(&resolved.json()).unwrap();
    assert_eq!(shown["sosId"], incidents[9].as_str());
    assert_eq!(shown["type"], "status-changed");
    assert_eq!(
        (&shown["sos"]["status"], &shown["sos"]["type"]),
        (&"RESOLVED".into(), &"FIRE".into())
    );
    let place = report().position.unwrap();
    assert_eq!(shown["sos"]["location"]["latitude"], place.latitude());
    assert_eq!(shown["cursor"].as_str().unwrap().parse(), Ok(resolved.cursor()));
    assert!(Arc::ptr_eq(
        &resolved.encoded(mayday::actors::ops::OpsEvent::json),
        &resolved.encoded(|_| String::new())
    ));
}

#[actix::test]
async fn from_any_cursor_exactly_the_rest_comes_also_after_a_restart() {
    let one = One::start(|settings| settings.recent_max = 8);
    let ear = Ear::new();
    let following = follow(&one.engine, &ear, None).await;
    let mut incidents = raise_many(&one.engine, 30).await;
    let count = total(&*one.store, &incidents).await;
    ear.hears(count).await;
    drop(following);
    let (told, events) = (ear.told(), ear.events());
    for from in [0, 1, count / 2, count - 2, count - 1] {
        let again = Ear::new();
        let _following = follow(&one.engine, &again, Some(events[from].cursor())).await;
        again.hears(count - from - 1).await;
        assert_eq!(again.told(), told[from + 1..]);
        assert_eq!(again.gaps(), 0);
    }
    let One {
        engine,
        store,
        folder,
    } = one;
    drop(engine);
    store.close().await;
    drop(store);
    let one = One::on(folder, |_| ());
    let again = Ear::new();
    let _following = follow(&one.engine, &again, Some(events[5].cursor())).await;
    again.hears(count - 6).await;
    incidents.push(raise(&one.engine, "late").await);
    let whole = total(&*one.store, &incidents).await;
    again.hears(whole - 6).await;
    assert_eq!(again.told()[..count - 6], told[6..]);
    assert_eq!(again.gaps(), 0);
}

#[actix::test]
async fn whoever_is_slow_gets_nothing_more_until_they_have_read_and_misses_nothing() {
    let One { engine, store, .. } = &One::start(|settings| settings.recent_max = 8);
    let (ear, quick) = (Ear::new(), Ear::new());
    let _following = follow(engine, &ear, None).await;
    let _quick = follow(engine, &quick, None).await;
    ear.queue(300 * 1024);
    let incidents = raise_many(engine, 50).await;
    let count = total(&**store, &incidents).await;
    quick.hears(count).await;
    // It may have been given what came before it was looked how much waits.
    assert!(ear.count() <= 64, "{}", ear.count());
    ear.queue(0);
    ear.hears(count).await;
    assert_eq!(ear.told(), quick.told());
    assert_eq!(ear.gaps(), 0);
}

#[actix::test]
async fn a_cursor_whose_place_is_no_longer_kept_is_told_of_a_gap_and_goes_on_live() {
    let One { engine, store, .. } = &One::start(|settings| settings.recent_max = 1);
    let ear = Ear::new();
    let following = follow(engine, &ear, None).await;
    let incidents = raise_many(engine, 10).await;
    ear.hears(total(&**store, &incidents).await).await;
    drop(following);
    let retention = Retention {
        feed: Duration::from_millis(1),
        slice_max_rows: 1_000,
        ..Retention::default()
    };
    let later = Timestamp::from_ms(i64::try_from(now_ms()).unwrap()) + Duration::from_secs(60);
    assert!(store.purge(later, &retention).await.unwrap().feed > 0);
    let foreign = "1-2-0-1".parse().unwrap();
    for cursor in [ear.events()[0].cursor(), foreign] {
        let again = Ear::new();
        let _following = follow(engine, &again, Some(cursor)).await;
        eventually("it is told", || async { (again.gaps() == 1).then_some(()) }).await;
        let (begun, _) = again.begun()[0];
        assert_eq!(Some(begun), ear.events().last().map(|event| event.cursor()));
        let sos = raise(engine, "new").await;
        again
            .hears(total(&**store, std::slice::from_ref(&sos)).await)
            .await;
        assert!(again.told().iter().all(|(room, _)| *room == sos));
        ear.event(&again.events()[again.count() - 1]);
    }
}

#[actix::test]
async fn a_filter_passes_what_somebody_wants_to_see() {
    let One { engine, store, .. } = &One::start(|_| ());
    let place = report().position.unwrap();
    let filter = Filter {
        city_id: Some("MNL".into()),
        statuses: vec![Status::Active],
        area: Some(Area::new(place, 1.0, engine.node().ops.radius_max_km()).unwrap()),
        ..Filter::default()
    };
    let (ear, all) = (Ear::new(), Ear::new());
    let _all = follow(engine, &all, None).await;
    let _following = engine
        .node()
        .ops
        .follow(filter, None, Arc::clone(&ear) as Arc<dyn OpsSink>)
        .unwrap();
    eventually("it begins", || async { (!ear.begun().is_empty()).then_some(()) }).await;
    let elsewhere = raise(engine, "far").await;
    let here = Report {
        city_id: Some("MNL".into()),
        silent: true,
        ..report()
    };
    let here = engine.create_sos(&person("near"), here, None).await.unwrap().sos;
    for sos in [&elsewhere, &here] {
        set(engine, sos, Status::Responding).await;
        say(
            engine,
            sos,
            if sos == &here { "near" } else { "far" },
            "on their way",
        )
        .await;
    }
    let count = total(&**store, &[elsewhere, here.clone()]).await;
    all.hears(count).await;
    eventually("it has seen as much", || async {
        let last = ear.events().last().map(|event| event.summary.status);
        (last == Some(Status::Responding)).then_some(())
    })
    .await;
    let events = ear.events();
    assert!(
        events
            .iter()
            .all(|event| event.event.room == here && event.summary.silent)
    );
    // Its beginning, and its leaving; not what was said afterwards.
    assert_eq!(events.last().unwrap().event.body.kind(), "status-changed");
}

#[actix::test]
async fn as_many_follow_as_may() {
    let One { engine, .. } = &One::start(|settings| settings.followers_max = 2);
    let ops = &engine.node().ops;
    let try_follow =
        |ear: &Arc<Ear>| ops.follow(Filter::default(), None, Arc::clone(ear) as Arc<dyn OpsSink>);
    let (ear, other) = (Ear::new(), Ear::new());
    let first = try_follow(&ear).unwrap();
    let _second = try_follow(&other).unwrap();
    assert_eq!(try_follow(&Ear::new()).unwrap_err(), OpsError::TooMany);
    assert_eq!((ops.observe().followers, ops.observe().refused), ((2, 2), 1));
    // One leaves by itself, the other's connection ends.
    drop(first);
    eventually("there is room", || async {
        (ops.observe().followers.0 == 1).then_some(())
    })
    .await;
    other.close();
    eventually("there is more", || async {
        (ops.observe().followers.0 == 0).then_some(())
    })
    .await;
    eventually("nothing is held for nobody", || async {
        (ops.observe().known.0 == 0).then_some(())
    })
    .await;
    assert!(try_follow(&ear).is_ok());
}

#[actix::test]
async fn positions_of_incidents_and_trips_are_told_every_so_often_and_those_of_circles_never() {
    let One { engine, .. } = &One::start(|settings| settings.positions_every = Duration::from_millis(50));
    let sos = raise(engine, "ana").await;
    let trip = RoomId::new("trip-1").unwrap();
    let new = NewTrip {
        trip: trip.clone(),
        driver: UserId::new("dan").unwrap(),
        passengers: vec![],
        booking: None,
    };
    engine.create_trip(&person("dispatch"), &new).await.unwrap();
    let fix = |north: f64, ms: u64| {
        let at = Timestamp::from_ms(i64::try_from(now_ms()).unwrap()) + Duration::from_millis(ms);
        Fix::new(Position::new(HERE.0 + north, HERE.1).unwrap(), at)
    };
    engine
        .upload(&person("ana"), None, smallvec![fix(0.0, 0)])
        .await
        .unwrap();
    assert_eq!(
        engine.node().ops.observe().positions_waiting.0,
        0,
        "nobody follows"
    );
    let ear = Ear::new();
    let following = follow(engine, &ear, None).await;
    let last = fix(0.002, 2_000);
    let fixes = smallvec![fix(0.001, 1_000)];
    engine.upload(&person("ana"), None, fixes).await.unwrap();
    engine
        .upload(&person("ana"), None, smallvec![last])
        .await
        .unwrap();
    engine
        .upload(&person("dan"), None, smallvec![fix(0.01, 0)])
        .await
        .unwrap();
    eventually("both are told", || async {
        let told = ear.positions();
        let ana = told
            .iter()
            .any(|one| one.room == sos && one.kind == RoomKind::Sos && one.fix == last);
        let dan = told
            .iter()
            .any(|one| one.room == trip && one.kind == RoomKind::Trip);
        (ana && dan).then_some(())
    })
    .await;
    drop(following);
    eventually("nobody follows", || async {
        (engine.node().ops.observe().followers.0 == 0).then_some(())
    })
    .await;
    engine
        .upload(&person("dan"), None, smallvec![fix(0.02, 3_000)])
        .await
        .unwrap();
    assert_eq!(engine.node().ops.observe().positions_waiting.0, 0);
}
