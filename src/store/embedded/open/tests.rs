//! What is listed from memory is what the file would have told, whatever was asked and whatever happened before.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use crate::domain::geo::Position;
use crate::domain::incident::{IncidentType, Report, Status, Visibility};
use crate::domain::testing::{report, room};
use crate::store::contract::Store;
use crate::store::contract_tests::scribe::{Scribe, everything, ms, put, raised, user};
use crate::store::embedded::{Embedded, EmbeddedOptions};
use crate::store::types::{IncidentCursor, IncidentQuery, Listed, Sight};

const INCIDENTS: u32 = 60;

fn opened(folder: &TempDir, open_incidents_max: usize) -> Embedded {
    Embedded::open(EmbeddedOptions {
        open_incidents_max,
        ..EmbeddedOptions::new(folder.path())
    })
    .unwrap()
}

/// Points in a town, some at the same place, some over the date line, some at a pole.
fn positions() -> impl Strategy<Value = Option<Position>> {
    let at = |lat: f64, lon: f64| Position::new(lat, lon).ok();
    prop_oneof![
        6 => (-0.2..0.2f64, -0.2..0.2f64).prop_map(move |(n, e)| at(14.6 + n, 121.0 + e)),
        2 => Just(at(14.6, 121.0)),
        2 => (-0.1..0.1f64, -0.1..0.1f64).prop_map(move |(n, e)| {
            at(-17.0 + n, if e < 0.0 { 180.0 + e } else { e - 180.0 })
        }),
        1 => (89.8..90.0f64, -180.0..180.0f64).prop_map(move |(lat, lon)| at(lat, lon)),
        1 => Just(None),
    ]
}

fn reports() -> impl Strategy<Value = Report> {
    (positions(), 0..IncidentType::ALL.len(), 0..3u8, any::<bool>()).prop_map(
        |(position, kind, city, hidden)| Report {
            position,
            kind: IncidentType::ALL[kind],
            city_id: (city > 0).then(|| format!("city-{city}")),
            visibility: if hidden {
                Visibility::Restricted
            } else {
                Visibility::Public
            },
            ..report()
        },
    )
}

fn queries() -> impl Strategy<Value = IncidentQuery> {
    let status = prop_oneof![
        2 => Just(vec![]),
        2 => Just(vec![Status::Active]),
        1 => Just(vec![Status::Responding, Status::Arrived]),
        1 => Just(vec![Status::Active, Status::Resolved]),
        1 => Just(vec![Status::Closed]),
    ];
    let near = prop_oneof![
        Just(None),
        (
            positions(),
            prop_oneof![Just(3_000.0), Just(25_000.0), Just(20_100_000.0)]
        )
            .prop_map(|(centre, radius)| centre.map(|centre| (centre, radius))),
    ];
    let sight = prop_oneof![
        Just(Sight::All),
        Just(Sight::Public),
        (0..5u64).prop_map(|n| Sight::PublicAnd(user(n)))
    ];
    let kind = prop::option::weighted(0.2, 0..IncidentType::ALL.len());
    (
        status,
        near,
        sight,
        kind,
        prop::option::weighted(0.2, 1..3u8),
        1..20usize,
    )
        .prop_map(|(status, near, sight, kind, city, limit)| IncidentQuery {
            status,
            near,
            sight,
            kind: kind.map(|kind| IncidentType::ALL[kind]),
            city_id: city.map(|city| format!("city-{city}")),
            limit,
            after: None,
        })
}

/// Raises incidents and moves them about.
async fn happen(store: &Embedded, runner: &mut TestRunner) {
    let draw = |runner: &mut TestRunner| reports().new_tree(runner).unwrap().current();
    for n in 0..u64::from(INCIDENTS) {
        let mut scribe = Scribe::new(&format!("sos-{:02}", (n * 7) % u64::from(INCIDENTS)));
        scribe.now = ms(1_000_000 + i64::try_from(n / 5).unwrap());
        put(store, scribe.raise(draw(runner))).await;
        if n % 3 == 0 {
            put(store, scribe.join(1 + n % 4)).await;
        }
        let moves: &[Status] = match n % 7 {
            0 => &[Status::Responding],
            1 => &[Status::Resolved],
            2 => &[Status::Arrived, Status::Cancelled, Status::Closed],
            _ => &[],
        };
        for to in moves {
            put(store, scribe.status(*to)).await;
        }
    }
}

async fn walk(store: &Embedded, mut query: IncidentQuery) -> Vec<Listed> {
    let mut all: Vec<Listed> = vec![];
    loop {
        let page = store.incidents(&query).await.unwrap();
        let Some(last) = page.last() else { return all };
        query.after = Some(IncidentCursor {
            created_at: last.incident.created_at,
            distance_m: last.distance_m.unwrap_or_default(),
            room: last.incident.room.clone(),
        });
        all.extend(page);
        assert!(all.len() as u64 <= u64::from(INCIDENTS), "the pages never end");
    }
}

#[tokio::test]
async fn memory_and_file_tell_the_same_lists_page_by_page() {
    let mut runner = TestRunner::new(Config::default());
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder, 1_000);
    happen(&store, &mut runner).await;
    let asked: Vec<IncidentQuery> = (0..150)
        .map(|_| queries().new_tree(&mut runner).unwrap().current())
        .collect();
    let mut told = Vec::new();
    for query in &asked {
        told.push(walk(&store, query.clone()).await);
    }
    assert!(store.observe().lists_at_once > 0 && store.observe().open_held > 0);
    store.close().await;
    drop(store);
    // After a restart too, and from the file alone.
    for max in [1_000, 0] {
        let again = opened(&folder, max);
        for (query, told) in asked.iter().zip(&told) {
            assert_eq!(&walk(&again, query.clone()).await, told, "{max}: {query:?}");
        }
        assert_eq!(again.observe().open_held > 0, max > 0);
        again.close().await;
    }
}

#[tokio::test]
async fn more_than_fit_are_listed_from_the_file_until_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder, 8);
    let mut scribes = Vec::new();
    for n in 0..20 {
        scribes.push(raised(&store, &format!("sos-{n:02}"), report()).await);
    }
    let open = || IncidentQuery {
        status: vec![Status::Active],
        ..everything()
    };
    let held = || (store.observe().open_held, store.observe().open_left_out);
    assert_eq!(held(), (8, 12));
    assert_eq!(store.incidents(&open()).await.unwrap().len(), 20);
    for (n, mut scribe) in scribes.into_iter().enumerate().skip(3) {
        put(&store, scribe.status(Status::Resolved)).await;
        put(&store, scribe.status(Status::Closed)).await;
        assert_eq!(store.incidents(&open()).await.unwrap().len(), 22 - n.max(3));
    }
    assert_eq!(held(), (3, 0), "those that were left out are back or over");
    let before = store.observe().lists_at_once;
    assert_eq!(store.incidents(&open()).await.unwrap().len(), 3);
    assert_eq!(store.observe().lists_at_once, before + 1);
    store.close().await;
}

#[tokio::test]
async fn those_that_were_left_out_come_in_when_others_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder, 8);
    let mut scribes = Vec::new();
    for n in 0..10 {
        scribes.push(raised(&store, &format!("sos-{n}"), report()).await);
    }
    for scribe in scribes.iter_mut().take(4) {
        put(&store, scribe.status(Status::Cancelled)).await;
    }
    // A write of any kind lets it look.
    store.ping().await.unwrap();
    assert_eq!((store.observe().open_held, store.observe().open_left_out), (6, 0));
    let listed = store
        .incidents(&IncidentQuery {
            status: vec![Status::Active],
            ..everything()
        })
        .await
        .unwrap();
    assert_eq!(listed.len(), 6);
    assert!(listed.iter().any(|listed| listed.incident.room == room("sos-9")));
    store.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_next_list() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder, 1_000);
    let near = IncidentQuery {
        status: vec![Status::Active, Status::Responding],
        near: report().position.map(|position| (position, 100.0)),
        ..everything()
    };
    for n in 0..50 {
        let mut scribe = raised(&store, &format!("sos-{n}"), report()).await;
        assert_eq!(store.incidents(&near).await.unwrap().len(), 1);
        put(&store, scribe.join(1)).await;
        put(&store, scribe.status(Status::Responding)).await;
        let listed = store.incidents(&near).await.unwrap();
        let row = &listed[0].incident;
        assert_eq!(
            (row.status, row.active_participants, row.seq),
            (Status::Responding, 2, scribe.state.seq)
        );
        put(&store, scribe.status(Status::Resolved)).await;
        assert_eq!(store.incidents(&near).await.unwrap(), []);
    }
    store.close().await;
}
