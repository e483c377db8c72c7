//! What was erased is in no file any more: neither as text nor in any form in which it could be stored.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;

use crate::support::{Engine, HERE, Person, UNLIMITED, eventually, fire, fire_with, now_ms};

const NAME: &str = "Esperanza Quintanilla";
const PHONE: &str = "+639178887766";
const LOCALE: &str = "fil-PH-x-marker";
const OS: &str = "MarkerOS 9.7";
const KEY: &str = "marker-of-a-retry-4711";
const CONTACT: &str = "Tita Baby Marker";
/// Where they were: numbers that nothing else has.
const WHERE: (f64, f64) = (14.612_345_678_9, 121.087_654_321_1);

/// Every form in which something may stand in a file.
struct Marker {
    what: &'static str,
    forms: Vec<Vec<u8>>,
}

fn text(what: &'static str, text: &str) -> Marker {
    Marker {
        what,
        forms: vec![text.into()],
    }
}

/// A number as SQLite, a dump of memory or JSON would write it.
fn number(what: &'static str, value: f64) -> Marker {
    let digits = format!("{value}");
    let forms = vec![
        value.to_be_bytes().to_vec(),
        value.to_le_bytes().to_vec(),
        digits.as_bytes()[..digits.len() - 2].to_vec(),
    ];
    Marker { what, forms }
}

fn uuid(what: &'static str, id: &str) -> Marker {
    let plain = id.replace('-', "");
    let bytes = hex::decode(&plain).unwrap();
    let reversed = bytes.iter().rev().copied().collect();
    let upper = id.to_uppercase().into_bytes();
    let forms = vec![id.into(), plain.into_bytes(), upper, bytes, reversed];
    Marker { what, forms }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Where a marker stands in the data folder, in any form.
fn found(data: &Path, marker: &Marker) -> Vec<String> {
    let mut places = Vec::new();
    for file in files(data) {
        let bytes = fs::read(&file).unwrap_or_default();
        for (form, pattern) in marker.forms.iter().enumerate() {
            if memchr::memmem::find(&bytes, pattern).is_some() {
                let name = file.strip_prefix(data).unwrap().display().to_string();
                places.push(format!("{} (form {form}) in {name}", marker.what));
            }
        }
    }
    places
}

async fn erase(who: &Person) {
    let request = who.request(Method::DELETE, "/api/v1/devices/me");
    request.send().await.data(200);
}

/// Others come and go all the while, so that pages split, move and are used again.
async fn bustle(engine: &Engine, sos: &str, people: usize) {
    let noise = (0..people).map(|n| async move {
        let device = engine.device();
        let info = json!({"os": format!("Android {n}"), "locale": "en-PH"});
        device.post("/api/v1/devices", info).await.data(201);
        let name = format!("Person {n} of the crowd");
        let join = json!({"userType": "ANON_RESCUER", "displayName": name});
        let path = format!("/api/v1/sos/{sos}/participants/join");
        device.post(&path, join).await.data(201);
        let fix = json!({"latitude": HERE.0, "longitude": HERE.1, "timestamp": now_ms()});
        device
            .post(&format!("/api/v1/sos/{sos}/location"), fix)
            .await
            .data(200);
        if n % 3 == 0 {
            erase(&device).await;
        }
    });
    futures_util::future::join_all(noise).await;
}

/// A device and a user leave every kind of trace; answers what to look for.
async fn leave_traces(device: &Person, user: &Person, other: &str) -> Vec<Marker> {
    let info = json!({"os": OS, "appVersion": "1.0", "locale": LOCALE});
    device.post("/api/v1/devices", info).await.data(201);
    device
        .request(Method::POST, "/api/v1/sos")
        .header("Idempotency-Key", KEY)
        .json(&fire_with(json!({"deviceInfo": {"locale": LOCALE}})))
        .send()
        .await
        .data(201);
    user.trusts(&[(CONTACT, "+639170001122")]).await;
    let mut at_user = user.connect().await;
    at_user.creates("marker-circle").await;
    at_user.leaves().await;
    for who in [device, user] {
        let join = json!({"userType": "CITIZEN", "displayName": NAME});
        let path = format!("/api/v1/sos/{other}/participants/join");
        who.post(&path, join).await.data(201);
        for n in 0..20_u32 {
            // Their own paths, which no one else takes.
            let fix = json!({
                "latitude": WHERE.0, "longitude": WHERE.1, "timestamp": now_ms() - 400_000 + u64::from(n) * 20_000,
            });
            let path = format!("/api/v1/sos/{other}/location");
            who.post(&path, fix).await.data(200);
        }
        let said = json!({"content": "I can see the smoke"});
        let path = format!("/api/v1/sos/{other}/messages");
        who.post(&path, said).await.data(201);
    }
    vec![
        uuid("the device id", device.device_id()),
        text("the name", NAME),
        text("the phone number", &PHONE[1..]),
        text("the locale", LOCALE),
        text("the system", OS),
        text("the retry's name", KEY),
        text("a contact", CONTACT),
        text("a contact's number", "639170001122"),
        text("the user id", "user-erased-one"),
        number("the latitude", WHERE.0),
        number("the longitude", WHERE.1),
    ]
}

#[tokio::test]
async fn nothing_of_the_erased_is_in_any_file() {
    let mut engine = Engine::start(&UNLIMITED);
    let (ana, device) = (engine.user("Ana"), engine.device());
    let user = engine.user("Erased-One").phone(PHONE).claim("name", NAME);
    let sos = ana.raises(fire()).await;
    bustle(&engine, &sos, 60).await;
    let markers = leave_traces(&device, &user, &sos).await;
    bustle(&engine, &sos, 60).await;
    for marker in &markers {
        assert!(
            !found(engine.data(), marker).is_empty(),
            "{} should be somewhere before",
            marker.what
        );
    }
    erase(&device).await;
    erase(&user).await;
    let left = || -> Vec<String> {
        let of = |marker| found(engine.data(), marker);
        markers.iter().flat_map(of).collect()
    };
    // A reader may hold the log's old pages for a moment; a health check makes the writer look again.
    let gone = eventually("it is gone", || async {
        engine.nobody().get("/ready").await;
        left().is_empty().then_some(())
    });
    if tokio::time::timeout(std::time::Duration::from_secs(8), gone)
        .await
        .is_err()
    {
        panic!("still there: {:#?}", left());
    }
    let said = text("what they said", "I can see the smoke");
    assert!(!found(engine.data(), &said).is_empty(), "the log is whole");

    // Nothing that was in memory brings it back, not at a crash and not at the end.
    bustle(&engine, &sos, 10).await;
    engine.kill9();
    engine.restart();
    ana.get(&format!("/api/v1/sos/{sos}")).await.data(200);
    assert!(engine.terminate().success());
    let left: Vec<String> = markers
        .iter()
        .flat_map(|marker| found(engine.data(), marker))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    let log = engine.log();
    for secret in [device.device_id(), NAME, &PHONE[1..], LOCALE, KEY, CONTACT] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}
