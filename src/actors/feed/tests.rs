//! The worker on a store, and a service that does what it is told.

use tempfile::TempDir;

use super::*;
use crate::actors::SystemClock;
use crate::domain::testing::{report, room};
use crate::store::contract_tests::scribe::{Scribe, put, raised};
use crate::store::{Embedded, EmbeddedOptions, Store};

/// Notes what it was told; panics the first time, if it is to.
struct Service {
    told: Mutex<Vec<(RoomId, u64)>>,
    panics: AtomicBool,
}

#[async_trait]
impl EventService for Service {
    async fn tell(&self, event: &Event) -> Reply {
        assert!(
            !self.panics.swap(false, Ordering::SeqCst),
            "the test wants a panic"
        );
        self.told.lock().push((event.room.clone(), event.seq.get()));
        Reply::Taken
    }
}

struct Rig {
    store: Arc<Embedded>,
    service: Arc<Service>,
    feed: Feed,
    _folder: TempDir,
}

fn rig(panics: bool) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        feed: true,
        ..EmbeddedOptions::new(folder.path())
    };
    let store = Arc::new(Embedded::open(options).unwrap());
    let service = Arc::new(Service {
        told: Mutex::default(),
        panics: AtomicBool::new(panics),
    });
    let parts = FeedParts {
        store: Arc::clone(&store) as _,
        service: Arc::clone(&service) as _,
        clock: Arc::new(SystemClock),
        settings: FeedSettings {
            at_once: 4,
            batch: 10,
            timeout: Duration::from_millis(100),
            lease: Duration::from_millis(400),
            poll: Duration::from_millis(50),
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(50),
            refusals_max: 3,
            breaker_failures: 5,
            breaker_rest: Duration::from_millis(100),
        },
        dead_letters_max: 10,
    };
    let feed = Feed::launch(parts, &actix::Arbiter::current());
    Rig {
        store,
        service,
        feed,
        _folder: folder,
    }
}

/// Waits until the service was told so many events; whoever has something to tell says so now and then.
async fn was_told(rig: &Rig, count: usize) -> Vec<(RoomId, u64)> {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let told = rig.service.told.lock().clone();
        if told.len() >= count {
            return told;
        }
        assert!(tokio::time::Instant::now() < until, "only {told:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        rig.feed.wake();
    }
}

#[actix_web::test]
async fn what_an_incident_has_to_tell_is_told_and_gone() {
    let rig = rig(false);
    let mut scribe = raised(&*rig.store, "sos", report()).await;
    put(&*rig.store, Scribe::new("circle").circle(1)).await;
    rig.feed.wake();
    was_told(&rig, 2).await;
    put(&*rig.store, scribe.say(0, "help")).await;
    let told = was_told(&rig, 3).await;
    assert_eq!(told, [1, 2, 3].map(|seq| (room("sos"), seq)));
    rig.feed.close().await;
    assert_eq!(rig.store.outbox_depth().await.unwrap().incidents, 0);
    assert_eq!(rig.feed.state().tally.sent, 3);
}

#[actix_web::test]
async fn a_worker_that_dies_is_started_anew_and_goes_on() {
    let rig = rig(true);
    raised(&*rig.store, "sos", report()).await;
    let told = was_told(&rig, 2).await;
    assert_eq!(told, [1, 2].map(|seq| (room("sos"), seq)));
    assert_eq!(rig.feed.deaths(), 1);
    rig.feed.close().await;
    rig.feed.wake();
    assert_eq!(rig.feed.deaths(), 1, "one that was told to end stays so");
}
