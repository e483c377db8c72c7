//! No question reads a whole collection.

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::{Mongo, MongoOptions, server};
use crate::domain::ids::RoomId;
use crate::domain::incident::Status;
use crate::domain::location::LocationPolicy;
use crate::domain::room::Seq;
use crate::domain::testing::{person, report, room};
use crate::store::contract::Store;
use crate::store::contract_tests::scribe::{
    everything, kept, key, ms, phone, place, put, raised, record, user,
};
use crate::store::jobs::{JobClaim, JobId, JobSettle, JobThen, JobWrite, Lane, NewJob, Receipt};
use crate::store::outbox::{Claim, DeadPlace, Settle, Then};
use crate::store::types::{HistoryQuery, IncidentQuery, Retention, Sight, Sign};

/// Asks everything that is asked while an engine runs.
async fn ask_all(store: &Mongo) {
    let sos = room("sos");
    store.load(&sos).await.unwrap();
    store.events(&sos, Seq::new(1), 10).await.unwrap();
    store.live_rooms(Some(&sos), 10).await.unwrap();
    store.memberships(&user(0)).await.unwrap();
    store.circles_of(&user(0)).await.unwrap();
    store.circles_listing(&phone(1), 10).await.unwrap();
    store.repeated(&key(0, "k")).await.unwrap();
    store.incident(&sos).await.unwrap();
    store.messages(&sos, None, 10, Some("hello")).await.unwrap();
    store.places(&user(0), None, 10).await.unwrap();
    store.idempotency_keys(&user(0), None, 10).await.unwrap();
    store.tally(&user(0)).await.unwrap();
    store.reports(None, None, 10).await.unwrap();
    store.reports(Some(&sos), None, 10).await.unwrap();
    store.whose(person(0)).await.unwrap();
    store.block_of(person(0)).await.unwrap();
    store.blocks(None, 10).await.unwrap();
    store.contacts(&user(0)).await.unwrap();
    store.see_devices(vec![]).await.unwrap();
    let sign = Sign {
        room: sos.clone(),
        participant: person(0),
        at: ms(1),
    };
    store.note_signs(vec![sign]).await.unwrap();
    tell(store, &sos).await;
    work(store).await;
    let lists = [
        everything(),
        IncidentQuery {
            status: vec![Status::Active],
            city_id: Some("MNL".into()),
            ..everything()
        },
        IncidentQuery {
            near: Some((place(0.0, 0.0), 1_000.0)),
            sight: Sight::PublicAnd(user(1)),
            ..everything()
        },
    ];
    for list in lists {
        store.incidents(&list).await.unwrap();
    }
    let policy = LocationPolicy::default();
    for _ in 0..2 {
        store
            .keep_fixes(vec![kept("sos", 0, 5, 0.0)], &policy)
            .await
            .unwrap();
    }
    for (only, subject) in [(Some(sos.clone()), None), (None, Some(record(0).subject))] {
        let query = HistoryQuery {
            room: only,
            subject,
            limit: 10,
            ..HistoryQuery::default()
        };
        store.history(&query).await.unwrap();
    }
    let day = std::time::Duration::from_secs(86_400);
    let retention = Retention {
        feed: day,
        dead_letters: day,
        receipts: day,
        locations: day,
        idempotency: day,
        device_links: day,
        devices: day,
        reports: day,
        erasures: day,
        slice_max_rows: 100,
    };
    store.incidents_of(&[room("sos")]).await.unwrap();
    store
        .stretches(&[
            (room("sos"), Seq::new(1), Seq::new(2)),
            (room("other"), Seq::new(1), Seq::new(9)),
        ])
        .await
        .unwrap();
    store.purge(ms(1_000), &retention).await.unwrap();
    store.erase(&user(5), ms(1_000)).await.unwrap();
    store.ping().await.unwrap();
}

/// What is asked to tell the service that keeps incidents.
async fn tell(store: &Mongo, sos: &RoomId) {
    let claim = Claim {
        token: 1,
        lease: std::time::Duration::from_secs(60),
        limit: 10,
    };
    assert!(!store.outbox_claim(claim).await.unwrap().is_empty());
    let settle = Settle {
        room: sos.clone(),
        token: 1,
        taken: Seq::new(1),
        attempts: 0,
        refusals: 0,
        since: None,
        then: Then::Keep(claim.lease),
        dead: vec![],
    };
    store.outbox_settle(vec![settle]).await.unwrap();
    store.outbox_depth().await.unwrap();
    let place = DeadPlace {
        at: ms(1),
        room: sos.clone(),
        seq: Seq::new(1),
    };
    store.dead_letters(Some(place), 10).await.unwrap();
    store.dead_letters(None, 10).await.unwrap();
    store.dead_letter(sos, Seq::new(1)).await.unwrap();
    store.trim_dead_letters(10).await.unwrap();
}

/// What is asked to do what is to be done.
async fn work(store: &Mongo) {
    let job = NewJob {
        id: JobId::from_random(2),
        key: "checkin:1".into(),
        lane: Lane::Sos,
        room: None,
        whose: Some(user(0)),
        after: std::time::Duration::ZERO,
        body: "body".into(),
    };
    let receipt = Receipt {
        reference: "twilio:1".into(),
        room: None,
        notification: 1,
        job: job.id,
        at: ms(1),
    };
    let claim = JobClaim {
        token: 1,
        lane: Lane::Sos,
        lease: std::time::Duration::from_secs(60),
        limit: 10,
    };
    let settle = JobSettle {
        id: job.id,
        token: 1,
        then: JobThen::Keep(claim.lease),
        body: None,
    };
    let id = job.id;
    let first = vec![JobWrite::Add(job), JobWrite::Refer(receipt)];
    store.write_jobs(first).await.unwrap();
    assert_eq!(store.claim_jobs(claim).await.unwrap().len(), 1);
    store
        .write_jobs(vec![JobWrite::Settle(settle), JobWrite::Hasten(id)])
        .await
        .unwrap();
    assert!(store.job_of("checkin:1").await.unwrap().is_some());
    assert_eq!(store.jobs_of(&user(0), "checkin:", 10).await.unwrap().len(), 1);
    store.jobs_depth().await.unwrap();
    assert!(store.receipt("twilio:1").await.unwrap().is_some());
    store.write_jobs(vec![JobWrite::Drop(id)]).await.unwrap();
}

fn asks_by_time(command: &Document) -> bool {
    let stages = command.get_array("pipeline").into_iter().flatten();
    let asked: Vec<&Document> = stages
        .filter_map(|stage| stage.as_document()?.get_document("$match").ok())
        .collect();
    asked.len() == 1 && asked[0].keys().eq(["at"])
}

#[tokio::test]
async fn no_question_reads_a_whole_collection() {
    let options = MongoOptions {
        feed: true,
        ..MongoOptions::new(server::shared().await)
    };
    let store = Mongo::open(options).await.unwrap();
    let mut scribe = raised(&store, "sos", report()).await;
    put(&store, scribe.join(1)).await;
    store
        .keep_fixes(vec![kept("sos", 0, 1, 0.0)], &LocationPolicy::default())
        .await
        .unwrap();
    let database = &store.shared.db.database;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    ask_all(&store).await;
    put(&store, scribe.say(0, "hello")).await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let asked = profile.count_documents(doc! {}).await.unwrap();
    assert!(asked > 40, "{asked} commands were noted");
    let whole = profile
        .find(doc! { "planSummary": { "$regex": "COLLSCAN" }, "op": { "$ne": "getmore" } })
        .await
        .unwrap();
    let whole: Vec<Document> = whole.try_collect().await.unwrap();
    let whole: Vec<_> = whole
        .iter()
        // The profile itself is no collection of the store. The janitor asks the series by time alone, which is the
        // order in which the server keeps it: it calls that a scan, too, and reads what it asks for.
        .filter(|one| !one.get_str("ns").unwrap().ends_with("system.profile"))
        .map(|one| one.get_document("command").unwrap())
        .filter(|command| !asks_by_time(command))
        .collect();
    assert!(whole.is_empty(), "{whole:?}");
}
