//! Promises about reports and blocks.

use std::time::Duration;

use super::Harness;
use super::scribe::{Scribe, device, ms, put, raised, record, user};
use crate::domain::conduct::{Block, BlockKey, Complaint};
use crate::domain::people::{Person, Subject};
use crate::domain::testing::{person, report, room};
use crate::store::contract::Store;
use crate::store::types::{Append, Retention};

fn complaint(name: &str, of: u64, by: u64, at: i64, reason: &str) -> Complaint {
    Complaint {
        room: room(name),
        participant: person(of),
        reporter: person(by),
        at: ms(at),
        reason: reason.into(),
    }
}

fn block(n: u8, of: u64, until: Option<i64>) -> Block {
    Block {
        key: BlockKey::new([n; 16]),
        participant: person(of),
        at: ms(1_000),
        until: until.map(ms),
        reason: Some(format!("reason {n}")),
        by: Some(user(50)),
    }
}

pub async fn reports_come_newest_first_in_pages_of_one_incident_or_all<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for name in ["one", "two"] {
        raised(store, name, report()).await;
    }
    let mut all = Vec::new();
    for n in 0..30_u64 {
        // Many at one time: ties must not lose or repeat any.
        let at = i64::try_from(n / 7).unwrap();
        let name = if n % 3 == 0 { "two" } else { "one" };
        let one = complaint(name, n % 5, 100 + n, at, &format!("reason {n}"));
        store.put_report(one.clone()).await.unwrap();
        all.push(one);
    }
    for only in [None, Some(room("one")), Some(room("two")), Some(room("none"))] {
        let wanted = all
            .iter()
            .filter(|one| only.as_ref().is_none_or(|room| one.room == *room));
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.reports(only.as_ref(), after, 4).await.unwrap();
            assert!(page.len() <= 4);
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            found.extend(page);
        }
        assert!(found.windows(2).all(|pair| pair[0].at >= pair[1].at));
        assert_eq!(found.len(), wanted.clone().count());
        assert!(wanted.clone().all(|one| found.contains(one)));
    }
}

pub async fn a_second_report_of_the_same_two_replaces_the_first<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "sos", report()).await;
    for (at, reason) in [(1, "rude"), (2, "very rude")] {
        store
            .put_report(complaint("sos", 1, 2, at, reason))
            .await
            .unwrap();
    }
    store
        .put_report(complaint("sos", 2, 1, 3, "a liar"))
        .await
        .unwrap();
    let found = store.reports(Some(&room("sos")), None, 10).await.unwrap();
    assert_eq!(
        found,
        [
            complaint("sos", 2, 1, 3, "a liar"),
            complaint("sos", 1, 2, 2, "very rude")
        ]
    );
}

pub async fn reports_and_blocks_survive_reopening_and_a_rebuild<H: Harness>() {
    let harness = H::start().await;
    raised(harness.store(), "sos", report()).await;
    let store = harness.store();
    store.put_report(complaint("sos", 1, 2, 1, "rude")).await.unwrap();
    store.put_block(block(1, 1, None)).await.unwrap();
    let harness = harness.reopen().await;
    let store = harness.store();
    store.rebuild().await.unwrap();
    assert_eq!(
        store.reports(None, None, 10).await.unwrap(),
        [complaint("sos", 1, 2, 1, "rude")]
    );
    assert_eq!(store.blocks(None, 10).await.unwrap(), [block(1, 1, None)]);
}

pub async fn blocks_are_replaced_found_by_name_listed_and_lifted<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.blocks(None, 10).await.unwrap(), []);
    let lasting = Block {
        reason: None,
        by: None,
        ..block(2, 7, None)
    };
    store.put_block(block(3, 8, Some(5_000))).await.unwrap();
    store.put_block(block(1, 6, Some(9_000))).await.unwrap();
    store.put_block(block(2, 7, Some(1))).await.unwrap();
    store.put_block(lasting.clone()).await.unwrap();
    let page = store.blocks(None, 2).await.unwrap();
    assert_eq!(page, [block(1, 6, Some(9_000)), lasting.clone()]);
    let rest = store.blocks(Some(page[1].key), 2).await.unwrap();
    assert_eq!(rest, [block(3, 8, Some(5_000))]);
    assert_eq!(store.block_of(person(7)).await.unwrap(), Some(lasting.clone()));
    assert_eq!(store.block_of(person(9)).await.unwrap(), None);
    assert_eq!(store.lift_block(lasting.key).await, Ok(true));
    assert_eq!(store.lift_block(lasting.key).await, Ok(false));
    assert_eq!(store.block_of(person(7)).await.unwrap(), None);
}

pub async fn whoever_stands_behind_a_name_is_found_until_they_are_erased<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let subject = Subject::Device(device(7));
    let somebody = Person {
        subject: subject.clone(),
        ..record(1)
    };
    let mut scribe = raised(store, "sos", report()).await;
    let joined = Append {
        people: vec![somebody.clone()],
        ..scribe.join(1)
    };
    put(store, joined).await;
    assert_eq!(store.whose(person(1)).await.unwrap(), Some(somebody));
    assert_eq!(store.whose(person(2)).await.unwrap(), None);

    for (of, by) in [(0, 1), (1, 0)] {
        store
            .put_report(complaint("sos", of, by, 1, "rude"))
            .await
            .unwrap();
    }
    store.put_block(block(1, 1, None)).await.unwrap();
    let made_by_them = Block {
        by: Some(subject.clone()),
        ..block(2, 9, None)
    };
    store.put_block(made_by_them.clone()).await.unwrap();
    let erased = store.erase(&subject, ms(2)).await.unwrap();
    assert_eq!(
        (erased.people, erased.others),
        (1, 2),
        "a report and what links the device"
    );
    assert_eq!(store.whose(person(1)).await.unwrap(), None);
    // What they wrote is gone, what was written about them names a pseudonym.
    let left = store.reports(None, None, 10).await.unwrap();
    assert_eq!(left, [complaint("sos", 1, 0, 1, "rude")]);
    // The block stands, and one that they made no longer says so.
    let nameless = Block {
        by: None,
        ..made_by_them
    };
    assert_eq!(
        store.blocks(None, 10).await.unwrap(),
        [block(1, 1, None), nameless]
    );
}

pub async fn a_purge_removes_old_reports_and_blocks_that_have_ended<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "sos", report()).await;
    put(store, Scribe::new("other").raise(report())).await;
    for n in 0..10 {
        store
            .put_report(complaint("sos", 1, 100 + n, 1_000, "old"))
            .await
            .unwrap();
        store
            .put_block(block(u8::try_from(n).unwrap(), n, Some(9_000)))
            .await
            .unwrap();
    }
    store
        .put_report(complaint("other", 1, 2, 6_000, "new"))
        .await
        .unwrap();
    store.put_block(block(100, 100, Some(11_000))).await.unwrap();
    store.put_block(block(101, 101, None)).await.unwrap();
    let retention = Retention {
        reports: Duration::from_millis(5_000),
        slice_max_rows: 4,
        ..Retention::default()
    };
    let (mut reports, mut blocks, mut slices) = (0, 0, 0);
    loop {
        let slice = store.purge(ms(10_000), &retention).await.unwrap();
        reports += slice.reports;
        blocks += slice.blocks;
        slices += 1;
        if !slice.more {
            break;
        }
    }
    assert_eq!((reports, blocks), (10, 10));
    assert!(slices > 1, "a purge comes in slices");
    assert_eq!(store.reports(None, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.blocks(None, 10).await.unwrap().len(), 2);
    assert_eq!(
        store
            .purge(ms(i64::MAX), &Retention::default())
            .await
            .unwrap()
            .reports,
        0,
        "zero keeps for ever"
    );
}
