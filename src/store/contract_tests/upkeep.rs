//! Promises about keeping the store small and its lists true.

use std::time::Duration;

use super::Harness;
use super::scribe::{Scribe, everything, kept, key, ms, put, raised};
use crate::domain::incident::Status;
use crate::domain::location::LocationPolicy;
use crate::domain::testing::{report, room};
use crate::store::contract::Store;
use crate::store::types::{Append, HistoryQuery, KeptFix, Purged, Retention};

fn all(name: &str) -> HistoryQuery {
    HistoryQuery {
        room: Some(room(name)),
        participant: None,
        among: None,
        subject: None,
        from: None,
        to: None,
        after: None,
        limit: 100_000,
    }
}

pub async fn a_purge_removes_what_is_too_old_and_nothing_else<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let keyed = Append {
        idempotency: Some(key(0, "old")),
        ..Scribe::new("sos").raise(report())
    };
    put(store, keyed).await;
    let mut later = Scribe::new("later");
    later.now = ms(10_000_000);
    put(
        store,
        Append {
            idempotency: Some(key(0, "new")),
            ..later.raise(report())
        },
    )
    .await;
    let fixes: Vec<KeptFix> = (0..12_000)
        .map(|n| kept("sos", u64::from(n % 7 == 0), n, 0.0))
        .collect();
    assert_eq!(
        store.keep_fixes(fixes, &LocationPolicy::default()).await,
        Ok(12_000)
    );
    let retention = Retention {
        locations: Duration::from_millis(9_993_000),
        idempotency: Duration::from_millis(5_000_000),
        slice_max_rows: 5_000,
        ..Retention::default()
    };
    let mut sum = Purged {
        more: true,
        ..Purged::default()
    };
    let mut slices = 0;
    while sum.more {
        let slice = store.purge(ms(10_000_000), &retention).await.unwrap();
        sum.locations += slice.locations;
        sum.idempotency += slice.idempotency;
        sum.more = slice.more;
        slices += 1;
    }
    assert_eq!((sum.locations, sum.idempotency), (7_000, 1));
    assert!(slices > 1, "a purge comes in slices");
    let left = store.history(&all("sos")).await.unwrap();
    assert_eq!((left.len(), left[0].fix.at), (5_000, ms(7_000)));
    assert_eq!(store.repeated(&key(0, "old")).await.unwrap(), None);
    assert_eq!(store.repeated(&key(0, "new")).await.unwrap(), Some(room("later")));
    assert!(store.load(&room("sos")).await.unwrap().is_some());
}

pub async fn retention_of_zero_keeps_for_ever<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    put(
        store,
        Append {
            idempotency: Some(key(0, "old")),
            ..Scribe::new("sos").raise(report())
        },
    )
    .await;
    store
        .keep_fixes(vec![kept("sos", 0, 0, 0.0)], &LocationPolicy::default())
        .await
        .unwrap();
    assert_eq!(
        store.purge(ms(i64::MAX), &Retention::default()).await,
        Ok(Purged::default())
    );
    assert_eq!(store.history(&all("sos")).await.unwrap().len(), 1);
    assert!(store.repeated(&key(0, "old")).await.unwrap().is_some());
}

pub async fn a_rebuild_gives_the_same_lists<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for n in 0..10 {
        let mut scribe = raised(store, &format!("sos-{n}"), report()).await;
        put(store, scribe.join(1)).await;
        if n % 2 == 0 {
            put(store, scribe.status(Status::Cancelled)).await;
        }
    }
    store
        .keep_fixes(vec![kept("no-log", 0, 0, 0.0)], &LocationPolicy::default())
        .await
        .unwrap();
    let before = store.incidents(&everything()).await.unwrap();
    assert_eq!(store.rebuild().await, Ok(10));
    assert_eq!(store.incidents(&everything()).await.unwrap(), before);
    assert_eq!(store.history(&all("no-log")).await.unwrap().len(), 1);
    assert_eq!(store.load(&room("sos-1")).await.unwrap().unwrap().people.len(), 2);
}

pub async fn statistics_count_what_was_written<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    put(store, scribe.say(0, "hello")).await;
    assert!(store.append(Scribe::new("sos").raise(report())).await.is_err());
    let policy = LocationPolicy::default();
    store
        .keep_fixes(vec![kept("sos", 0, 0, 0.0), kept("sos", 0, 0, 0.0)], &policy)
        .await
        .unwrap();
    let stats = store.stats();
    assert_eq!(
        (stats.events, stats.fixes, stats.queue_depth, stats.refused),
        (3, 1, 0, 0)
    );
    assert!(stats.commits >= 3);
    assert!(stats.queue_max > 0);
}
