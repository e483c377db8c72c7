//! Work that is to be done whatever happens.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Harness;
use super::scribe::{Scribe, key, ms, put, raised, user};
use crate::domain::notify::Lane;
use crate::domain::testing::{report, room};
use crate::store::contract::{AppendError, Store};
use crate::store::jobs::{
    Job, JobClaim, JobHold, JobId, JobSettle, JobThen, JobWrite, LaneDepth, NewJob, Receipt,
};
use crate::store::types::{Append, Retention};

const LONG: Duration = Duration::from_secs(60);

fn id(n: u64) -> JobId {
    JobId::from_random(n << 1)
}

fn job(n: u64) -> NewJob {
    NewJob {
        id: id(n),
        key: format!("job:{n}"),
        lane: Lane::Sos,
        room: Some(room("sos")),
        whose: Some(user(0)),
        after: Duration::ZERO,
        body: format!("$body {n}"),
    }
}

fn by(token: i64) -> JobClaim {
    JobClaim {
        token,
        lane: Lane::Sos,
        lease: LONG,
        limit: 100,
    }
}

fn fared(n: u64, token: i64, then: JobThen) -> JobWrite {
    JobWrite::Settle(JobSettle {
        id: id(n),
        token,
        then,
        body: None,
    })
}

async fn add(store: &impl Store, jobs: impl IntoIterator<Item = NewJob>) {
    let added = jobs.into_iter().map(JobWrite::Add).collect();
    let counted = store.write_jobs(added).await.unwrap();
    assert!(counted.iter().all(|counts| *counts));
}

async fn write(store: &impl Store, change: JobWrite) -> bool {
    let counted = store.write_jobs(vec![change]).await.unwrap();
    assert_eq!(counted.len(), 1);
    counted[0]
}

/// Claims until there is something.
async fn claim_soon(store: &impl Store, claim: JobClaim) -> Vec<Job> {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = store.claim_jobs(claim).await.unwrap();
        if !found.is_empty() {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "nothing became due");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn numbers(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.id.get()).collect()
}

async fn depth(store: &impl Store, lane: Lane) -> LaneDepth {
    let depths = store.jobs_depth().await.unwrap();
    assert_eq!(
        depths.iter().map(|depth| depth.lane).collect::<Vec<_>>(),
        Lane::ALL
    );
    depths[lane.index()]
}

fn receipt(reference: &str, at: i64) -> Receipt {
    Receipt {
        reference: reference.into(),
        room: Some(room("sos")),
        notification: 3,
        job: id(1),
        at: ms(at),
    }
}

pub async fn jobs_stand_with_the_events_that_cause_them_or_not_at_all<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = Scribe::new("sos");
    let raising = Append {
        idempotency: Some(key(0, "once")),
        jobs: vec![JobWrite::Add(job(1)), JobWrite::Refer(receipt("twilio:1", 1))],
        ..scribe.raise(report())
    };
    put(store, raising.clone()).await;
    let repeated = Append {
        jobs: vec![JobWrite::Add(job(2))],
        ..raising.clone()
    };
    assert!(matches!(
        store.append(repeated).await,
        Err(AppendError::Repeated { .. })
    ));
    let late = Append {
        jobs: vec![JobWrite::Add(job(3)), JobWrite::Drop(id(1))],
        idempotency: None,
        ..raising
    };
    assert!(matches!(
        store.append(late).await,
        Err(AppendError::Conflict { .. })
    ));
    let mine = store.claim_jobs(by(7)).await.unwrap();
    let [claimed] = &mine[..] else { panic!("{mine:?}") };
    assert_eq!(
        (claimed.id, claimed.key.as_str(), claimed.lane),
        (id(1), "job:1", Lane::Sos)
    );
    assert_eq!(
        (&claimed.room, &claimed.whose),
        (&Some(room("sos")), &Some(user(0)))
    );
    assert_eq!((claimed.body.as_str(), claimed.interrupted), ("$body 1", false));
    assert!(claimed.since.ms() > 1_600_000_000_000, "by the store's clock");
    // How a job fared can come with events, too, and what was known before stays.
    let told = Append {
        jobs: vec![
            fared(1, 8, JobThen::Done),
            fared(1, 7, JobThen::Release(Duration::ZERO)),
            JobWrite::Add(NewJob {
                body: "other".into(),
                ..job(1)
            }),
            JobWrite::Add(job(4)),
        ],
        ..scribe.say(0, "told")
    };
    put(store, told).await;
    let mut left = store.claim_jobs(by(9)).await.unwrap();
    left.sort_by_key(|job| job.id);
    assert_eq!(numbers(&left), [1, 4]);
    assert_eq!(left[0].body, "$body 1");
    assert_eq!(store.receipt("twilio:1").await, Ok(Some(receipt("twilio:1", 1))));
}

pub async fn a_second_job_of_the_same_name_is_none_while_the_first_is_there<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let second = NewJob {
        id: id(2),
        body: "second".into(),
        ..job(1)
    };
    let both = vec![JobWrite::Add(job(1)), JobWrite::Add(second.clone())];
    assert_eq!(store.write_jobs(both).await, Ok(vec![true, false]));
    assert!(!write(store, JobWrite::Add(second.clone())).await);
    assert_eq!(store.job_of("job:1").await.unwrap().unwrap().id, id(1));
    // In their order: one that is dropped makes room for the next.
    let instead = vec![
        JobWrite::Drop(id(1)),
        JobWrite::Add(second),
        JobWrite::Drop(id(1)),
        JobWrite::Hasten(id(1)),
        JobWrite::Hasten(id(2)),
    ];
    assert_eq!(
        store.write_jobs(instead).await,
        Ok(vec![true, true, false, false, true])
    );
    assert_eq!(store.job_of("job:1").await.unwrap().unwrap().body, "second");
    assert_eq!(store.job_of("job:2").await, Ok(None));
    assert_eq!(store.write_jobs(vec![]).await, Ok(vec![]));
}

pub async fn a_job_may_be_in_hand_from_the_start<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let taken = |n, token, lease| JobWrite::AddTaken(job(n), JobHold { token, lease });
    let mut scribe = Scribe::new("sos");
    let raising = Append {
        jobs: vec![taken(1, 7, LONG), JobWrite::Add(job(2))],
        ..scribe.raise(report())
    };
    put(store, raising).await;
    assert!(!write(store, taken(1, 9, LONG)).await, "it is there");
    assert_eq!(numbers(&store.claim_jobs(by(10)).await.unwrap()), [2]);
    // Its lease counts like any other, and whoever holds it settles it.
    assert!(!write(store, fared(1, 9, JobThen::Done)).await);
    assert!(write(store, JobWrite::Hasten(id(1))).await);
    assert_eq!(store.claim_jobs(by(11)).await, Ok(vec![]));
    assert!(write(store, fared(1, 7, JobThen::Release(LONG))).await);
    assert_eq!(
        numbers(&claim_soon(store, by(12)).await),
        [1],
        "it was hastened meanwhile"
    );
    assert!(write(store, taken(3, 8, Duration::from_millis(30))).await);
    let left = claim_soon(store, by(13)).await;
    assert_eq!((numbers(&left), left[0].interrupted), (vec![3], true));
    assert!(
        !write(store, fared(3, 8, JobThen::Done)).await,
        "whoever is late moves nothing"
    );
}

pub async fn jobs_are_claimed_by_lane_those_that_wait_the_longest_first<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.claim_jobs(by(1)).await, Ok(vec![]));
    // One after the other, each due a little later than the one before it.
    for n in 1..=5 {
        add(
            store,
            [NewJob {
                after: Duration::from_millis(10 - n),
                ..job(n)
            }],
        )
        .await;
    }
    add(
        store,
        [
            NewJob {
                lane: Lane::Low,
                ..job(6)
            },
            NewJob {
                after: LONG,
                ..job(7)
            },
        ],
    )
    .await;
    let until = tokio::time::Instant::now() + LONG;
    while depth(store, Lane::Sos).await.waiting < 5 {
        assert!(tokio::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stand = depth(store, Lane::Sos).await;
    assert_eq!((stand.jobs, stand.waiting, stand.oldest.is_some()), (6, 5, true));
    let some = JobClaim { limit: 2, ..by(1) };
    let mut found = Vec::new();
    for token in 1..=3 {
        let claimed = store.claim_jobs(JobClaim { token, ..some }).await.unwrap();
        found.extend(numbers(&claimed));
    }
    let mut sorted = found.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 3, 4, 5]);
    let dues: Vec<_> = store.jobs_of(&user(0), "job:", 100).await.unwrap();
    let due = |n: &i64| {
        dues.iter()
            .find(|(job, _)| job.id.get() == *n)
            .map(|(_, due)| *due)
    };
    assert!(found.is_sorted_by_key(due), "{found:?}: {dues:?}");
    assert_eq!(store.claim_jobs(by(9)).await, Ok(vec![]), "they are somebody's");
    assert_eq!(depth(store, Lane::Sos).await.waiting, 0);
    assert_eq!(depth(store, Lane::Sos).await.oldest, None);
    assert_eq!(depth(store, Lane::Low).await.waiting, 1);
    let low = JobClaim {
        lane: Lane::Low,
        ..by(10)
    };
    assert_eq!(numbers(&store.claim_jobs(low).await.unwrap()), [6]);
    assert_eq!(
        store.claim_jobs(JobClaim { limit: 0, ..by(11) }).await,
        Ok(vec![])
    );
}

pub async fn of_many_that_claim_at_once_each_job_is_somebodys<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    add(store, (1..=40).map(job)).await;
    let claims = (1..=8).map(|token| {
        store.claim_jobs(JobClaim {
            limit: 6,
            ..by(token)
        })
    });
    let mut found: Vec<_> = futures_util::future::join_all(claims)
        .await
        .into_iter()
        .flat_map(|found| numbers(&found.unwrap()))
        .collect();
    // Who was second where another was first comes again.
    for token in 100..140 {
        found.extend(numbers(&store.claim_jobs(by(token)).await.unwrap()));
    }
    let each: BTreeSet<_> = found.iter().collect();
    assert_eq!((each.len(), found.len()), (40, 40));
}

pub async fn a_lease_that_runs_out_makes_a_job_somebody_elses_who_hears_of_it<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    add(store, [job(1)]).await;
    let short = JobClaim {
        lease: Duration::from_millis(30),
        ..by(1)
    };
    assert!(!store.claim_jobs(short).await.unwrap()[0].interrupted);
    let taken = claim_soon(store, by(2)).await;
    assert_eq!((numbers(&taken), taken[0].interrupted), (vec![1], true));
    for then in [
        JobThen::Done,
        JobThen::Keep(LONG),
        JobThen::Release(Duration::ZERO),
    ] {
        assert!(
            !write(store, fared(1, 1, then)).await,
            "whoever is late moves nothing"
        );
    }
    assert!(write(store, fared(1, 2, JobThen::Release(Duration::ZERO))).await);
    assert!(
        !write(store, fared(1, 2, JobThen::Done)).await,
        "it was given back"
    );
    let again = store.claim_jobs(by(3)).await.unwrap();
    assert_eq!((again.len(), again[0].interrupted), (1, false));
    assert!(write(store, fared(1, 3, JobThen::Done)).await);
    assert_eq!(store.job_of("job:1").await, Ok(None));
    assert!(!write(store, fared(1, 3, JobThen::Done)).await);
    assert_eq!(depth(store, Lane::Sos).await.jobs, 0);
}

pub async fn a_job_says_from_then_on_what_was_settled<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    add(store, [job(1)]).await;
    let short = JobClaim {
        lease: Duration::from_millis(30),
        ..by(1)
    };
    store.claim_jobs(short).await.unwrap();
    let settle = JobSettle {
        id: id(1),
        token: 1,
        then: JobThen::Keep(LONG),
        body: Some("$kept".into()),
    };
    assert!(write(store, JobWrite::Settle(settle.clone())).await);
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(store.claim_jobs(by(2)).await, Ok(vec![]), "the lease goes on");
    assert_eq!(store.job_of("job:1").await.unwrap().unwrap().body, "$kept");
    let wait = Duration::from_millis(50);
    let back = JobSettle {
        then: JobThen::Release(wait),
        body: Some("waits".into()),
        ..settle
    };
    assert!(write(store, JobWrite::Settle(back)).await);
    assert_eq!(store.claim_jobs(by(3)).await, Ok(vec![]), "not yet");
    let due = claim_soon(store, by(4)).await;
    assert_eq!((due[0].body.as_str(), due[0].interrupted), ("waits", false));
}

pub async fn what_is_hastened_is_due_at_once_or_when_it_is_given_back<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    add(
        store,
        [
            NewJob {
                after: LONG,
                ..job(1)
            },
            job(2),
        ],
    )
    .await;
    assert_eq!(numbers(&store.claim_jobs(by(1)).await.unwrap()), [2]);
    assert!(write(store, JobWrite::Hasten(id(1))).await);
    assert!(write(store, JobWrite::Hasten(id(2))).await);
    assert_eq!(
        numbers(&store.claim_jobs(by(2)).await.unwrap()),
        [1],
        "the other is in hand"
    );
    assert!(write(store, fared(2, 1, JobThen::Release(LONG))).await);
    assert_eq!(
        numbers(&store.claim_jobs(by(3)).await.unwrap()),
        [2],
        "whatever it was to wait"
    );
    assert!(write(store, fared(2, 3, JobThen::Release(LONG))).await);
    assert_eq!(store.claim_jobs(by(4)).await, Ok(vec![]), "once");
    assert!(!write(store, JobWrite::Hasten(id(9))).await);
}

pub async fn what_is_dropped_is_not_done_whoever_has_it<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    add(
        store,
        [
            job(1),
            NewJob {
                after: LONG,
                ..job(2)
            },
        ],
    )
    .await;
    store.claim_jobs(by(1)).await.unwrap();
    let both = vec![
        JobWrite::Drop(id(1)),
        JobWrite::Drop(id(2)),
        JobWrite::Drop(id(2)),
    ];
    assert_eq!(store.write_jobs(both).await, Ok(vec![true, true, false]));
    assert!(!write(store, fared(1, 1, JobThen::Keep(LONG))).await);
    assert_eq!(depth(store, Lane::Sos).await.jobs, 0);
}

pub async fn somebodys_jobs_are_found_by_the_beginning_of_their_names_and_go_with_them<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    raised(store, "sos", report()).await;
    let named = |n: u64, key: &str, whose| NewJob {
        key: key.into(),
        whose,
        after: LONG,
        ..job(n)
    };
    add(
        store,
        [
            named(1, "checkin:b", Some(user(0))),
            named(2, "checkin:a", Some(user(0))),
            named(3, "checkin:c", Some(user(1))),
            named(4, "other:a", Some(user(0))),
            named(5, "checkin:d", None),
        ],
    )
    .await;
    let found = store.jobs_of(&user(0), "checkin:", 10).await.unwrap();
    let keys: Vec<_> = found.iter().map(|(job, _)| job.key.as_str()).collect();
    assert_eq!(keys, ["checkin:a", "checkin:b"]);
    assert!(found.iter().all(|(job, due)| due.ms() - job.since.ms() == 60_000));
    assert_eq!(store.jobs_of(&user(0), "checkin:", 1).await.unwrap().len(), 1);
    assert_eq!(store.jobs_of(&user(2), "", 10).await, Ok(vec![]));
    let erased = store.erase(&user(0), ms(2_000_000)).await.unwrap();
    assert_eq!(erased.others, 3);
    assert_eq!(store.jobs_of(&user(0), "", 10).await, Ok(vec![]));
    let left: Vec<_> = [3, 5].into_iter().map(id).collect();
    for (key, id) in ["checkin:c", "checkin:d"].into_iter().zip(left) {
        assert_eq!(store.job_of(key).await.unwrap().map(|job| job.id), Some(id));
    }
}

pub async fn a_message_is_found_by_its_vendors_name_until_that_is_too_old<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.receipt("twilio:SM1").await, Ok(None));
    let nobodys = Receipt {
        room: None,
        ..receipt("ses:1", 5_000)
    };
    let all = [
        receipt("twilio:SM1", 1_000),
        nobodys.clone(),
        receipt("twilio:SM2", 9_000),
    ];
    let all = all.into_iter().map(JobWrite::Refer).collect();
    assert_eq!(store.write_jobs(all).await, Ok(vec![true; 3]));
    assert_eq!(store.receipt("ses:1").await, Ok(Some(nobodys)));
    let newer = Receipt {
        notification: u32::MAX,
        ..receipt("twilio:SM1", 9_000)
    };
    assert!(write(store, JobWrite::Refer(newer.clone())).await);
    assert_eq!(store.receipt("twilio:SM1").await, Ok(Some(newer)));
    let retention = Retention {
        receipts: Duration::from_millis(2_000),
        slice_max_rows: 10,
        ..Retention::default()
    };
    let purged = store.purge(ms(10_000), &retention).await.unwrap();
    assert_eq!((purged.receipts, purged.more), (1, false));
    assert_eq!(store.receipt("ses:1").await, Ok(None));
    assert!(store.receipt("twilio:SM1").await.unwrap().is_some());
}

pub async fn jobs_survive_reopening_and_a_rebuild<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    add(
        store,
        [
            job(1),
            NewJob {
                after: LONG,
                ..job(2)
            },
        ],
    )
    .await;
    let short = JobClaim {
        lease: Duration::from_millis(100),
        ..by(1)
    };
    assert_eq!(store.claim_jobs(short).await.unwrap().len(), 1);
    write(store, JobWrite::Refer(receipt("twilio:1", 1))).await;
    let harness = harness.reopen().await;
    let store = harness.store();
    store.rebuild().await.unwrap();
    let found = claim_soon(store, by(2)).await;
    assert_eq!((numbers(&found), found[0].interrupted), (vec![1], true));
    assert!(!write(store, fared(1, 1, JobThen::Done)).await);
    assert!(store.job_of("job:2").await.unwrap().is_some());
    assert!(store.receipt("twilio:1").await.unwrap().is_some());
}
