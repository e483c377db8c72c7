//! Promises about what is kept of somebody, for how long, and that it goes as a whole.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Harness;
use super::scribe::{Scribe, device, ids, kept, key, ms, put, raised, record, user};
use crate::domain::location::LocationPolicy;
use crate::domain::people::{Contact, ContactBook, Person, Role, Subject};
use crate::domain::room::{Command, RoomKind, Standing, UserType};
use crate::domain::testing::{person, report, room};
use crate::store::contract::Store;
use crate::store::types::{
    Append, DeviceRecord, HistoryQuery, IdempotencyKey, KeptKey, Purged, Retention, Sign, Stay, Tally,
};

const DAY: Duration = Duration::from_secs(86_400);

fn subject(n: u8) -> Subject {
    Subject::Device(device(n))
}

/// Device `n` as participant `n`.
fn anonymous(n: u8) -> Person {
    Person {
        subject: subject(n),
        role: Role::Anon,
        ..record(n.into())
    }
}

/// Device `n` comes into an incident.
async fn joins(store: &impl Store, scribe: &mut Scribe, n: u8) {
    let append = Append {
        people: vec![anonymous(n)],
        ..scribe.join(n.into())
    };
    put(store, append).await;
}

fn sign(name: &str, n: u64, at: i64) -> Sign {
    Sign {
        room: room(name),
        participant: person(n),
        at: ms(at),
    }
}

fn days(n: u32) -> crate::domain::time::Timestamp {
    ms(1_000_000) + DAY * n
}

fn by_the_settings() -> Retention {
    Retention {
        device_links: DAY * 30,
        devices: DAY * 90,
        slice_max_rows: 5_000,
        ..Retention::default()
    }
}

pub async fn what_is_not_said_of_a_device_stays_as_it_was<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let whole = DeviceRecord {
        os: Some("Android 15".into()),
        app_version: Some("4.1".into()),
        locale: Some("fil-PH".into()),
        first_seen: ms(10),
        last_seen: ms(10),
    };
    store.put_device(device(1), whole.clone()).await.unwrap();
    let part = DeviceRecord {
        app_version: Some("4.2".into()),
        first_seen: ms(30),
        last_seen: ms(30),
        ..DeviceRecord::default()
    };
    store.put_device(device(1), part.clone()).await.unwrap();
    let merged = DeviceRecord {
        app_version: Some("4.2".into()),
        last_seen: ms(30),
        ..whole
    };
    assert_eq!(store.device(device(1)).await.unwrap(), Some(merged.clone()));
    let late = DeviceRecord {
        last_seen: ms(20),
        ..part
    };
    store.put_device(device(1), late).await.unwrap();
    assert_eq!(store.device(device(1)).await.unwrap(), Some(merged), "never back");
}

pub async fn a_sight_moves_a_record_forward_and_makes_none<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    store
        .put_device(device(1), DeviceRecord::default())
        .await
        .unwrap();
    let seen = vec![(device(1), ms(50)), (device(2), ms(50)), (device(1), ms(40))];
    store.see_devices(seen).await.unwrap();
    let record = store.device(device(1)).await.unwrap().unwrap();
    assert_eq!((record.first_seen, record.last_seen), (ms(0), ms(50)));
    assert_eq!(store.device(device(2)).await.unwrap(), None);
}

pub async fn a_device_that_takes_part_has_a_record<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    joins(store, &mut scribe, 7).await;
    let seen = store.device(device(7)).await.unwrap().unwrap();
    let expected = DeviceRecord {
        first_seen: ms(1_000_000),
        last_seen: ms(1_000_000),
        ..DeviceRecord::default()
    };
    assert_eq!(seen, expected);
}

pub async fn what_rooms_have_of_somebody_comes_in_pages<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.places(&user(1), None, 10).await.unwrap(), []);
    assert_eq!(store.tally(&user(1)).await.unwrap(), Tally::default());
    let mut circle = Scribe::new("a-circle");
    let keyed = Append {
        idempotency: Some(key(1, "k-1")),
        ..circle.circle(1)
    };
    put(store, keyed).await;
    let mut sos = raised(store, "b-sos", report()).await;
    put(store, sos.join(1)).await;
    put(store, sos.leave(1)).await;
    let mut asked = Scribe::new("c-circle");
    put(store, asked.circle(2)).await;
    let ask = asked.decide(Some(1), Standing::Stranger, Command::RequestJoin);
    put(store, ask.unwrap()).await;
    let fixes = vec![kept("a-circle", 1, 10, 0.0), kept("b-sos", 1, 10, 0.0)];
    store.keep_fixes(fixes, &LocationPolicy::default()).await.unwrap();
    let book = ContactBook {
        emergency: vec![Contact::new("Cara", super::scribe::phone(3))],
        dependent: vec![],
    };
    store.put_contacts(&user(1), book).await.unwrap();

    let all = store.places(&user(1), None, 10).await.unwrap();
    let stay = |left: bool| {
        Some(Stay {
            user_type: UserType::Citizen,
            joined_at: ms(1_000_000),
            left_at: left.then_some(ms(1_000_000)),
        })
    };
    let told: Vec<_> = all
        .iter()
        .map(|place| {
            (
                place.room.as_str(),
                place.kind,
                place.is_owner,
                place.stay.clone(),
            )
        })
        .collect();
    let expected = [
        ("a-circle", RoomKind::Circle, true, stay(false)),
        ("b-sos", RoomKind::Sos, false, stay(true)),
        ("c-circle", RoomKind::Circle, false, None),
    ];
    assert_eq!(told, expected);
    assert!(all.iter().all(|place| place.person == record(1)));
    let first = store.places(&user(1), None, 2).await.unwrap();
    let rest = store.places(&user(1), Some(&first[1].room), 2).await.unwrap();
    assert_eq!([first, rest].concat(), all);
    let tally = Tally {
        circles: 1,
        places: 3,
        fixes: 2,
        keys: 1,
        contacts: 1,
        ..Tally::default()
    };
    assert_eq!(store.tally(&user(1)).await.unwrap(), tally);
    assert_eq!(store.tally(&user(0)).await.unwrap().incidents, 1);
}

pub async fn idempotency_keys_come_in_pages<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for name in ["c", "a", "b"] {
        let keyed = Append {
            idempotency: Some(key(1, name)),
            ..Scribe::new(&format!("sos-{name}")).raise(report())
        };
        put(store, keyed).await;
    }
    let first = store.idempotency_keys(&user(1), None, 2).await.unwrap();
    let kept = |name: &str| KeptKey {
        key: name.into(),
        room: room(&format!("sos-{name}")),
        at: ms(1_000_000),
    };
    assert_eq!(first, [kept("a"), kept("b")]);
    assert_eq!(
        store.idempotency_keys(&user(1), Some("b"), 2).await.unwrap(),
        [kept("c")]
    );
    assert_eq!(store.idempotency_keys(&user(2), None, 2).await.unwrap(), []);
}

pub async fn history_of_some_participants_leaves_out_the_others<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let fixes = (0..6).map(|n| kept("sos", n % 3, i64::try_from(n).unwrap(), 0.0));
    store
        .keep_fixes(fixes.collect(), &LocationPolicy::default())
        .await
        .unwrap();
    let mut query = HistoryQuery {
        room: Some(room("sos")),
        among: Some(BTreeSet::from([person(0), person(2)])),
        limit: 10,
        ..HistoryQuery::default()
    };
    let told = store.history(&query).await.unwrap();
    let whose: Vec<_> = told.iter().map(|fix| fix.participant).collect();
    assert_eq!(whose, [person(0), person(2), person(0), person(2)]);
    query.participant = Some(person(1));
    assert_eq!(store.history(&query).await.unwrap(), []);
    query.among = Some(BTreeSet::new());
    assert_eq!(store.history(&query).await.unwrap(), []);
}

pub async fn signs_of_life_come_back_with_the_room_and_go_with_their_participant<H: Harness>() {
    let harness = H::start().await;
    let mut scribe = raised(harness.store(), "sos", report()).await;
    put(harness.store(), scribe.join(1)).await;
    put(harness.store(), scribe.join(2)).await;
    let signs = vec![
        sign("sos", 1, 50),
        sign("sos", 2, 60),
        sign("sos", 1, 40),
        sign("sos", 9, 60),
        sign("nowhere", 1, 60),
    ];
    harness.store().note_signs(signs).await.unwrap();
    let harness = harness.reopen().await;
    let store = harness.store();
    let seen = async || {
        let mut seen = store.load(&room("sos")).await.unwrap().unwrap().seen;
        seen.sort_unstable();
        let mut signs = store.signs(&room("sos")).await.unwrap();
        signs.sort_unstable();
        assert_eq!(seen, signs);
        seen
    };
    assert_eq!(seen().await, [(person(1), ms(50)), (person(2), ms(60))]);
    put(store, scribe.leave(2)).await;
    assert_eq!(seen().await, [(person(1), ms(50))]);
    store.note_signs(vec![sign("sos", 2, 70)]).await.unwrap();
    assert_eq!(seen().await.len(), 1, "whoever is out gives no sign");
    put(store, scribe.status(crate::domain::incident::Status::Cancelled)).await;
    assert_eq!(seen().await, []);
}

pub async fn an_erased_pseudonym_gets_neither_a_record_nor_a_position_again<H: Harness>() {
    let harness = H::start().await;
    let mut scribe = raised(harness.store(), "sos", report()).await;
    joins(harness.store(), &mut scribe, 7).await;
    let signs = vec![sign("sos", 7, 50)];
    harness.store().note_signs(signs).await.unwrap();
    let erased = harness.store().erase(&subject(7), days(0)).await.unwrap();
    assert_eq!(erased.places, [(room("sos"), person(7))]);

    // What was on its way when it happened, even over a restart.
    let harness = harness.reopen().await;
    let store = harness.store();
    let late = Append {
        people: vec![anonymous(7)],
        ..scribe.say(7, "I was about to say this")
    };
    put(store, late).await;
    let policy = LocationPolicy::default();
    let fixes = vec![kept("sos", 7, 10, 0.0), kept("sos", 0, 10, 0.0)];
    assert_eq!(store.keep_fixes(fixes.clone(), &policy).await, Ok(1));
    let loaded = store.load(&room("sos")).await.unwrap().unwrap();
    assert_eq!(ids(&loaded.people), [person(0)]);
    assert_eq!((loaded.newest.len(), loaded.seen.len()), (1, 0));
    assert_eq!(loaded.events, scribe.log);
    assert_eq!(store.device(device(7)).await.unwrap(), None);

    // The same device under another pseudonym is somebody new.
    let again = Person {
        participant: person(8),
        ..anonymous(7)
    };
    let append = Append {
        people: vec![again],
        ..scribe.join(8)
    };
    put(store, append).await;
    assert_eq!(store.memberships(&subject(7)).await.unwrap().len(), 1);

    // After a day nothing can still be on its way.
    let retention = Retention {
        slice_max_rows: 10,
        ..Retention::default()
    };
    store.purge(days(2), &retention).await.unwrap();
    assert_eq!(store.keep_fixes(fixes, &policy).await, Ok(1));
}

pub async fn many_positions_are_erased_all_the_same<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    joins(store, &mut scribe, 7).await;
    let fixes: Vec<_> = (0..12_500)
        .map(|at| kept("sos", 7, at, 0.0))
        .chain((0..10).map(|at| kept("sos", 0, at, 0.0)))
        .collect();
    let policy = LocationPolicy::default();
    assert_eq!(store.keep_fixes(fixes, &policy).await, Ok(12_510));
    let erased = store.erase(&subject(7), days(0)).await.unwrap();
    assert_eq!((erased.people, erased.fixes), (1, 12_500));
    let left = HistoryQuery {
        room: Some(room("sos")),
        limit: 20_000,
        ..HistoryQuery::default()
    };
    assert_eq!(store.history(&left).await.unwrap().len(), 10);
}

pub async fn a_device_that_is_not_seen_is_cut_from_its_pseudonyms_and_then_forgotten<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let (mut first, mut second) = (
        raised(store, "sos-1", report()).await,
        raised(store, "sos-2", report()).await,
    );
    for n in [7, 8] {
        joins(store, &mut first, n).await;
        joins(store, &mut second, n).await;
    }
    let name = IdempotencyKey {
        subject: subject(7),
        key: "k".into(),
    };
    let keyed = Append {
        idempotency: Some(name.clone()),
        ..Scribe::new("sos-3").raise(report())
    };
    put(store, keyed).await;
    let retention = by_the_settings();
    let purge = async |day: u32| store.purge(days(day), &retention).await.unwrap();
    assert_eq!(purge(30).await, Purged::default(), "not longer than 30 days");
    store.see_devices(vec![(device(8), days(20))]).await.unwrap();

    let mut purged = purge(31).await;
    purged.forgotten.sort();
    assert_eq!((purged.devices_anonymised, purged.devices), (1, 0));
    let gone = ["sos-1", "sos-2"].map(|name| (room(name), subject(7)));
    assert_eq!(purged.forgotten, gone);
    assert_eq!(store.places(&subject(7), None, 10).await.unwrap(), []);
    assert_eq!(store.repeated(&name).await.unwrap(), None);
    let loaded = store.load(&room("sos-1")).await.unwrap().unwrap();
    assert_eq!(
        (ids(&loaded.people), loaded.events),
        (vec![person(0), person(8)], first.log.clone())
    );
    assert!(store.device(device(7)).await.unwrap().is_some());
    assert_eq!(purge(31).await, Purged::default(), "once");

    let late = purge(91).await;
    assert_eq!((late.devices_anonymised, late.devices), (1, 1));
    assert_eq!(store.device(device(7)).await.unwrap(), None);
    assert!(store.device(device(8)).await.unwrap().is_some(), "seen on day 20");
    assert_eq!(purge(111).await.devices, 1);
    assert_eq!(store.device(device(8)).await.unwrap(), None);
}

pub async fn devices_are_purged_in_slices<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    for n in 1..=9 {
        joins(store, &mut scribe, n).await;
    }
    let retention = Retention {
        slice_max_rows: 2,
        ..by_the_settings()
    };
    let (mut anonymised, mut slices) = (0, 0);
    loop {
        let slice = store.purge(days(40), &retention).await.unwrap();
        assert!(slice.forgotten.len() <= 2);
        anonymised += slice.devices_anonymised;
        slices += 1;
        if !slice.more {
            break;
        }
    }
    assert_eq!(anonymised, 9);
    assert!(slices >= 5, "{slices} slices");
}
