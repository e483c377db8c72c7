//! Promises about the records beside the log.

use super::Harness;
use super::scribe::{Scribe, device, ids, kept, key, ms, phone, put, raised, record, user};
use crate::domain::location::LocationPolicy;
use crate::domain::notify::{Channel, Email, Locale, QuietHours};
use crate::domain::people::{Contact, ContactBook, Person, Reach, Subject};
use crate::domain::room::{Command, RoomKind, Standing};
use crate::domain::testing::{person, report, room};
use crate::store::contract::Store;
use crate::store::types::{Append, DeviceRecord, HistoryQuery, ListingCircle, Membership};

pub async fn a_persons_record_is_replaced_and_never_doubled<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    let renamed = Person {
        name: None,
        phone: Some(phone(77)),
        ..record(0)
    };
    put(
        store,
        Append {
            people: vec![renamed.clone()],
            ..scribe.say(0, "hello")
        },
    )
    .await;
    let only_records = Append {
        room: room("sos"),
        after: scribe.state.seq,
        events: vec![],
        people: vec![record(5)],
        idempotency: None,
        jobs: Vec::new(),
    };
    put(store, only_records).await;
    let people = store.load(&room("sos")).await.unwrap().unwrap().people;
    assert_eq!(ids(&people), [person(0), person(5)]);
    assert!(people.contains(&renamed));
}

pub async fn some_of_a_rooms_records_can_be_read<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut scribe = raised(store, "sos", report()).await;
    for n in 1..4 {
        put(store, scribe.join(n)).await;
    }
    let who = [person(2), person(0), person(9)];
    let found = store.people(&room("sos"), &who).await.unwrap();
    assert_eq!(ids(&found), [person(0), person(2)]);
    assert!(found.contains(&record(2)));
    assert_eq!(store.people(&room("sos"), &[]).await.unwrap(), []);
    assert_eq!(store.people(&room("nowhere"), &who).await.unwrap(), []);
}

fn contact(n: u64) -> Contact {
    let plain = Contact::new(format!("Contact {n}"), phone(n));
    if n.is_multiple_of(2) {
        return plain;
    }
    let reach = Reach {
        email: Some(Email::parse("ben@example.com").unwrap()),
        locale: Some(Locale::parse("fil-PH").unwrap()),
        channels: vec![Channel::Push, Channel::Sms],
        quiet: Some(QuietHours {
            from: 1_320,
            to: 360,
            utc_offset: 480,
        }),
    };
    Contact { reach, ..plain }
}

pub async fn contact_lists_keep_their_order_and_are_replaced_whole<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.contacts(&user(1)).await.unwrap(), ContactBook::default());
    let first = ContactBook {
        emergency: vec![contact(9), contact(2), contact(5)],
        dependent: vec![contact(1)],
    };
    store.put_contacts(&user(1), first.clone()).await.unwrap();
    assert_eq!(store.contacts(&user(1)).await.unwrap(), first);
    let second = ContactBook {
        emergency: vec![contact(5)],
        dependent: vec![],
    };
    store.put_contacts(&user(1), second.clone()).await.unwrap();
    assert_eq!(store.contacts(&user(1)).await.unwrap(), second);
    assert_eq!(store.contacts(&user(2)).await.unwrap(), ContactBook::default());
}

pub async fn circles_are_found_by_an_emergency_contacts_number<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    for n in 1..4 {
        let mut circle = Scribe::new(&format!("circle-{n}"));
        put(store, circle.circle(n)).await;
        put(store, circle.join(8)).await;
        if n == 2 {
            put(
                store,
                circle
                    .decide(None, Standing::System, Command::FallAsleep)
                    .unwrap(),
            )
            .await;
        }
    }
    for n in [1, 2] {
        let book = ContactBook {
            emergency: vec![contact(9), contact(9)],
            dependent: vec![contact(4)],
        };
        store.put_contacts(&user(n), book).await.unwrap();
    }
    store
        .put_contacts(
            &user(8),
            ContactBook {
                emergency: vec![contact(9)],
                dependent: vec![],
            },
        )
        .await
        .unwrap();
    let circle = |n: u64, asleep| ListingCircle {
        room: room(&format!("circle-{n}")),
        owner_name: Some(format!("Person {n}")),
        asleep,
    };
    assert_eq!(
        store.circles_listing(&phone(9), 10).await.unwrap(),
        [circle(1, false), circle(2, true)]
    );
    assert_eq!(
        store.circles_listing(&phone(9), 1).await.unwrap(),
        [circle(1, false)]
    );
    assert_eq!(
        store.circles_listing(&phone(4), 10).await.unwrap(),
        [],
        "a dependent is no emergency contact"
    );
    store
        .put_contacts(&user(1), ContactBook::default())
        .await
        .unwrap();
    assert_eq!(
        store.circles_listing(&phone(9), 10).await.unwrap(),
        [circle(2, true)]
    );
}

pub async fn memberships_are_the_rooms_that_somebody_is_in_now<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut sos = raised(store, "sos", report()).await;
    let mut circle = Scribe::new("circle");
    put(store, circle.circle(1)).await;
    put(store, sos.join(1)).await;
    let membership = |name: &str, kind, is_owner| Membership {
        room: room(name),
        kind,
        participant: person(1),
        is_owner,
    };
    let both = [
        membership("circle", RoomKind::Circle, true),
        membership("sos", RoomKind::Sos, false),
    ];
    assert_eq!(store.memberships(&user(1)).await.unwrap(), both);
    put(store, sos.leave(1)).await;
    assert_eq!(store.memberships(&user(1)).await.unwrap(), both[..1]);
    put(store, sos.join(1)).await;
    assert_eq!(store.memberships(&user(1)).await.unwrap(), both);
    put(store, sos.status(crate::domain::incident::Status::Resolved)).await;
    assert_eq!(
        store.memberships(&user(1)).await.unwrap(),
        both[..1],
        "nobody is in a closed incident"
    );
    put(
        store,
        circle
            .decide(None, Standing::System, Command::FallAsleep)
            .unwrap(),
    )
    .await;
    assert_eq!(store.memberships(&user(1)).await.unwrap(), []);
    assert_eq!(
        store.circles_of(&user(1)).await.unwrap(),
        [room("circle")],
        "asleep or awake"
    );
    assert_eq!(
        store.circles_of(&user(0)).await.unwrap(),
        [],
        "an incident is no circle"
    );
}

pub async fn whoever_is_on_a_trip_is_in_it_until_it_ends<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let mut trip = Scribe::new("trip");
    put(store, trip.trip(1, &[2, 3])).await;
    let membership = |n: u64| Membership {
        room: room("trip"),
        kind: RoomKind::Trip,
        participant: person(n),
        is_owner: n == 1,
    };
    for n in 1..=3 {
        assert_eq!(store.memberships(&user(n)).await.unwrap(), [membership(n)]);
    }
    assert_eq!(store.memberships(&user(0)).await.unwrap(), []);
    assert_eq!(
        store.circles_of(&user(1)).await.unwrap(),
        [],
        "a trip is no circle"
    );
    assert_eq!(
        store.incident(&room("trip")).await.unwrap(),
        None,
        "nor an incident"
    );
    assert_eq!(store.live_rooms(None, 10).await.unwrap(), [room("trip")]);
    // Coming with a credential of their own changes nothing here, getting out does.
    put(store, trip.join(2)).await;
    put(store, trip.leave(3)).await;
    assert_eq!(store.memberships(&user(2)).await.unwrap(), [membership(2)]);
    assert_eq!(store.memberships(&user(3)).await.unwrap(), []);
    put(store, trip.join(3)).await;
    assert_eq!(store.memberships(&user(3)).await.unwrap(), [membership(3)]);
    let end = trip.decide(None, Standing::System, Command::EndTrip).unwrap();
    put(store, end).await;
    for n in 1..=3 {
        assert_eq!(store.memberships(&user(n)).await.unwrap(), []);
    }
    assert_eq!(store.live_rooms(None, 10).await.unwrap(), []);
    let mut replayed = crate::domain::room::RoomState::new(room("trip"));
    let stored = store.load(&room("trip")).await.unwrap().unwrap();
    stored.events.iter().for_each(|event| replayed.apply(event));
    assert_eq!(replayed, trip.state);
}

pub async fn a_devices_first_sight_stays<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    assert_eq!(store.device(device(1)).await.unwrap(), None);
    let seen = |at: i64, os: &str| DeviceRecord {
        os: Some(os.into()),
        app_version: None,
        locale: Some("fil-PH".into()),
        first_seen: ms(at),
        last_seen: ms(at),
    };
    store.put_device(device(1), seen(10, "Android 14")).await.unwrap();
    store.put_device(device(1), seen(20, "Android 15")).await.unwrap();
    let expected = DeviceRecord {
        first_seen: ms(10),
        ..seen(20, "Android 15")
    };
    assert_eq!(store.device(device(1)).await.unwrap(), Some(expected));
    assert_eq!(store.device(device(2)).await.unwrap(), None);
}

pub async fn an_erased_person_is_gone_from_every_record_and_the_log_is_whole<H: Harness>() {
    let harness = H::start().await;
    let store = harness.store();
    let subject = Subject::Device(device(7));
    let somebody = Person {
        subject: subject.clone(),
        ..record(1)
    };
    let mut scribe = raised(store, "sos", report()).await;
    put(
        store,
        Append {
            people: vec![somebody],
            ..scribe.join(1)
        },
    )
    .await;
    let name = crate::store::types::IdempotencyKey {
        subject: subject.clone(),
        key: "k".into(),
    };
    let keyed = Append {
        idempotency: Some(name.clone()),
        ..Scribe::new("other").raise(report())
    };
    put(store, keyed).await;
    store
        .put_contacts(
            &subject,
            ContactBook {
                emergency: vec![contact(3)],
                dependent: vec![],
            },
        )
        .await
        .unwrap();
    store
        .put_device(device(7), DeviceRecord::default())
        .await
        .unwrap();
    let fixes = vec![kept("sos", 1, 10, 0.0), kept("sos", 0, 10, 0.0)];
    store.keep_fixes(fixes, &LocationPolicy::default()).await.unwrap();

    let erased = store.erase(&subject, ms(20)).await.unwrap();
    assert_eq!((erased.people, erased.fixes, erased.others), (1, 1, 3));
    let loaded = store.load(&room("sos")).await.unwrap().unwrap();
    assert_eq!(loaded.events, scribe.log);
    assert_eq!(ids(&loaded.people), [person(0)]);
    assert_eq!(loaded.newest.len(), 1);
    assert_eq!(store.memberships(&subject).await.unwrap(), []);
    assert_eq!(store.contacts(&subject).await.unwrap(), ContactBook::default());
    assert_eq!(store.device(device(7)).await.unwrap(), None);
    assert_eq!(store.repeated(&name).await.unwrap(), None);
    let query = HistoryQuery {
        room: None,
        participant: None,
        among: None,
        subject: Some(subject.clone()),
        from: None,
        to: None,
        after: None,
        limit: 10,
    };
    assert_eq!(store.history(&query).await.unwrap(), []);
    assert_eq!(
        store.erase(&subject, ms(20)).await.unwrap(),
        crate::store::types::Erased::default()
    );
    assert_eq!(store.repeated(&key(0, "k")).await.unwrap(), None);
}
