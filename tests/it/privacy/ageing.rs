//! What goes by itself when its time has come: on disk, and in rooms that are in memory. The clock is turned by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mayday::actors::blocks::Blocks;
use mayday::actors::engine::Parts;
use mayday::actors::{Clock, Engine, NoObserver, Settings};
use mayday::bus::{Alone, NodeId};
use mayday::domain::geo::Position;
use mayday::domain::ids::{DeviceId, RoomId};
use mayday::domain::incident::{Address, IncidentType, Report, Severity, Visibility};
use mayday::domain::people::{Identity, Role};
use mayday::domain::time::Timestamp;
use mayday::store::{Embedded, EmbeddedOptions, Retention, Store};
use tempfile::TempDir;

use crate::support::{HERE, eventually};

const DAY: Duration = Duration::from_secs(86_400);

struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

impl Turned {
    fn turn(&self, days: i64) {
        self.0.fetch_add(days * 86_400_000, Ordering::SeqCst);
    }
}

struct Node {
    engine: Engine,
    store: Arc<Embedded>,
    clock: Arc<Turned>,
    _folder: TempDir,
}

fn start() -> Node {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(EmbeddedOptions::new(folder.path())).unwrap());
    let clock = Arc::new(Turned(AtomicI64::new(1_800_000_000_000)));
    let settings = Settings {
        sweep: Duration::from_millis(50),
        retention: Retention {
            locations: DAY * 30,
            idempotency: DAY,
            device_links: DAY * 30,
            devices: DAY * 90,
            slice_max_rows: 1_000,
            ..Retention::default()
        },
        ..Settings::default()
    };
    let engine = Engine::start(Parts {
        bus: Alone::new(NodeId::from_bits(1)),
        blocks: Arc::new(Blocks::new(b"a secret of the test", 100)),
        store: Arc::clone(&store) as Arc<dyn Store>,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        settings,
        observer: Arc::new(NoObserver),
        lookups: None,
        chores: vec![],
    });
    Node {
        engine,
        store,
        clock,
        _folder: folder,
    }
}

fn report() -> Report {
    Report {
        kind: IncidentType::Fire,
        message: "the roof is burning".into(),
        silent: false,
        drill: false,
        raised_at: None,
        guarded: false,
        severity: Severity::High,
        position: Some(Position::new(HERE.0, HERE.1).unwrap()),
        accuracy: None,
        address: Address::default(),
        city_id: None,
        visibility: Visibility::Public,
        trip_id: None,
        booking_id: None,
        raised_from: vec![],
    }
}

impl Node {
    async fn raises(&self, who: &Arc<Identity>) -> RoomId {
        let key = Some("retry".to_owned());
        self.engine.create_sos(who, report(), key).await.unwrap().sos
    }

    /// Whether a room in memory knows who took part.
    async fn knows(&self, sos: &RoomId, staff: &Arc<Identity>) -> bool {
        !self.engine.view(sos, staff).await.unwrap().people.is_empty()
    }
}

#[actix::test]
async fn a_device_that_is_not_seen_is_nobody_after_30_days_and_unknown_after_90() {
    let node = start();
    let device = |n: u8| Arc::new(Identity::device(DeviceId::from_random([n; 16])));
    let (gone, stays) = (device(1), device(2));
    let staff = Arc::new(Identity {
        role: Role::Admin,
        ..Identity::device(DeviceId::from_random([9; 16]))
    });
    let (first, second) = (node.raises(&gone).await, node.raises(&stays).await);
    assert!(node.knows(&first, &staff).await && node.knows(&second, &staff).await);

    node.clock.turn(29);
    // To look is to be seen.
    node.engine.view(&second, &stays).await.unwrap();
    eventually("it is noted", || async {
        let record = node
            .store
            .device(stays.own_device().unwrap())
            .await
            .unwrap()
            .unwrap();
        (record.last_seen > record.first_seen).then_some(())
    })
    .await;
    assert!(node.knows(&first, &staff).await, "30 days are not over");
    node.clock.turn(2);
    eventually("the room has forgotten", || async {
        (!node.knows(&first, &staff).await).then_some(())
    })
    .await;
    assert!(node.knows(&second, &staff).await);
    let own = node.engine.own(&gone).await.unwrap();
    assert_eq!((own.tally.places, own.tally.keys), (0, 0));
    assert!(own.device.unwrap().1.is_some(), "the record is kept longer");
    let view = node.engine.view(&first, &gone).await.unwrap();
    assert_eq!(view.viewer, None, "it is not theirs any more");
    let done = &node.engine.node().janitor;
    assert_eq!(done.devices_anonymised.load(Ordering::SeqCst), 1);

    // Whoever asked just now was seen on day 31; who was not goes with day 90.
    node.clock.turn(91);
    eventually("both are forgotten", || async {
        let mut left = 0;
        for who in [&gone, &stays] {
            left += i32::from(
                node.store
                    .device(who.own_device().unwrap())
                    .await
                    .unwrap()
                    .is_some(),
            );
        }
        (left == 0).then_some(())
    })
    .await;
    // The store first, and then who remembers.
    eventually("the other room has forgotten, too", || async {
        (!node.knows(&second, &staff).await).then_some(())
    })
    .await;
    assert_eq!(done.devices.load(Ordering::SeqCst), 2);
}
