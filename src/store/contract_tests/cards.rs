//! Small records by name.

use std::time::Duration;

use super::Harness;
use super::scribe::{ms, user};
use crate::domain::notify::Lane;
use crate::store::cards::{Card, CardText, CardWrite};
use crate::store::contract::Store;
use crate::store::jobs::{JobId, JobWrite, NewJob};
use crate::store::types::Retention;

fn text(body: &str) -> CardText {
    CardText {
        shelf: None,
        whose: None,
        until: None,
        body: body.into(),
    }
}

fn put(key: &str, seen: i64, version: i64, text: CardText) -> CardWrite {
    CardWrite {
        key: key.into(),
        seen,
        then: Some((version, text)),
    }
}

fn gone(key: &str, seen: i64) -> CardWrite {
    CardWrite {
        key: key.into(),
        seen,
        then: None,
    }
}

fn job(n: u64) -> JobWrite {
    JobWrite::Add(NewJob {
        id: JobId::from_random(n << 1),
        key: format!("job:{n}"),
        lane: Lane::Otp,
        room: None,
        whose: None,
        after: Duration::ZERO,
        body: "body".into(),
    })
}

async fn write(store: &impl Store, cards: Vec<CardWrite>) -> bool {
    store.write_cards(cards, vec![]).await.unwrap()
}

pub async fn a_card_is_replaced_by_whoever_saw_its_last_version<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.card("a").await, Ok(None));
    assert!(
        !write(store, vec![put("a", 7, 8, text("one"))]).await,
        "there is none"
    );
    assert!(write(store, vec![put("a", 0, 1, text("$one"))]).await);
    assert!(
        !write(store, vec![put("a", 0, 2, text("two"))]).await,
        "there is one"
    );
    let one = Card {
        key: "a".into(),
        version: 1,
        text: text("$one"),
    };
    assert_eq!(store.card("a").await, Ok(Some(one)));
    assert!(write(store, vec![put("a", 1, 2, text("two"))]).await);
    assert!(!write(store, vec![gone("a", 1)]).await);
    assert_eq!(store.card("a").await.unwrap().unwrap().text.body, "two");
    assert!(write(store, vec![gone("a", 2), put("b", 0, 3, text("b"))]).await);
    assert_eq!(store.card("a").await, Ok(None));
    let harness = harness.reopen().await;
    assert_eq!(harness.store().card("b").await.unwrap().unwrap().version, 3);
}

pub async fn cards_are_written_with_each_other_and_with_jobs_or_not_at_all<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let both = vec![put("a", 0, 1, text("a")), put("b", 5, 6, text("b"))];
    assert_eq!(store.write_cards(both, vec![job(1)]).await, Ok(false));
    assert_eq!(store.card("a").await, Ok(None));
    assert_eq!(store.job_of("job:1").await, Ok(None));
    let both = vec![put("a", 0, 1, text("a")), put("b", 0, 2, text("b"))];
    assert_eq!(store.write_cards(both, vec![job(1)]).await, Ok(true));
    assert!(store.card("b").await.unwrap().is_some() && store.job_of("job:1").await.unwrap().is_some());
}

pub async fn of_many_that_replace_a_card_at_once_one_does<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for seen in [0, 1] {
        let all = (0..8).map(|n| {
            let version = if seen == 0 && n == 0 {
                1
            } else {
                10 * (seen + 1) + n
            };
            store.write_cards(vec![put("a", seen, version, text("a"))], vec![])
        });
        let done = futures_util::future::join_all(all).await;
        assert_eq!(
            done.iter().filter(|done| **done == Ok(true)).count(),
            1,
            "{done:?}"
        );
        let now = store.card("a").await.unwrap().unwrap().version;
        assert!(write(store, vec![put("a", now, 1, text("a"))]).await);
    }
}

pub async fn cards_are_found_by_shelf_and_by_whose_they_are<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let of = |shelf: &str, n| CardText {
        shelf: Some(shelf.into()),
        whose: Some(user(n)),
        ..text("body")
    };
    let all = vec![
        put("push:b", 0, 1, of("push:1", 0)),
        put("push:a", 0, 2, of("push:1", 1)),
        put("push:c", 0, 3, of("push:2", 0)),
        put("pin:a", 0, 4, of("pin", 0)),
    ];
    assert!(write(store, all).await);
    let keys = |cards: Vec<Card>| cards.into_iter().map(|card| card.key).collect::<Vec<_>>();
    assert_eq!(
        keys(store.cards_on("push:1", 10).await.unwrap()),
        ["push:a", "push:b"]
    );
    assert_eq!(keys(store.cards_on("push:1", 1).await.unwrap()), ["push:a"]);
    assert_eq!(
        keys(store.cards_of(&user(0), "push:", 10).await.unwrap()),
        ["push:b", "push:c"]
    );
    assert_eq!(keys(store.cards_of(&user(0), "", 10).await.unwrap()).len(), 3);
    assert_eq!(store.erase(&user(0), ms(1)).await.unwrap().others, 3);
    assert_eq!(store.cards_of(&user(0), "", 10).await, Ok(vec![]));
    assert_eq!(keys(store.cards_on("push:1", 10).await.unwrap()), ["push:a"]);
}

pub async fn a_purge_removes_cards_that_have_ended<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let until = |at: Option<i64>| CardText {
        until: at.map(ms),
        ..text("body")
    };
    let all = vec![
        put("a", 0, 1, until(Some(1_000))),
        put("b", 0, 2, until(Some(1_001))),
        put("c", 0, 3, until(None)),
    ];
    assert!(write(store, all).await);
    let purged = store.purge(ms(1_000), &Retention::default()).await.unwrap();
    assert_eq!((purged.cards, store.card("a").await), (1, Ok(None)));
    assert!(store.card("b").await.unwrap().is_some());
    assert_eq!(
        store
            .purge(ms(i64::MAX), &Retention::default())
            .await
            .unwrap()
            .cards,
        1
    );
    assert!(store.card("c").await.unwrap().is_some());
}
