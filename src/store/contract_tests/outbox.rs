//! What is to be told to the service that keeps incidents.

use std::time::Duration;

use super::Harness;
use super::scribe::{Scribe, ms, put, raised};
use crate::domain::room::Seq;
use crate::domain::testing::{report, room};
use crate::store::contract::Store;
use crate::store::outbox::{Claim, Claimed, DeadLetter, Settle, Settled, Then};
use crate::store::types::Retention;

const LONG: Duration = Duration::from_secs(60);

fn by(token: i64) -> Claim {
    Claim {
        token,
        lease: LONG,
        limit: 100,
    }
}

fn claimed(name: &str, taken: u64, head: u64) -> Claimed {
    Claimed {
        room: room(name),
        taken: Seq::new(taken),
        head: Seq::new(head),
        attempts: 0,
        refusals: 0,
    }
}

fn told(name: &str, token: i64, taken: u64, then: Then) -> Settle {
    Settle {
        room: room(name),
        token,
        taken: Seq::new(taken),
        attempts: 0,
        refusals: 0,
        since: None,
        then,
        dead: vec![],
    }
}

fn letter(name: &str, seq: u64, at: i64) -> DeadLetter {
    DeadLetter {
        room: room(name),
        seq: Seq::new(seq),
        kind: "message".into(),
        status: 422,
        attempts: 5,
        at: ms(at),
    }
}

/// Claims until there is something.
async fn claim_soon(store: &impl Store, claim: Claim) -> Vec<Claimed> {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = store.outbox_claim(claim).await.unwrap();
        if !found.is_empty() {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "nothing became due");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn an_incident_waits_to_be_told_and_other_rooms_do_not<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.outbox_claim(by(1)).await, Ok(vec![]));
    put(store, Scribe::new("circle").circle(1)).await;
    raised(store, "sos", report()).await;
    let depth = store.outbox_depth().await.unwrap();
    assert_eq!((depth.incidents, depth.oldest), (1, Some(ms(1_000_000))));
    assert_eq!(store.outbox_claim(by(2)).await, Ok(vec![claimed("sos", 0, 2)]));
    assert_eq!(store.outbox_claim(by(3)).await, Ok(vec![]), "it is somebody's");
}

pub async fn what_was_told_is_not_told_again<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    store.outbox_claim(by(1)).await.unwrap();
    let part = Settle {
        since: Some(ms(2_000_000)),
        ..told("sos", 1, 1, Then::Keep(LONG))
    };
    for _ in 0..2 {
        let left = store.outbox_settle(vec![part.clone()]).await;
        assert_eq!(left, Ok(vec![Settled::Left(Seq::new(2))]));
    }
    assert_eq!(store.outbox_depth().await.unwrap().oldest, Some(ms(2_000_000)));
    // Not even by whoever has it in hand.
    let back = store
        .outbox_settle(vec![told("sos", 1, 0, Then::Keep(LONG))])
        .await;
    assert_eq!(back, Ok(vec![Settled::Left(Seq::new(2))]));
    let all = vec![
        told("sos", 1, 2, Then::Keep(LONG)),
        told("none", 1, 2, Then::Keep(LONG)),
    ];
    assert_eq!(
        store.outbox_settle(all.clone()).await,
        Ok(vec![Settled::Gone, Settled::Gone])
    );
    assert_eq!(
        store.outbox_settle(all).await,
        Ok(vec![Settled::Gone, Settled::Gone])
    );
    assert_eq!(store.outbox_depth().await.unwrap().incidents, 0);
    assert_eq!(store.outbox_claim(by(2)).await, Ok(vec![]));
    put(store, scribe.say(0, "help")).await;
    assert_eq!(store.outbox_claim(by(3)).await, Ok(vec![claimed("sos", 2, 3)]));
}

pub async fn whoever_is_late_moves_nothing<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "sos", report()).await;
    let short = Claim {
        lease: Duration::from_millis(50),
        ..by(1)
    };
    assert_eq!(store.outbox_claim(short).await.unwrap().len(), 1);
    assert_eq!(claim_soon(store, by(2)).await, [claimed("sos", 0, 2)]);
    for then in [Then::Keep(LONG), Then::Release(Duration::ZERO)] {
        let late = store.outbox_settle(vec![told("sos", 1, 2, then)]).await;
        assert_eq!(late, Ok(vec![Settled::Gone]));
    }
    let mine = store
        .outbox_settle(vec![told("sos", 2, 1, Then::Keep(LONG))])
        .await;
    assert_eq!(mine, Ok(vec![Settled::Left(Seq::new(2))]));
    // The same after it was told all and has something new to tell.
    store
        .outbox_settle(vec![told("sos", 2, 2, Then::Keep(LONG))])
        .await
        .unwrap();
    let late = store
        .outbox_settle(vec![told("sos", 2, 9, Then::Keep(LONG))])
        .await;
    assert_eq!(late, Ok(vec![Settled::Gone]));
}

pub async fn what_was_sent_in_vain_is_due_again_when_it_is_time<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "sos", report()).await;
    store.outbox_claim(by(1)).await.unwrap();
    let failed = |token, wait| Settle {
        attempts: 3,
        refusals: 2,
        ..told("sos", token, 1, Then::Release(wait))
    };
    let left = store
        .outbox_settle(vec![failed(1, Duration::from_millis(100))])
        .await;
    assert_eq!(left, Ok(vec![Settled::Left(Seq::new(2))]));
    assert_eq!(store.outbox_claim(by(2)).await, Ok(vec![]), "not yet");
    let found = claim_soon(store, by(3)).await;
    assert_eq!(
        (found[0].attempts, found[0].refusals, found[0].taken),
        (3, 2, Seq::new(1))
    );
    store.outbox_settle(vec![failed(3, LONG)]).await.unwrap();
    assert_eq!(store.outbox_claim(by(4)).await, Ok(vec![]));
    assert_eq!(
        store.outbox_depth().await.unwrap().incidents,
        1,
        "it waits all the same"
    );
}

pub async fn what_happens_meanwhile_is_told_too<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    for n in 1..=10_u64 {
        let token = i64::try_from(n).unwrap();
        let found = claim_soon(store, by(token)).await;
        assert_eq!((found[0].taken, found.len()), (Seq::new(n - 1), 1), "{found:?}");
        // More is said while it is in hand.
        put(store, scribe.say(0, "more")).await;
        let then = Then::Release(Duration::ZERO);
        store
            .outbox_settle(vec![told("sos", token, n, then)])
            .await
            .unwrap();
    }
    let found = claim_soon(store, by(99)).await;
    assert_eq!((found[0].taken, found[0].head), (Seq::new(10), Seq::new(12)));
}

pub async fn of_many_that_claim_at_once_each_incident_is_somebodys<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for n in 0..20 {
        raised(store, &format!("sos-{n}"), report()).await;
    }
    let claims = (1..=8).map(|token| {
        store.outbox_claim(Claim {
            limit: 6,
            ..by(token)
        })
    });
    let mut found: Vec<_> = futures_util::future::join_all(claims)
        .await
        .into_iter()
        .flat_map(|found| found.unwrap().into_iter().map(|claimed| claimed.room))
        .collect();
    // Who was second where another was first comes again.
    for token in 100..120 {
        let more = store.outbox_claim(by(token)).await.unwrap();
        found.extend(more.into_iter().map(|claimed| claimed.room));
    }
    found.sort_unstable();
    let count = found.len();
    found.dedup();
    assert_eq!((found.len(), count), (20, 20));
}

pub async fn given_up_events_are_listed_newest_first_until_they_are_dropped_or_too_many_or_too_old<
    H: Harness,
>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "one", report()).await;
    raised(store, "two", report()).await;
    store.outbox_claim(by(1)).await.unwrap();
    let settle = Settle {
        dead: vec![letter("one", 1, 1_000)],
        ..told("one", 1, 1, Then::Keep(LONG))
    };
    store.outbox_settle(vec![settle.clone()]).await.unwrap();
    store.outbox_settle(vec![settle]).await.unwrap();
    let others = [
        letter("two", 1, 3_000),
        letter("one", 2, 3_000),
        letter("two", 2, 2_000),
        letter("one", 3, 3_000),
    ];
    for letter in others {
        store.put_dead_letter(letter).await.unwrap();
    }
    let all = [
        letter("two", 1, 3_000),
        letter("one", 3, 3_000),
        letter("one", 2, 3_000),
        letter("two", 2, 2_000),
        letter("one", 1, 1_000),
    ];
    assert_eq!(store.outbox_depth().await.unwrap().dead, 5);
    for limit in 1..6 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.dead_letters(after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            found.extend(page);
        }
        assert_eq!(found, all, "in pages of {limit}");
    }
    let again = DeadLetter {
        attempts: 6,
        ..letter("two", 2, 4_000)
    };
    store.put_dead_letter(again.clone()).await.unwrap();
    let found = store.dead_letter(&room("two"), Seq::new(2)).await;
    assert_eq!(found, Ok(Some(again)));
    assert_eq!(store.dead_letter(&room("two"), Seq::new(3)).await, Ok(None));
    assert_eq!(store.drop_dead_letter(&room("two"), Seq::new(1)).await, Ok(true));
    assert_eq!(store.drop_dead_letter(&room("two"), Seq::new(1)).await, Ok(false));
    assert_eq!(store.trim_dead_letters(3).await, Ok(1), "the oldest");
    assert_eq!(store.dead_letter(&room("one"), Seq::new(1)).await, Ok(None));
    let retention = Retention {
        dead_letters: Duration::from_millis(1_000),
        slice_max_rows: 10,
        ..Retention::default()
    };
    let purged = store.purge(ms(4_500), &retention).await.unwrap();
    assert_eq!(purged.dead_letters, 2);
    assert_eq!(store.dead_letters(None, 10).await.unwrap().len(), 1);
}

pub async fn what_waits_survives_reopening_and_a_rebuild<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "sos", report()).await;
    store.outbox_claim(by(1)).await.unwrap();
    let then = Then::Release(Duration::ZERO);
    let settle = Settle {
        dead: vec![letter("sos", 1, 1_000)],
        ..told("sos", 1, 1, then)
    };
    store.outbox_settle(vec![settle]).await.unwrap();
    let harness = harness.reopen().await;
    let store = harness.store();
    store.rebuild().await.unwrap();
    assert_eq!(claim_soon(store, by(2)).await, [claimed("sos", 1, 2)]);
    assert_eq!(
        store.dead_letters(None, 10).await,
        Ok(vec![letter("sos", 1, 1_000)])
    );
}
