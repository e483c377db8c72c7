//! Promises about the order of incidents' events, and about reading of many rooms at once.

use std::collections::HashMap;
use std::time::Duration;

use super::Harness;
use super::scribe::{Scribe, ms, put, raise_all, raised};
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::domain::room::Seq;
use crate::domain::testing::{report, room};
use crate::store::contract::Store;
use crate::store::feed::FeedEvent;
use crate::store::types::Retention;

/// Everything after a place, in pages of this size; `None`: the store keeps no order.
async fn all(store: &impl Store, after: u64, page: usize) -> Option<Vec<FeedEvent>> {
    let (mut found, mut reached) = (Vec::new(), after);
    loop {
        let next = store.feed_after(reached, page).await.unwrap()?;
        assert!(next.events.len() <= page, "a page is no longer than asked for");
        let Some(last) = next.events.last() else {
            assert!(found.is_empty() || reached == next.head);
            return Some(found);
        };
        reached = last.position;
        found.extend(next.events);
    }
}

fn told(events: &[FeedEvent]) -> Vec<(&str, u64)> {
    let told = |feed: &'_ FeedEvent| feed.event.seq.get();
    events
        .iter()
        .map(|feed| (feed.event.room.as_str(), told(feed)))
        .collect()
}

pub async fn many_rooms_are_read_at_once<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribes = Vec::new();
    for n in 0..3 {
        let mut scribe = raised(store, &format!("sos-{n}"), report()).await;
        for words in 0..4 {
            put(store, scribe.say(0, &format!("words {words}"))).await;
        }
        scribes.push(scribe);
    }
    put(store, Scribe::new("circle").circle(1)).await;
    let names = [room("sos-2"), room("circle"), room("nowhere"), room("sos-0")];
    let mut found = store.incidents_of(&names).await.unwrap();
    found.sort_by(|a, b| a.room.cmp(&b.room));
    let known: Vec<_> = found.iter().map(|row| (row.room.as_str(), row.seq)).collect();
    let head = scribes[0].state.seq;
    assert_eq!(known, [("sos-0", head), ("sos-2", head)]);
    let seq = Seq::new;
    let wanted = [
        (room("sos-1"), seq(2), seq(3)),
        (room("nowhere"), seq(1), seq(9)),
        (room("sos-0"), seq(4), seq(400)),
    ];
    let found = store.stretches(&wanted).await.unwrap();
    let expected: Vec<_> = scribes[0].log[3..]
        .iter()
        .chain(&scribes[1].log[1..3])
        .cloned()
        .collect();
    assert_eq!(found, expected);
}

pub async fn events_of_incidents_have_one_order<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    put(store, Scribe::new("circle").circle(1)).await;
    let reports = (0..20).map(|n| (format!("sos-{n}"), ms(1_000_000), report()));
    raise_all(store, reports.collect()).await;
    let mut late = raised(store, "late", report()).await;
    put(store, late.join(1)).await;
    put(store, late.status(Status::Responding)).await;
    let Some(whole) = all(store, 0, 1_000).await else {
        return;
    };
    let places: Vec<u64> = whole.iter().map(|feed| feed.position).collect();
    assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>());
    let mut heads: HashMap<RoomId, Seq> = HashMap::new();
    for FeedEvent { event, .. } in &whole {
        assert_ne!(event.room, room("circle"), "a circle is no incident");
        let head = heads.entry(event.room.clone()).or_default();
        assert_eq!(event.seq, head.next(), "in its own order, without a gap");
        *head = event.seq;
    }
    assert_eq!(heads.len(), 21);
    assert_eq!(heads[&room("late")], late.state.seq);
    // The log has the same event.
    let last = whole.last().unwrap();
    assert_eq!(Some(&last.event), late.log.last());
    // Pages of any size, from anywhere, tell the same.
    for page in [1, 2, 7] {
        assert_eq!(all(store, 0, page).await.as_deref(), Some(&*whole));
    }
    for from in [1, 5, 6, whole.len() - 1, whole.len()] {
        let rest = all(store, from as u64, 3).await.unwrap();
        assert_eq!(told(&rest), told(&whole[from..]));
    }
    let ends = store.feed_after(0, 0).await.unwrap().unwrap();
    assert_eq!((ends.kept_after, ends.head), (0, whole.len() as u64));
    assert_eq!(ends.events, []);
}

pub async fn an_order_goes_on_after_reopening_and_a_purge<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for n in 0..10 {
        let mut scribe = Scribe::new(&format!("sos-{n}"));
        scribe.now = ms(1_000 * (n + 1));
        put(store, scribe.raise(report())).await;
    }
    let Some(before) = all(store, 0, 100).await else {
        return;
    };
    let epoch = store.feed_after(0, 0).await.unwrap().unwrap().epoch;
    let retention = Retention {
        feed: Duration::from_secs(5),
        slice_max_rows: 2,
        ..Retention::default()
    };
    let mut removed = 0;
    loop {
        let slice = store.purge(ms(10_000), &retention).await.unwrap();
        removed += slice.feed;
        if !slice.more {
            break;
        }
    }
    assert_eq!(removed, 4, "those of the first four seconds");
    let ends = store.feed_after(0, 0).await.unwrap().unwrap();
    let oldest = before.iter().find(|feed| feed.event.at >= ms(5_000)).unwrap();
    assert_eq!((ends.epoch, ends.kept_after), (epoch, oldest.position - 1));
    let kept = all(store, ends.kept_after, 100).await.unwrap();
    let from = usize::try_from(ends.kept_after).unwrap();
    assert_eq!(kept, before[from..]);
    // The last one stays, however old: its place is not given out again.
    while store.purge(ms(i64::MAX / 2), &retention).await.unwrap().more {}
    let harness = harness.reopen().await;
    let store = harness.store();
    let ends = store.feed_after(0, 0).await.unwrap().unwrap();
    assert_eq!((ends.epoch, ends.head), (epoch, before.len() as u64));
    raised(store, "new", report()).await;
    let new = all(store, ends.head, 100).await.unwrap();
    assert_eq!(new[0].position, ends.head + 1);
    assert_eq!(new[0].event.room, room("new"));
}
