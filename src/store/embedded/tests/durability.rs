//! What was acknowledged survives, and what was erased does not.

use std::fs;
use std::path::Path;

use futures_util::future::join_all;
use tempfile::TempDir;

use super::InFolder;
use crate::domain::people::Person;
use crate::domain::room::Seq;
use crate::domain::testing::{report, room};
use crate::store::contract::Store;
use crate::store::contract_tests::Harness;
use crate::store::contract_tests::scribe::{Scribe, kept, ms, put, raised, record, user};
use crate::store::types::Append;
use crate::store::{Embedded, EmbeddedOptions};

/// What a crash leaves: the files as they are, without the memory that readers share.
fn crashed(folder: &Path, cut_log_by: u64) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["mayday.db", "mayday.db-wal"] {
        fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let log = fs::OpenOptions::new()
        .write(true)
        .open(copy.path().join("mayday.db-wal"))
        .unwrap();
    log.set_len(log.metadata().unwrap().len() - cut_log_by).unwrap();
    copy
}

fn open(folder: &TempDir) -> Embedded {
    Embedded::open(EmbeddedOptions::new(folder.path())).unwrap()
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_crash() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let appends = (0..500).map(|n| store.append(Scribe::new(&format!("sos-{n}")).raise(report())));
    assert!(join_all(appends).await.iter().all(Result::is_ok));
    let mut scribe = raised(store, "sos", report()).await;
    for n in 0..50 {
        put(store, scribe.say(0, &format!("message {n}"))).await;
    }
    store
        .keep_fixes(vec![kept("sos", 0, 7, 0.0)], &Default::default())
        .await
        .unwrap();
    let after = crashed(harness.folder.path(), 0);
    let reopened = open(&after);
    for n in 0..500 {
        assert_eq!(
            reopened
                .load(&room(&format!("sos-{n}")))
                .await
                .unwrap()
                .unwrap()
                .events
                .len(),
            2
        );
    }
    let loaded = reopened.load(&room("sos")).await.unwrap().unwrap();
    assert_eq!((loaded.events, loaded.newest.len()), (scribe.log.clone(), 1));
    put(&reopened, scribe.say(0, "and it goes on")).await;
}

#[tokio::test]
async fn a_write_that_a_crash_tore_is_gone_as_a_whole() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    for _ in 0..20 {
        put(store, scribe.say(0, "hello")).await;
    }
    for cut in [1, 100, 5_000, 20_000] {
        let after = crashed(harness.folder.path(), cut);
        let reopened = open(&after);
        let log = reopened.events(&room("sos"), Seq::ZERO, 100).await.unwrap();
        assert_eq!(log, scribe.log[..log.len()], "a log without a gap");
        assert!(log.len() < scribe.log.len());
        let row = reopened.incident(&room("sos")).await.unwrap();
        assert_eq!(
            row.map_or(0, |row| row.seq.get()),
            log.len() as u64,
            "lists are never ahead of the log"
        );
    }
}

#[tokio::test]
async fn an_erased_name_is_in_no_file() {
    let harness = InFolder::start().await;
    let store = harness.store();
    let name = "Esperanza Quintanilla";
    let person = Person {
        name: Some(name.into()),
        ..record(1)
    };
    let mut scribe = raised(store, "sos", report()).await;
    put(
        store,
        Append {
            people: vec![person],
            ..scribe.join(1)
        },
    )
    .await;
    let holds = |file: &str| {
        let bytes = fs::read(harness.folder.path().join(file)).unwrap_or_default();
        memchr::memmem::find(&bytes, name.as_bytes()).is_some()
    };
    assert!(holds("mayday.db-wal") || holds("mayday.db"));
    store.erase(&user(1), ms(1_000)).await.unwrap();
    assert!(!holds("mayday.db-wal"));
    assert!(!holds("mayday.db"));
}

#[tokio::test]
async fn dropping_the_store_writes_what_was_queued() {
    let harness = InFolder::start().await;
    let scribe = Scribe::new("sos").raise(report());
    let InFolder { store, folder } = harness;
    let (release, stalled) = super::stall(&store);
    let append = move |writes: &mut super::super::writes::Writes<'_>| {
        super::super::append::append(writes, &scribe).map(|outcome| assert_eq!(outcome, Ok(())))
    };
    let answer = store
        .queue(super::super::queue::Lane::Urgent, 1, None, append)
        .unwrap();
    drop(store);
    release.send(()).unwrap();
    stalled.await.unwrap().unwrap();
    answer.await.unwrap().unwrap();
    // The writer is still emptying its log into the file: a copy made now would have seen half of that.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let after = loop {
        match Embedded::open(EmbeddedOptions::new(folder.path())) {
            Ok(store) => break store,
            Err(error) => assert!(std::time::Instant::now() < until, "never released: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert!(after.load(&room("sos")).await.unwrap().is_some());
}
