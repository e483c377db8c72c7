//! Several nodes on one database.

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};

use super::{Mongo, MongoOptions, server};
use crate::domain::location::LocationPolicy;
use crate::domain::room::Seq;
use crate::domain::testing::{report, room};
use crate::store::contract::{AppendError, Store};
use crate::store::contract_tests::scribe::{Scribe, everything, kept, put, raised};
use crate::store::types::HistoryQuery;

async fn two() -> [Mongo; 2] {
    let options = MongoOptions::new(server::shared().await);
    // One after the other is what `nodes_that_start_at_once_migrate_once` is about.
    let first = Mongo::open(options.clone()).await.unwrap();
    [first, Mongo::open(options).await.unwrap()]
}

/// Says so many things in a room whose log another node writes, too, as its actor would: reads, decides, appends.
async fn talks(store: &Mongo, name: &str, who: u64, count: usize) -> usize {
    let (mut conflicts, mut said) = (0, 0);
    while said < count {
        let mut scribe = Scribe::new(name);
        let log = store.events(&room(name), Seq::ZERO, 1_000).await.unwrap();
        log.iter().for_each(|event| scribe.state.apply(event));
        match store.append(scribe.say(who, &format!("{who} says {said}"))).await {
            Ok(()) => said += 1,
            Err(AppendError::Conflict { head }) => {
                assert!(
                    head > Seq::new(log.len() as u64),
                    "what is in the way can be read"
                );
                conflicts += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    conflicts
}

/// Makes rooms of its own, all at once.
async fn raises(node: &Mongo, name: &str) -> Vec<Result<(), AppendError>> {
    let appends = (0..20).map(|n| node.append(Scribe::new(&format!("{name}-{n}")).raise(report())));
    join_all(appends).await
}

#[tokio::test]
async fn two_nodes_in_one_room_write_one_log_and_do_not_hold_other_rooms_up() {
    let [a, b] = two().await;
    let mut scribe = raised(&a, "busy", report()).await;
    put(&a, scribe.join(1)).await;
    // The other rooms' appends are in the same groups as those that collide.
    let (one, two, first, second) = tokio::join!(
        raises(&a, "a"),
        raises(&b, "b"),
        talks(&a, "busy", 0, 25),
        talks(&b, "busy", 1, 25),
    );
    assert!(one.iter().chain(&two).all(Result::is_ok));
    println!("{first} and {second} conflicts");
    let log = b.events(&room("busy"), Seq::ZERO, 1_000).await.unwrap();
    assert_eq!(log.len(), 3 + 50);
    assert_eq!(a.load(&room("busy")).await.unwrap().unwrap().events, log);
    assert_eq!(a.incidents(&everything()).await.unwrap().len(), 41);
    assert_eq!(
        a.incident(&room("busy")).await.unwrap().unwrap().seq,
        Seq::new(53)
    );
}

#[tokio::test]
async fn a_batch_that_two_nodes_keep_at_once_is_read_once() {
    let [a, b] = two().await;
    let batch: Vec<_> = (0..200)
        .map(|n| kept("sos", u64::try_from(n % 4).unwrap(), n, 0.0))
        .collect();
    let policy = LocationPolicy::default();
    let (first, second) = tokio::join!(
        a.keep_fixes(batch.clone(), &policy),
        b.keep_fixes(batch.clone(), &policy)
    );
    assert!(first.unwrap() + second.unwrap() >= 200);
    let all = HistoryQuery {
        room: Some(room("sos")),
        limit: 1_000,
        ..HistoryQuery::default()
    };
    for node in [&a, &b] {
        let times: Vec<i64> = node
            .history(&all)
            .await
            .unwrap()
            .iter()
            .map(|fix| fix.fix.at.ms())
            .collect();
        assert_eq!(times, (0..200).collect::<Vec<i64>>());
    }
    assert_eq!(b.keep_fixes(batch, &policy).await, Ok(0));
}

#[tokio::test]
async fn the_server_removes_positions_after_the_time_that_the_settings_say() {
    let mut options = MongoOptions::new(server::shared().await);
    options.locations_kept = std::time::Duration::from_secs(86_400 * 30);
    let store = Mongo::open(options.clone()).await.unwrap();
    let now = mongodb::bson::DateTime::now().timestamp_millis();
    let fixes = vec![kept("sos", 1, 1_000, 0.0), kept("sos", 2, now, 0.0)];
    store.keep_fixes(fixes, &LocationPolicy::default()).await.unwrap();
    let history = store
        .shared
        .db
        .collection::<Document>(super::super::docs::HISTORY);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while history.count_documents(doc! {}).await.unwrap() != 1 {
        assert!(std::time::Instant::now() < until, "the old position stays");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    store.close().await;
    options.locations_kept = std::time::Duration::ZERO;
    let store = Mongo::open(options).await.unwrap();
    store
        .keep_fixes(vec![kept("sos", 3, 1_000, 0.0)], &LocationPolicy::default())
        .await
        .unwrap();
    let all = HistoryQuery {
        room: Some(room("sos")),
        limit: 10,
        ..HistoryQuery::default()
    };
    assert_eq!(store.history(&all).await.unwrap().len(), 2, "zero keeps for ever");
}
