//! Full queues: who is refused, and who still gets in.

use super::stall;
use crate::domain::location::LocationPolicy;
use crate::domain::testing::{report, room};
use crate::store::contract::{AppendError, Store, StoreError};
use crate::store::contract_tests::scribe::{Scribe, kept, put, raised};
use crate::store::{Embedded, EmbeddedOptions};
use futures_util::FutureExt;

#[tokio::test]
async fn when_positions_have_filled_the_queue_an_sos_still_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        writer_queue_max_ops: 8,
        ..EmbeddedOptions::new(folder.path())
    };
    let store = Embedded::open(options).unwrap();
    let (release, stalled) = stall(&store);
    let policy = LocationPolicy::default();
    let mut fixes: Vec<_> = (0..7)
        .map(|n| store.keep_fixes(vec![kept("trip", 1, n, 0.0)], &policy))
        .collect();
    let outcomes: Vec<_> = fixes.iter_mut().map(FutureExt::now_or_never).collect();
    assert_eq!(outcomes[..6], [const { None }; 6]);
    assert_eq!(outcomes[6], Some(Err(StoreError::Busy)));
    assert_eq!(store.ping().now_or_never(), Some(Err(StoreError::Busy)));
    let mut first = store.append(Scribe::new("a").raise(report()));
    let mut second = store.append(Scribe::new("b").raise(report()));
    assert_eq!((&mut first).now_or_never(), None);
    assert_eq!((&mut second).now_or_never(), None);
    let third = store.append(Scribe::new("c").raise(report())).now_or_never();
    assert_eq!(third, Some(Err(AppendError::Store(StoreError::Busy))));
    let stats = store.stats();
    assert_eq!((stats.queue_depth, stats.queue_max, stats.refused), (8, 8, 3));

    release.send(()).unwrap();
    stalled.await.unwrap().unwrap();
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    for keep in fixes.drain(..6) {
        assert_eq!(keep.await, Ok(1));
    }
    assert_eq!(store.stats().fixes, 6);
}

#[tokio::test]
async fn what_waits_is_written_in_one_group_and_observed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(EmbeddedOptions::new(folder.path())).unwrap();
    let (release, stalled) = stall(&store);
    let mut appends: Vec<_> = (0..100)
        .map(|n| store.append(Scribe::new(&format!("sos-{n}")).raise(report())))
        .collect();
    assert!(appends.iter_mut().all(|append| append.now_or_never().is_none()));
    release.send(()).unwrap();
    stalled.await.unwrap().unwrap();
    for append in appends {
        assert_eq!(append.await, Ok(()));
    }
    let observed = store.observe();
    assert_eq!((observed.group_size.count, observed.group_size.sum), (2, 101));
    assert_eq!((observed.append_us.count, observed.commit_us.count), (100, 2));
    assert_eq!(store.stats().commits, 2);
}

#[tokio::test]
async fn a_full_read_queue_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        readers: 1,
        reader_queue_max: 4,
        ..EmbeddedOptions::new(folder.path())
    };
    let store = Embedded::open(options).unwrap();
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (started, starts) = tokio::sync::oneshot::channel();
    let busy = store.read(super::super::queue::Lane::Rest, move |_| {
        let _ = started.send(());
        let _ = held.recv();
        Ok(())
    });
    let mut busy = Box::pin(busy);
    assert!((&mut busy).now_or_never().is_none());
    starts.await.unwrap();
    let room = crate::domain::testing::room("none");
    let mut loads: Vec<_> = (0..5).map(|_| store.load(&room)).collect();
    let outcomes: Vec<_> = loads.iter_mut().map(FutureExt::now_or_never).collect();
    assert!(outcomes[..4].iter().all(Option::is_none));
    assert!(matches!(outcomes[4], Some(Err(StoreError::Busy))));
    assert_eq!(
        (store.observe().reads_refused, store.observe().reads_waiting),
        (1, 4)
    );
    release.send(()).unwrap();
    busy.await.unwrap();
    for load in loads.drain(..4) {
        assert!(load.await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_search_ends_its_page_after_so_many_messages_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        search_max_messages: 10,
        ..EmbeddedOptions::new(folder.path())
    };
    let store = Embedded::open(options).unwrap();
    let mut scribe = raised(&store, "sos", report()).await;
    for n in 0..45 {
        let text = if n % 20 == 1 {
            "at the Harbour"
        } else {
            "on \"the\" way"
        };
        put(&store, scribe.say(0, text)).await;
    }
    for (words, hits) in [("harbour", 3), ("\"THE\"", 42), ("nowhere", 0)] {
        let (mut before, mut found, mut pages) = (None, 0, 0);
        loop {
            let page = store
                .messages(&room("sos"), before, 4, Some(words))
                .await
                .unwrap();
            (found, pages) = (found + page.messages.len(), pages + 1);
            assert!(page.messages.len() <= 4 && pages < 20);
            match page.more_before {
                Some(seq) => before = Some(seq),
                None => break,
            }
        }
        assert_eq!(found, hits, "{words}");
        assert!(pages >= 5, "{words}: {pages} pages");
    }
    // A list without words is no search.
    let all = store.messages(&room("sos"), None, 100, None).await.unwrap();
    assert_eq!((all.messages.len(), all.more_before), (45, None));
    store.close().await;
}
