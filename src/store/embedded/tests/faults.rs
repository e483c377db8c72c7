//! The disk fills, a file is damaged, a connection fails: who hears what, and what goes on.

use std::fs;
use std::os::unix::fs::FileExt;

use futures_util::future::join_all;

use super::super::queue::Lane;
use super::{InFolder, stall};
use crate::domain::room::Seq;
use crate::domain::testing::{report, room};
use crate::store::contract::{AppendError, Store, StoreError};
use crate::store::contract_tests::Harness;
use crate::store::contract_tests::scribe::{Scribe, put, raised};
use crate::store::{Embedded, EmbeddedOptions};

/// Lets the file have so many pages more than it has; `None`: any number.
async fn limit_pages(store: &Embedded, more: Option<i64>) {
    let limit = move |writes: &mut super::super::writes::Writes<'_>| {
        let conn = writes.db.conn();
        let now: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most = more.map_or(1 << 30, |more| now + more);
        conn.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?;
        Ok(())
    };
    store.write(Lane::Rest, 1, limit).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_the_whole_group_and_shows_nothing_of_it() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "before", report()).await;
    limit_pages(store, Some(5)).await;
    let (release, stalled) = stall(store);
    let appends =
        join_all((0..2_000).map(|n| store.append(Scribe::new(&format!("sos-{n}")).raise(report()))));
    let released = async {
        release.send(()).unwrap();
        stalled.await.unwrap().unwrap();
    };
    let (outcomes, ()) = futures_util::join!(appends, released);
    let full = Err(AppendError::Store(StoreError::Full));
    let refused = outcomes.iter().filter(|outcome| **outcome == full).count();
    assert!(refused >= 1_900, "{refused} were refused");
    for (n, outcome) in outcomes.iter().enumerate() {
        let there = store.load(&room(&format!("sos-{n}"))).await.unwrap().is_some();
        assert_eq!(there, outcome.is_ok(), "append {n}");
    }
    assert!(store.observe().failed_commits > 0);

    limit_pages(store, None).await;
    put(store, scribe.say(0, "there is room again")).await;
    for (n, _) in outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| outcome.is_err())
        .take(50)
    {
        put(store, Scribe::new(&format!("sos-{n}")).raise(report())).await;
    }
}

#[tokio::test]
async fn a_write_that_meets_damage_is_refused_alone() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let (release, stalled) = stall(store);
    let appends = join_all((0..20).map(|n| {
        let mut append = Scribe::new(&format!("sos-{n}")).raise(report());
        if n % 5 == 0 {
            append.events[1].seq = Seq::new(7);
        }
        store.append(append)
    }));
    let released = async { release.send(()).unwrap() };
    let (outcomes, ()) = futures_util::join!(appends, released);
    stalled.await.unwrap().unwrap();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let refused = matches!(outcome, Err(AppendError::Store(StoreError::Corrupt(_))));
        assert_eq!(refused, n % 5 == 0, "append {n}");
        assert_eq!(
            store.load(&room(&format!("sos-{n}"))).await.unwrap().is_none(),
            refused
        );
    }
}

#[tokio::test]
async fn a_connection_that_fails_is_opened_anew() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    let fails = |writes: &mut super::super::writes::Writes<'_>| {
        writes.db.run("DELETE FROM events", [])?;
        Err::<(), _>(StoreError::Unavailable("the disk does not answer".into()))
    };
    let refused = store.write(Lane::Urgent, 1, fails).await;
    assert_eq!(
        refused,
        Err(StoreError::Unavailable("the disk does not answer".into()))
    );
    assert_eq!(
        store.events(&room("sos"), Seq::ZERO, 10).await.unwrap(),
        scribe.log
    );
    put(store, scribe.join(1)).await;
    put(store, Scribe::new("another").raise(report())).await;
}

#[tokio::test]
async fn a_panic_takes_neither_the_writer_nor_a_reader_with_it() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let (release, stalled) = stall(store);
    let append = store.append(Scribe::new("sos").raise(report()));
    let panics = store.write(Lane::Urgent, 1, |_| -> Result<(), StoreError> { panic!("a bug") });
    let released = async { release.send(()).unwrap() };
    let (appended, panicked, ()) = futures_util::join!(append, panics, released);
    stalled.await.unwrap().unwrap();
    assert_eq!(appended, Ok(()));
    assert_eq!(panicked, Err(StoreError::Corrupt("a write panicked".into())));
    for _ in 0..5 {
        let lost = store
            .read(Lane::Urgent, |_| -> Result<(), StoreError> { panic!("a bug") })
            .await;
        assert!(matches!(lost, Err(StoreError::Unavailable(_))));
    }
    assert!(store.load(&room("sos")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_damaged_file_is_named_as_such() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let appends = (0..300).map(|n| store.append(Scribe::new(&format!("sos-{n}")).raise(report())));
    assert!(join_all(appends).await.iter().all(Result::is_ok));
    store.close().await;
    let log = fs::metadata(harness.folder.path().join("mayday.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "a closed store is one file");
    let options = EmbeddedOptions::new(harness.folder.path());
    let file = fs::OpenOptions::new().write(true).open(options.file()).unwrap();
    let size = file.metadata().unwrap().len();
    for at in (4_096..size).step_by(4_096) {
        file.write_all_at(&[0xa5; 64], at).unwrap();
    }
    let error = Embedded::open(options.clone()).err().unwrap();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    file.write_all_at(b"this is no database", 0).unwrap();
    let error = Embedded::open(options).err().unwrap();
    assert_eq!(error, StoreError::Corrupt("the file is not a database".into()));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_damage_and_not_a_panic() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    put(store, scribe.join(1)).await;
    raised(store, "other", report()).await;
    let spoil = |writes: &mut super::super::writes::Writes<'_>| {
        writes.db.run(
            "UPDATE events SET body = '[9,\"from the future\"]' WHERE room = 1 AND seq = 2",
            [],
        )
    };
    store.write(Lane::Urgent, 1, spoil).await.unwrap();
    assert!(matches!(
        store.load(&room("sos")).await,
        Err(StoreError::Corrupt(_))
    ));
    assert!(matches!(store.rebuild().await, Err(StoreError::Corrupt(_))));
    assert!(store.load(&room("other")).await.unwrap().is_some());
    let gap = |writes: &mut super::super::writes::Writes<'_>| {
        writes.db.run("DELETE FROM events WHERE room = 1 AND seq = 2", [])
    };
    store.write(Lane::Urgent, 1, gap).await.unwrap();
    let missing = StoreError::Corrupt("an event is missing from a log".into());
    assert_eq!(store.load(&room("sos")).await.err(), Some(missing));
}
