//! What was erased is in no byte of any file, however the pages were split, merged and moved before and after.

use std::collections::BTreeSet;
use std::fs;

use futures_util::future::join_all;

use super::InFolder;
use crate::domain::ids::DeviceId;
use crate::domain::people::{Person, Role, Subject};
use crate::domain::testing::{person, report, room};
use crate::store::contract::Store;
use crate::store::contract_tests::Harness;
use crate::store::contract_tests::scribe::{Scribe, kept, ms, put, record};
use crate::store::types::{Append, DeviceRecord, IdempotencyKey, KeptFix};

/// Numbers without any order (splitmix64).
fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn device(n: u64) -> DeviceId {
    let bits = (u128::from(mixed(n)) << 64) | u128::from(mixed(n + (1 << 40)));
    DeviceId::from_random(bits.to_be_bytes())
}

fn name(n: u64) -> String {
    format!("Marker-{:016x}", mixed(n + (1 << 41)))
}

fn locale(n: u64) -> String {
    format!("fil-{:016x}", mixed(n + (1 << 42)))
}

/// Device `n` raises an incident of its own, tells of itself and is somewhere.
async fn takes_part(store: &impl Store, n: u64) {
    let id = device(n);
    let somebody = Person {
        participant: person(mixed(n + (1 << 43))),
        subject: Subject::Device(id),
        name: Some(name(n)),
        phone: None,
        role: Role::Anon,
    };
    let mut scribe = Scribe::new(&format!("sos-{n}"));
    let raised = scribe.raise(report());
    let append = Append {
        people: vec![record(0), somebody.clone()],
        idempotency: Some(IdempotencyKey {
            subject: Subject::Device(id),
            key: format!("retry-{n}"),
        }),
        ..raised
    };
    put(store, append).await;
    let told = DeviceRecord {
        locale: Some(locale(n)),
        ..DeviceRecord::default()
    };
    store.put_device(id, told).await.unwrap();
    let fixes = (0..5).map(|at| KeptFix {
        room: room(&format!("sos-{n}")),
        participant: somebody.participant,
        ..kept("x", 0, at, 0.0)
    });
    store
        .keep_fixes(fixes.collect(), &Default::default())
        .await
        .unwrap();
}

/// Waits until all of the log is in the file: a reader may have kept it from that for a moment.
async fn log_is_empty(harness: &InFolder) {
    let log = harness.folder.path().join("mayday.db-wal");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        assert!(tokio::time::Instant::now() < until, "the log is not emptied");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_erased_goes_from_the_log_though_nobody_writes_any_more() {
    let harness = InFolder::start().await;
    takes_part(harness.store(), 1).await;
    let reader = rusqlite::Connection::open(harness.folder.path().join("mayday.db")).unwrap();
    let look = "BEGIN; SELECT count(*) FROM devices;";
    reader.execute_batch(look).unwrap();
    let gone = Subject::Device(device(1));
    harness.store().erase(&gone, ms(1)).await.unwrap();
    let log = fs::metadata(harness.folder.path().join("mayday.db-wal")).unwrap();
    assert!(log.len() > 0, "somebody reads what was there before");
    reader.execute_batch("COMMIT").unwrap();
    log_is_empty(&harness).await;
}

#[tokio::test]
async fn no_byte_of_the_erased_is_left_among_thousands() {
    let harness = InFolder::start().await;
    let store = harness.store();
    // In between so that pages are split round those who are erased later and those who were before.
    for round in 0..6_u64 {
        join_all((round * 300..(round + 1) * 300).map(|n| takes_part(store, n))).await;
        let gone = (0..(round + 1) * 300).filter(|n| mixed(*n) % 6 == round);
        let erasures = gone.map(async |n| store.erase(&Subject::Device(device(n)), ms(1)).await.unwrap());
        join_all(erasures).await;
    }
    log_is_empty(&harness).await;
    let bytes: Vec<u8> = ["mayday.db", "mayday.db-wal"]
        .iter()
        .flat_map(|file| fs::read(harness.folder.path().join(file)).unwrap_or_default())
        .collect();
    let mut there = BTreeSet::new();
    for at in 0..bytes.len() {
        let text = [("Marker-", 23), ("fil-", 20)]
            .into_iter()
            .find(|(mark, _)| bytes[at..].starts_with(mark.as_bytes()))
            .map(|(_, length)| length)
            .or_else(|| {
                (bytes.get(at + 8) == Some(&b'-') && bytes.get(at + 13) == Some(&b'-')).then_some(36)
            });
        if let Some(text) = text.and_then(|length| bytes.get(at..at + length)) {
            there.insert(text);
        }
    }
    let is_there = |text: &str| there.contains(text.as_bytes());
    let erased: Vec<u64> = (0..6_u64)
        .flat_map(|round| (0..(round + 1) * 300).filter(move |n| mixed(*n) % 6 == round))
        .collect();
    assert!(erased.len() > 600);
    let left: Vec<String> = erased
        .iter()
        .flat_map(|n| [device(*n).reveal(), name(*n), locale(*n)])
        .filter(|text| is_there(text))
        .collect();
    assert!(left.is_empty(), "{} of {}: {left:?}", left.len(), erased.len());
    let stays = (0..1_800).find(|n| !erased.contains(n)).unwrap();
    assert!(is_there(&device(stays).reveal()) && is_there(&name(stays)));
}
