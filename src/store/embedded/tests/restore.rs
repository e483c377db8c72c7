//! A backup does not bring back who was erased after it was begun, and brings back everybody else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::backup::{self, BackupOptions, Incoming, Merged, RestoreOptions, Restored};
use crate::domain::people::{Contact, ContactBook, Subject};
use crate::domain::room::Seq;
use crate::domain::testing::{report, room};
use crate::domain::time::Timestamp;
use crate::store::contract::Store;
use crate::store::contract_tests::scribe::{Scribe, device, kept, key, ms, phone, put, raised, user};
use crate::store::jobs::{JobId, JobWrite, Lane, NewJob, Receipt};
use crate::store::outbox::{Claim, DeadLetter, Settle, Then};
use crate::store::types::{Append, DeviceRecord, Retention};
use crate::store::{Embedded, EmbeddedOptions};

const SECRET: &[u8] = b"a secret of the tests, thirty-two bytes";
/// When backups are begun here; what happens before and after has its own time.
const BEGUN: i64 = 5_000_000;

fn open(folder: &Path) -> Arc<Embedded> {
    let options = EmbeddedOptions {
        erasure_secret: Some(SECRET.to_vec()),
        feed: true,
        ..EmbeddedOptions::new(folder)
    };
    Arc::new(Embedded::open(options).unwrap())
}

fn book() -> ContactBook {
    ContactBook {
        emergency: vec![Contact {
            name: "Ben".into(),
            phone: phone(7),
        }],
        dependent: vec![],
    }
}

/// Two people with an incident, a contact list, a device record and a position each.
async fn fill(store: &Embedded) {
    for n in [1, 2] {
        let mut scribe = Scribe::new(&format!("sos-{n}"));
        let mut append = scribe.raise(report());
        append.idempotency = Some(key(n, "once"));
        put(store, append).await;
        put(store, scribe.join(n)).await;
        store.put_contacts(&user(n), book()).await.unwrap();
        let policy = crate::domain::location::LocationPolicy::default();
        let fix = kept(&format!("sos-{n}"), n, 1_000_000, 0.0);
        store.keep_fixes(vec![fix], &policy).await.unwrap();
    }
    for n in [1, 2] {
        let record = DeviceRecord {
            os: Some(format!("os {n}")),
            ..DeviceRecord::default()
        };
        store.put_device(device(n), record).await.unwrap();
    }
}

async fn is_there(store: &Embedded, n: u64) -> [bool; 4] {
    [
        store
            .load(&room(&format!("sos-{n}")))
            .await
            .unwrap()
            .unwrap()
            .people
            .len()
            > 1,
        store.contacts(&user(n)).await.unwrap() == book(),
        store.repeated(&key(n, "once")).await.unwrap().is_some(),
        store
            .device(device(u8::try_from(n).unwrap()))
            .await
            .unwrap()
            .is_some(),
    ]
}

async fn merged(store: &Arc<Embedded>, folder: &Path, file: &Path) -> Merged {
    let staged = backup::stage(folder, file).unwrap();
    let Restored::HandedOver(incoming) = staged.restore(RestoreOptions::default(), ms(BEGUN)).unwrap() else {
        panic!("the engine runs");
    };
    let tell = Box::new(|_: &Merged, _| {});
    let merged = Arc::clone(store)
        .merge(incoming.clone(), Retention::default(), ms(BEGUN), tell)
        .await
        .unwrap();
    incoming.withdraw().unwrap();
    merged
}

async fn erased(store: &Embedded, at: Timestamp) {
    store.erase(&user(1), at).await.unwrap();
    store.erase(&Subject::Device(device(1)), at).await.unwrap();
}

#[tokio::test]
async fn whoever_was_erased_since_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let data = folder.path().join("data");
    let store = open(&data);
    fill(&store).await;
    assert_eq!(
        (is_there(&store, 1).await, is_there(&store, 2).await),
        ([true; 4], [true; 4])
    );
    backup::backup(&data, &file, BackupOptions::default(), ms(BEGUN)).unwrap();
    erased(&store, ms(BEGUN + 1)).await;

    // Into the store that runs.
    let outcome = merged(&store, &data, &file).await;
    assert_eq!((outcome.rooms_diverged, outcome.events), (0, 0));
    assert_eq!(is_there(&store, 1).await, [false; 4]);
    assert_eq!(is_there(&store, 2).await, [true; 4]);
    store.close().await;
    drop(store);

    // In its place.
    let force = RestoreOptions {
        force: true,
        ..RestoreOptions::default()
    };
    let staged = backup::stage(&data, &file)
        .unwrap()
        .with_erasure_secret(Some(SECRET));
    let placed = staged.restore(force, ms(BEGUN + 2)).unwrap();
    assert!(
        matches!(placed, Restored::InPlace { aside: Some(_), .. }),
        "{placed:?}"
    );
    let store = open(&data);
    assert_eq!(is_there(&store, 1).await, [false; 4]);
    assert_eq!(is_there(&store, 2).await, [true; 4]);
    // The mark came along, so that it holds the next time, too.
    assert_eq!(merged(&store, &data, &file).await.people, 0);
    assert_eq!(is_there(&store, 1).await, [false; 4]);
    assert!(!Incoming::of(&data).database().exists());
}

#[tokio::test]
async fn whoever_was_erased_before_and_came_again_is_in_the_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("backup"), folder.path().join("data"));
    let store = open(&data);
    raised(&*store, "old", report()).await;
    erased(&store, ms(BEGUN - 1)).await;
    fill(&store).await;
    backup::backup(&data, &file, BackupOptions::default(), ms(BEGUN)).unwrap();
    let other = folder.path().join("other");
    let empty = open(&other);
    let outcome = merged(&empty, &other, &file).await;
    assert_eq!(
        (outcome.rooms_taken, outcome.contact_lists, outcome.devices),
        (3, 2, 2)
    );
    assert_eq!(is_there(&empty, 1).await, [true; 4]);
    assert_eq!(is_there(&empty, 2).await, [true; 4]);
    // Every projection is as it was.
    for n in [1, 2] {
        let name = room(&format!("sos-{n}"));
        assert_eq!(
            empty.incident(&name).await.unwrap(),
            store.incident(&name).await.unwrap()
        );
        assert_eq!(
            empty.memberships(&user(n)).await.unwrap(),
            store.memberships(&user(n)).await.unwrap()
        );
    }
}

#[tokio::test]
async fn what_is_merged_comes_last_in_the_order_and_a_store_that_was_put_in_place_begins_another() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("backup"), folder.path().join("data"));
    let store = open(&data);
    let mut scribe = raised(&*store, "both", report()).await;
    put(&*store, scribe.join(1)).await;
    backup::backup(&data, &file, BackupOptions::default(), ms(BEGUN)).unwrap();
    let whole = store.feed_after(0, 100).await.unwrap().unwrap();

    let other = folder.path().join("other");
    let running = open(&other);
    raised(&*running, "own", report()).await;
    let before = running.feed_after(0, 100).await.unwrap().unwrap();
    merged(&running, &other, &file).await;
    let after = running.feed_after(0, 100).await.unwrap().unwrap();
    assert_eq!(
        (after.epoch, &after.events[..before.events.len()]),
        (before.epoch, &*before.events)
    );
    let came: Vec<_> = after.events[before.events.len()..]
        .iter()
        .map(|feed| &feed.event)
        .collect();
    assert_eq!(
        came,
        whole.events.iter().map(|feed| &feed.event).collect::<Vec<_>>()
    );

    store.close().await;
    drop(store);
    let force = RestoreOptions {
        force: true,
        ..RestoreOptions::default()
    };
    backup::stage(&data, &file)
        .unwrap()
        .restore(force, ms(BEGUN))
        .unwrap();
    let placed = open(&data).feed_after(0, 100).await.unwrap().unwrap();
    assert_ne!(
        placed.epoch, whole.epoch,
        "what was given out since may be given out again"
    );
    assert_eq!(placed.events, whole.events);
}

#[tokio::test]
async fn what_was_told_before_the_backup_is_not_told_again_and_the_rest_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("backup"), folder.path().join("data"));
    let store = open(&data);
    let mut half = raised(&*store, "half", report()).await;
    raised(&*store, "told", report()).await;
    raised(&*store, "untold", report()).await;
    let claim = |token| Claim {
        token,
        lease: Duration::from_secs(60),
        limit: 10,
    };
    store.outbox_claim(claim(1)).await.unwrap();
    let letter = DeadLetter {
        room: room("told"),
        seq: Seq::new(2),
        kind: "joined".into(),
        status: 422,
        attempts: 5,
        at: ms(BEGUN),
    };
    let settle = |name, taken, dead| Settle {
        room: room(name),
        token: 1,
        taken: Seq::new(taken),
        attempts: 0,
        refusals: 0,
        since: None,
        then: Then::Release(Duration::ZERO),
        dead,
    };
    let all = vec![settle("half", 1, vec![]), settle("told", 2, vec![letter.clone()])];
    store.outbox_settle(all).await.unwrap();
    let before = half.clone();
    put(&*store, half.say(0, "help")).await;
    backup::backup(&data, &file, BackupOptions::default(), ms(BEGUN)).unwrap();

    // One of them stands there already, and was told as far as it goes.
    let other = folder.path().join("other");
    let ours = open(&other);
    let beginning = Append {
        room: room("half"),
        after: Seq::ZERO,
        events: before.log,
        people: vec![],
        idempotency: None,
        jobs: Vec::new(),
    };
    put(&*ours, beginning).await;
    ours.outbox_claim(claim(1)).await.unwrap();
    ours.outbox_settle(vec![settle("half", 2, vec![])]).await.unwrap();
    merged(&ours, &other, &file).await;
    let mut found = ours.outbox_claim(claim(2)).await.unwrap();
    found.sort_by(|a, b| a.room.cmp(&b.room));
    let told: Vec<_> = found
        .iter()
        .map(|it| (it.room.as_str(), it.taken.get(), it.head.get()))
        .collect();
    assert_eq!(told, [("half", 2, 3), ("untold", 0, 2)]);
    assert_eq!(ours.dead_letters(None, 10).await, Ok(vec![letter]));
}

#[tokio::test]
async fn a_restored_job_is_one_that_lies_ahead_of_an_sos_and_no_message_goes_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("backup"), folder.path().join("data"));
    let store = open(&data);
    let hour = Duration::from_secs(3_600);
    let job = |n: u64, lane, after, whose| NewJob {
        id: JobId::from_random(n << 1),
        key: format!("job:{n}"),
        lane,
        room: None,
        whose: Some(user(whose)),
        after,
        body: "body".into(),
    };
    let jobs = [
        job(1, Lane::Sos, Duration::ZERO, 0),
        job(2, Lane::Sos, hour, 0),
        job(3, Lane::Otp, hour, 0),
        job(4, Lane::Sos, hour, 1),
    ];
    store
        .write_jobs(jobs.into_iter().map(JobWrite::Add).collect())
        .await
        .unwrap();
    let receipt = Receipt {
        reference: "twilio:1".into(),
        room: Some(room("sos")),
        notification: 1,
        job: JobId::from_random(2),
        at: ms(BEGUN),
    };
    store
        .write_jobs(vec![JobWrite::Refer(receipt.clone())])
        .await
        .unwrap();
    let due = store.jobs_of(&user(0), "job:2", 1).await.unwrap()[0].1;
    backup::backup(&data, &file, BackupOptions::default(), ms(BEGUN)).unwrap();

    let other = folder.path().join("other");
    let ours = open(&other);
    ours.erase(&user(1), ms(BEGUN + 1)).await.unwrap();
    for _ in 0..2 {
        merged(&ours, &other, &file).await;
        let found = ours.jobs_of(&user(0), "", 10).await.unwrap();
        let found: Vec<_> = found.iter().map(|(job, due)| (job.key.as_str(), *due)).collect();
        assert_eq!(found, [("job:2", due)]);
        assert_eq!(
            ours.jobs_of(&user(1), "", 10).await,
            Ok(vec![]),
            "they were erased here"
        );
        assert_eq!(ours.receipt("twilio:1").await, Ok(Some(receipt.clone())));
    }
}

/// Every table, and how a merge deals with it.
const TABLES: [(&str, &str); 22] = [
    ("blocks", "the newer of two"),
    ("contacts", "for those who have none"),
    ("dead_letters", "of rooms that were taken"),
    ("devices", "the one that was seen last"),
    ("erased", "this store's own: writes that are on their way"),
    ("events", "what is missing of a room's log"),
    ("feed", "what comes in has its places at the end"),
    ("feed_epoch", "this store's own"),
    ("fixes", "what is missing, of those who have a record"),
    ("geo", "projected"),
    ("gone", "all"),
    ("idempotency", "what is missing"),
    ("incidents", "projected"),
    ("jobs", "what is for an SOS and not due yet"),
    ("outbox", "of rooms that were taken: what was not told then"),
    ("participants", "projected"),
    ("people", "of those whom the log names anew"),
    ("presence", "of rooms that were taken"),
    ("pulse", "this store's own"),
    ("receipts", "what is missing"),
    ("reports", "of rooms that were taken"),
    ("rooms", "projected"),
];
/// What is about the database itself.
const ABOUT: [&str; 2] = ["migrations", "unfinished"];

#[tokio::test]
async fn a_merge_has_a_rule_for_every_table() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let conn = rusqlite::Connection::open(folder.path().join("mayday.db")).unwrap();
    for (name, _) in super::super::migrations::counts(&conn).unwrap() {
        let known = TABLES.iter().any(|(table, _)| *table == name) || ABOUT.contains(&name.as_str());
        assert!(
            known,
            "what does a restore into a running engine (backup/merge.rs) do with {name}?"
        );
    }
}
