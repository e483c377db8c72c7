//! Promises about logs.

use futures_util::future::join_all;

use super::Harness;
use super::scribe::{Scribe, ids, key, put, raised, record, user};
use crate::domain::room::{Relay, Seq, UserType};
use crate::domain::testing::{person, report, room};
use crate::domain::time::Timestamp;
use crate::store::contract::{AppendError, Store, StoreError};
use crate::store::types::{Append, FoundMessages};

pub async fn a_room_that_was_never_created_is_not_there<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert!(store.load(&room("none")).await.unwrap().is_none());
    assert_eq!(store.events(&room("none"), Seq::ZERO, 10).await.unwrap(), []);
    assert_eq!(store.incident(&room("none")).await.unwrap(), None);
    let none = store.messages(&room("none"), None, 10, None).await.unwrap();
    assert_eq!(none, FoundMessages::default());
}

pub async fn what_was_appended_is_loaded_in_order<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    put(store, scribe.join(1)).await;
    put(store, scribe.say(1, "on my way ✓")).await;
    let loaded = store.load(&room("sos")).await.unwrap().unwrap();
    assert_eq!(loaded.events, scribe.log);
    assert_eq!(ids(&loaded.people), [person(0), person(1)]);
    assert!(loaded.people.contains(&record(1)));
    assert_eq!(loaded.newest, []);
}

pub async fn an_append_behind_the_head_is_a_conflict_and_changes_nothing<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut late = raised(store, "sos", report()).await;
    let mut first = late.clone();
    put(store, first.join(1)).await;
    let refused = store.append(late.join(2)).await;
    assert_eq!(refused, Err(AppendError::Conflict { head: Seq::new(3) }));
    let loaded = store.load(&room("sos")).await.unwrap().unwrap();
    assert_eq!(loaded.events, first.log);
    assert_eq!(ids(&loaded.people), [person(0), person(1)]);
    let ahead = Append {
        after: Seq::new(9),
        ..first.say(1, "hello")
    };
    assert_eq!(
        store.append(ahead).await,
        Err(AppendError::Conflict { head: Seq::new(3) })
    );
}

pub async fn of_two_writers_at_one_place_exactly_one_wins_and_the_other_can_retry<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut base = raised(store, "sos", report()).await;
    for n in 1..20 {
        put(store, base.join(n)).await;
    }
    let appends = (1..20).map(|n| {
        let mut scribe = base.clone();
        async move {
            let mut tries = 0;
            loop {
                tries += 1;
                match store.append(scribe.say(n, &format!("from {n}"))).await {
                    Ok(()) => return tries,
                    Err(AppendError::Conflict { .. }) => {
                        scribe.state = base_state(store).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    let tries: Vec<usize> = join_all(appends).await;
    assert!(
        tries.iter().any(|tries| *tries > 1),
        "they did get into each other's way"
    );
    let log = store.events(&room("sos"), Seq::ZERO, 1_000).await.unwrap();
    assert_eq!(log.len(), 2 + 19 + 19);
    assert!(log.iter().zip(1..).all(|(event, n)| event.seq == Seq::new(n)));
}

async fn base_state(store: &impl Store) -> crate::domain::room::RoomState {
    let mut state = Scribe::new("sos").state;
    let log = store.events(&state.id, Seq::ZERO, 1_000).await.unwrap();
    log.iter().for_each(|event| state.apply(event));
    state
}

pub async fn a_conflict_does_not_harm_the_others_of_its_group<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let stale = raised(store, "busy", report()).await;
    put(store, stale.clone().join(1)).await;
    let appends = (0..200u64).map(|n| {
        let append = if n % 3 == 0 {
            stale.clone().join(n + 2)
        } else {
            Scribe::new(&format!("sos-{n}")).raise(report())
        };
        store.append(append)
    });
    for (n, outcome) in join_all(appends).await.into_iter().enumerate() {
        let expected = if n % 3 == 0 {
            Err(AppendError::Conflict { head: Seq::new(3) })
        } else {
            Ok(())
        };
        assert_eq!(outcome, expected, "append {n}");
    }
    for n in 0..200 {
        let there = store.load(&room(&format!("sos-{n}"))).await.unwrap().is_some();
        assert_eq!(there, n % 3 != 0, "room {n}");
    }
    assert_eq!(store.events(&room("busy"), Seq::ZERO, 10).await.unwrap().len(), 3);
}

pub async fn events_after_a_seq_come_in_order_and_at_most_the_limit<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    for n in 0..5 {
        put(store, scribe.say(0, &n.to_string())).await;
    }
    let some = store.events(&room("sos"), Seq::new(2), 3).await.unwrap();
    assert_eq!(some, scribe.log[2..5]);
    assert_eq!(store.events(&room("sos"), Seq::new(7), 3).await.unwrap(), []);
    assert_eq!(
        store.events(&room("sos"), Seq::new(u64::MAX), 3).await.unwrap(),
        []
    );
}

pub async fn a_repeated_idempotency_key_finds_the_room_and_writes_nothing<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.repeated(&key(0, "tap")).await.unwrap(), None);
    let first = Append {
        idempotency: Some(key(0, "tap")),
        ..Scribe::new("first").raise(report())
    };
    put(store, first).await;
    assert_eq!(store.repeated(&key(0, "tap")).await.unwrap(), Some(room("first")));
    let second = Append {
        idempotency: Some(key(0, "tap")),
        ..Scribe::new("second").raise(report())
    };
    assert_eq!(
        store.append(second).await,
        Err(AppendError::Repeated { room: room("first") })
    );
    assert!(store.load(&room("second")).await.unwrap().is_none());
    assert_eq!(store.live_rooms(None, 10).await.unwrap(), [room("first")]);
}

pub async fn a_lost_answer_can_be_asked_for_again_in_the_same_room<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let append = Append {
        idempotency: Some(key(0, "tap")),
        ..Scribe::new("sos").raise(report())
    };
    let both = join_all([store.append(append.clone()), store.append(append)]).await;
    assert_eq!(both, [Ok(()), Err(AppendError::Repeated { room: room("sos") })]);
}

pub async fn the_same_key_of_somebody_else_is_another_key<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for n in 0..2 {
        let name = format!("sos-{n}");
        put(
            store,
            Append {
                idempotency: Some(key(n, "1")),
                ..Scribe::new(&name).raise(report())
            },
        )
        .await;
    }
    assert_eq!(store.repeated(&key(1, "1")).await.unwrap(), Some(room("sos-1")));
}

pub async fn events_that_are_not_numbered_on_are_refused<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut append = Scribe::new("sos").raise(report());
    append.events[1].seq = Seq::new(3);
    assert!(matches!(
        store.append(append).await,
        Err(AppendError::Store(StoreError::Corrupt(_)))
    ));
    assert!(store.load(&room("sos")).await.unwrap().is_none());
    assert_eq!(store.live_rooms(None, 10).await.unwrap(), []);
}

pub async fn what_a_service_says_of_a_message_stays_with_it<H: Harness>() {
    let harness = H::start().await;
    let mut scribe = raised(harness.store(), "sos", report()).await;
    let relay = Relay {
        sender: Some(UserType::Rescuer),
        notice: true,
        written_at: Timestamp::from_ms(77),
    };
    put(harness.store(), scribe.pass_on(3, "two minutes", relay)).await;
    put(harness.store(), scribe.say(0, "thanks")).await;
    let harness = harness.reopen().await;
    let found = harness
        .store()
        .messages(&room("sos"), None, 10, None)
        .await
        .unwrap();
    let told: Vec<_> = found.messages.iter().map(|it| (it.sender, it.relay)).collect();
    assert_eq!(told, [(Some(person(0)), None), (Some(person(3)), Some(relay))]);
    let found = harness
        .store()
        .messages(&room("sos"), None, 10, Some("minutes"))
        .await
        .unwrap();
    assert_eq!(found.messages.len(), 1);
    // Whoever said it is not in for that.
    let memberships = harness.store().memberships(&user(3)).await.unwrap();
    assert_eq!(memberships, []);
}

pub async fn messages_come_newest_first_in_pages_and_by_text<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    for (n, text) in ["Fire!", "where?", "third floor, 100% SMOKE", "coming"]
        .into_iter()
        .enumerate()
    {
        put(store, scribe.say(0, text)).await;
        if n == 1 {
            put(store, scribe.join(1)).await;
        }
    }
    let texts = |found: FoundMessages| -> Vec<String> {
        let messages = found.messages.into_iter();
        messages.map(|message| message.content).collect()
    };
    let page = store.messages(&room("sos"), None, 2, None).await.unwrap();
    assert_eq!(page.messages[0].sender, Some(person(0)));
    assert_eq!(page.messages[0].at, scribe.now);
    let last = page.messages[1].seq;
    assert_eq!(page.more_before, Some(last));
    assert_eq!(texts(page), ["coming", "third floor, 100% SMOKE"]);
    let rest = store.messages(&room("sos"), Some(last), 2, None).await.unwrap();
    assert_eq!(rest.more_before, None, "there are just two more");
    assert_eq!(texts(rest), ["where?", "Fire!"]);
    let found = store
        .messages(&room("sos"), None, 10, Some("100% sm"))
        .await
        .unwrap();
    assert_eq!(texts(found), ["third floor, 100% SMOKE"]);
    for (limit, text) in [(10, Some("_")), (0, None)] {
        let none = store.messages(&room("sos"), None, limit, text).await.unwrap();
        assert_eq!(none, FoundMessages::default());
    }
}

pub async fn everything_acknowledged_is_there_after_reopening<H: Harness>() {
    let harness = H::start().await;
    let mut scribe = raised(harness.store(), "sos", report()).await;
    put(harness.store(), scribe.join(1)).await;
    let keyed = Append {
        idempotency: Some(key(3, "k")),
        ..Scribe::new("other").raise(report())
    };
    put(harness.store(), keyed).await;
    let before = harness.store().load(&room("sos")).await.unwrap().unwrap();
    let row = harness.store().incident(&room("sos")).await.unwrap();
    let harness = harness.reopen().await;
    let store = harness.store();
    let after = store.load(&room("sos")).await.unwrap().unwrap();
    assert_eq!((after.events, after.people), (before.events, before.people));
    assert_eq!(store.incident(&room("sos")).await.unwrap(), row);
    assert_eq!(store.repeated(&key(3, "k")).await.unwrap(), Some(room("other")));
    put(store, scribe.say(1, "still here")).await;
}

pub async fn a_closed_store_is_unavailable<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let scribe = raised(store, "sos", report()).await;
    store.close().await;
    store.close().await;
    let refused = store.append(scribe.clone().join(1)).await;
    assert!(matches!(
        refused,
        Err(AppendError::Store(StoreError::Unavailable(_)))
    ));
    assert!(matches!(
        store.load(&room("sos")).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
}

pub async fn a_ping_is_a_durable_write<H: Harness>() {
    let harness = H::start().await;
    let before = harness.store().stats().commits;
    assert_eq!(harness.store().ping().await, Ok(()));
    assert!(harness.store().stats().commits > before);
}
