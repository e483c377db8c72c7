//! Promises about positions.

use std::time::Duration;

use super::Harness;
use super::scribe::{Scribe, kept, ms, place, put, raised, record};
use crate::domain::geo::Fix;
use crate::domain::location::LocationPolicy;
use crate::domain::testing::{person, report, room};
use crate::store::contract::Store;
use crate::store::types::{HistoryFix, HistoryQuery, KeptFix};

fn of_room(name: &str) -> HistoryQuery {
    HistoryQuery {
        room: Some(room(name)),
        participant: None,
        among: None,
        subject: None,
        from: None,
        to: None,
        after: None,
        limit: 1_000,
    }
}

fn raw(name: &str, n: u64, at: i64, north: f64) -> KeptFix {
    KeptFix {
        sampled: false,
        ..kept(name, n, at, north)
    }
}

fn times(history: &[HistoryFix]) -> Vec<i64> {
    history.iter().map(|kept| kept.fix.at.ms()).collect()
}

pub async fn a_batch_of_fixes_twice_changes_nothing<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let policy = LocationPolicy::default();
    let batch: Vec<KeptFix> = (0..50)
        .map(|n| KeptFix {
            sampled: n % 2 == 0,
            ..raw("sos", 1, (n * 7_919) % 50 * 4_000, n as f64 * 1e-5)
        })
        .collect();
    let first = store.keep_fixes(batch.clone(), &policy).await.unwrap();
    assert!((25..50).contains(&first));
    let history = store.history(&of_room("sos")).await.unwrap();
    assert_eq!(history.len(), first);
    assert_eq!(store.keep_fixes(batch, &policy).await, Ok(0));
    assert_eq!(store.history(&of_room("sos")).await.unwrap(), history);
    let moved = kept("sos", 1, history[0].fix.at.ms(), 0.5);
    assert_eq!(
        store.keep_fixes(vec![moved], &policy).await,
        Ok(0),
        "one that is there stays as it is"
    );
    assert_eq!(store.history(&of_room("sos")).await.unwrap(), history);
    assert_eq!(store.keep_fixes(vec![], &policy).await, Ok(0));
}

pub async fn fixes_that_were_not_sampled_are_judged_in_their_own_order<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    // Every 5 s at one place, then one 100 m further on.
    let mut batch: Vec<KeptFix> = (0..7).rev().map(|n| raw("sos", 1, n * 5_000, 0.0)).collect();
    batch.push(raw("sos", 1, 31_000, 0.001));
    assert_eq!(store.keep_fixes(batch, &LocationPolicy::default()).await, Ok(4));
    let history = store.history(&of_room("sos")).await.unwrap();
    assert_eq!(times(&history), [0, 15_000, 30_000, 31_000]);
}

pub async fn a_late_batch_is_judged_against_the_fix_before_it<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let policy = LocationPolicy::default();
    store
        .keep_fixes(vec![kept("sos", 1, 0, 0.0), kept("sos", 1, 60_000, 0.0)], &policy)
        .await
        .unwrap();
    let late = vec![
        raw("sos", 1, 14_000, 0.0),
        raw("sos", 1, 20_000, 0.0),
        raw("sos", 2, 14_000, 0.0),
    ];
    assert_eq!(store.keep_fixes(late, &policy).await, Ok(2));
    assert_eq!(
        times(&store.history(&of_room("sos")).await.unwrap()),
        [0, 14_000, 20_000, 60_000]
    );
    let strict = LocationPolicy {
        keep_interval: Duration::from_secs(3_600),
        keep_distance_m: 1e6,
        ..policy
    };
    assert_eq!(
        store.keep_fixes(vec![raw("sos", 1, 61_000, 0.0)], &strict).await,
        Ok(0)
    );
}

pub async fn the_newest_fix_of_each_participant_is_loaded_with_the_room<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "sos", report()).await;
    let policy = LocationPolicy::default();
    let fixes = vec![
        kept("sos", 1, 5, 0.1),
        kept("sos", u64::MAX, 9, 0.2),
        kept("other", 1, 99, 0.3),
    ];
    store.keep_fixes(fixes, &policy).await.unwrap();
    store
        .keep_fixes(vec![kept("sos", 1, 7, 0.4), kept("sos", 1, 6, 0.5)], &policy)
        .await
        .unwrap();
    let mut newest = store.load(&room("sos")).await.unwrap().unwrap().newest;
    newest.sort_by_key(|(who, _)| *who);
    let expected = [
        (person(1), kept("sos", 1, 7, 0.4).fix),
        (person(u64::MAX), kept("sos", 1, 9, 0.2).fix),
    ];
    assert_eq!(newest, expected);
    assert!(
        store.load(&room("other")).await.unwrap().is_none(),
        "positions alone make no room"
    );
    put(store, Scribe::new("other").raise(report())).await;
    assert_eq!(store.load(&room("other")).await.unwrap().unwrap().newest.len(), 1);
}

pub async fn history_of_a_room_is_merged_and_paged_without_gap_or_repeat<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let who = [3, u64::MAX, 1];
    let fixes: Vec<KeptFix> = (0..60)
        .map(|n: usize| kept("sos", who[n % 3], (n as i64 * 31) % 20, n as f64 * 1e-3))
        .collect();
    let new = store.keep_fixes(fixes, &LocationPolicy::default()).await.unwrap();
    assert_eq!(new, 60);
    let all = store.history(&of_room("sos")).await.unwrap();
    assert_eq!(all.len(), 60);
    assert!(all.is_sorted_by_key(|kept| (kept.fix.at, kept.participant)));
    let mut paged = vec![];
    let mut query = HistoryQuery {
        limit: 7,
        ..of_room("sos")
    };
    loop {
        let page = store.history(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query.after = Some((last.fix.at, last.participant));
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let part = HistoryQuery {
        from: Some(ms(5)),
        to: Some(ms(9)),
        participant: Some(person(1)),
        ..of_room("sos")
    };
    let expected: Vec<HistoryFix> = all
        .into_iter()
        .filter(|kept| kept.participant == person(1) && (5..=9).contains(&kept.fix.at.ms()))
        .collect();
    assert_eq!(store.history(&part).await.unwrap(), expected);
    assert_eq!(store.history(&of_room("none")).await.unwrap(), []);
    assert_eq!(
        store
            .history(&HistoryQuery {
                limit: 0,
                ..of_room("sos")
            })
            .await
            .unwrap(),
        []
    );
}

pub async fn history_of_a_subject_tells_each_fix_once<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for name in ["a", "b"] {
        raised(store, name, report()).await;
    }
    let mut fixes: Vec<KeptFix> = (0..10)
        .flat_map(|n| [kept("a", 0, n, 0.0), kept("b", 0, n, 0.0), kept("b", 5, n, 0.5)])
        .collect();
    fixes.push(kept("a", 0, 77, 0.0));
    fixes.push(kept("b", 0, 44, 0.0));
    store.keep_fixes(fixes, &LocationPolicy::default()).await.unwrap();
    let query = HistoryQuery {
        room: None,
        subject: Some(record(0).subject),
        limit: 5,
        ..of_room("a")
    };
    let mut found = vec![];
    let mut next = query.clone();
    loop {
        let page = store.history(&next).await.unwrap();
        let Some(last) = page.last() else { break };
        next.after = Some((last.fix.at, last.participant));
        found.extend(page);
    }
    assert_eq!(times(&found), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 44, 77]);
    let in_b = HistoryQuery {
        room: Some(room("b")),
        limit: 100,
        ..query
    };
    assert_eq!(store.history(&in_b).await.unwrap().len(), 11);
    let nobody = HistoryQuery {
        room: None,
        ..of_room("a")
    };
    assert_eq!(store.history(&nobody).await.unwrap(), []);
}

pub async fn a_fix_is_read_back_as_it_was_kept<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let full = Fix::new(place(0.123_456_789, -0.987_654_321), ms(1_700_000_000_123))
        .with_motion(Some(4.75), Some(0.0), Some(359.9))
        .unwrap();
    let one = KeptFix {
        fix: full,
        ..kept("sos", 1, 0, 0.0)
    };
    store
        .keep_fixes(vec![one, kept("sos", 2, -5, 0.0)], &LocationPolicy::default())
        .await
        .unwrap();
    let history = store.history(&of_room("sos")).await.unwrap();
    assert_eq!(history[0].fix, kept("sos", 2, -5, 0.0).fix);
    assert_eq!(
        history[1],
        HistoryFix {
            participant: person(1),
            fix: full
        }
    );
}
