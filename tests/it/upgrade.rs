//! A database that an older version wrote is opened by this one, and nothing of it is missing.
//!
//! `tests/fixtures/README.md` says how the databases there were made: by the ignored test at the end of this file.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::matching::misfit;
use crate::support::{CARA, Circle, Engine, Person, circle_on, fire, fire_with};

/// The device that raised an incident, and its key for the request.
const DEVICE: &str = "0b8f9d4e-6a53-4c1f-9a77-3d2f1e5c8b60";
const KEY: &str = "the first of the device";

/// What grows old is kept, and nobody leaves by themselves: the database may be years old.
const QUIET: [(&str, &str); 6] = [
    ("retention.locations_days", "0"),
    ("retention.idempotency_hours", "0"),
    ("retention.devices_anonymise_days", "0"),
    ("retention.devices_delete_days", "0"),
    ("rooms.idle_participant_s", "0"),
    ("rooms.empty_room_s", "0"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// What staff and Ana are shown of all that is in the database: path, and who asks.
fn questions(incidents: &[String]) -> Vec<(String, &'static str)> {
    let mut all: Vec<(String, &'static str)> = [
        ("/api/v1/sos?limit=100", "dora"),
        ("/api/v1/sos?status=ACTIVE", "dora"),
        ("/api/v1/sos?lat=14.5826&lng=120.9787&radius=5000", "dora"),
        ("/api/contacts", "ana"),
        ("/api/rooms-info", "ana"),
        ("/api/locations", "ana"),
    ]
    .map(|(path, who)| (path.to_owned(), who))
    .into();
    for sos in incidents {
        for part in [
            "",
            "/events?limit=100",
            "/messages",
            "/participants/history",
            "/locations",
        ] {
            all.push((format!("/api/v1/sos/{sos}{part}"), "dora"));
        }
    }
    all
}

fn device(engine: &Engine) -> Person {
    engine.device_of(DEVICE)
}

async fn raise_once(device: &Person) -> (u16, Value) {
    let request = device
        .request(Method::POST, "/api/v1/sos")
        .header("Idempotency-Key", KEY);
    let body = fire_with(json!({"deviceInfo": {"os": "Android 15", "appVersion": "2.1"}, "silent": false}));
    let answer = request.json(&body).send().await;
    (answer.status, answer.json()["data"].clone())
}

async fn asked(engine: &Engine, questions: &[(String, &str)]) -> Vec<Value> {
    let (ana, dora) = (
        engine.user("Ana").phone(crate::support::ANA),
        engine.user("Dora").role("ADMIN"),
    );
    let mut answers = Vec::new();
    for (path, who) in questions {
        let person = if *who == "ana" { &ana } else { &dora };
        let answer = person.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let mut answer = answer.json();
        // The newest position that was shown, which a restart takes from history: the same or a newer one.
        if let Some(data) = answer["data"].as_object_mut() {
            data.remove("lastLocation");
        }
        answers.push(json!({"path": path, "who": who, "answer": answer}));
    }
    answers
}

#[tokio::test]
async fn what_the_first_schema_held_is_all_there_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let packed = std::fs::File::open(fixtures().join("0001.db.gz")).unwrap();
    let mut database = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut database).unwrap();
    std::fs::write(data.join("mayday.db"), database).unwrap();
    let told: Value = serde_json::from_slice(&std::fs::read(fixtures().join("0001.json")).unwrap()).unwrap();

    let mut engine = Engine::start_on(&data, &QUIET);
    for question in told["answers"].as_array().unwrap() {
        let path = question["path"].as_str().unwrap();
        let who = question["who"].as_str().unwrap();
        let answers = asked(&engine, &[(path.to_owned(), who)]).await;
        if let Some(misfit) = misfit(&question["answer"], &answers[0]["answer"]) {
            panic!(
                "{path} ({who}): {misfit}\nbefore {}\nnow {}",
                question["answer"], answers[0]["answer"]
            );
        }
    }
    // The device's retry, months later, finds the incident that it raised.
    let (_, again) = raise_once(&device(&engine)).await;
    assert_eq!(again["sosId"], told["raised"]);
    // Memberships: Ana and Ben find themselves in the circle and in its incident, which go on.
    let circle = told["circle"].as_str().unwrap();
    let ana = engine.user("Ana").phone(crate::support::ANA);
    let mut at_ana = ana.connect().await;
    at_ana
        .says(json!({"type": "join-room", "roomId": circle, "since": told["circleSeq"]}))
        .await;
    at_ana
        .expect(
            json!({"type": "join-approved", "roomId": circle, "recovered": true, "seq": told["circleSeq"]}),
        )
        .await;
    let written = at_ana.writes(circle, "the new version").await;
    assert_eq!(written["seq"], json!(told["circleSeq"].as_u64().unwrap() + 1));
    let uploaded = ana
        .post(
            "/api/location",
            json!({"latitude": 14.59, "longitude": 120.98, "timestamp": crate::support::now_ms()}),
        )
        .await
        .ok(200);
    assert_eq!(uploaded["rooms"], told["rooms"], "where Ana's positions go");
    // And it is a database of this version now, which starts again.
    assert!(engine.terminate().success());
    let status = engine.command(&["migrate", "--status"]).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(
        status.contains("0001_rooms") && !status.contains("pending"),
        "{status}"
    );
    engine.restart();
    let (_, again) = raise_once(&device(&engine)).await;
    assert_eq!(again["sosId"], told["raised"]);
}

/// Makes `NAME.db.gz` and `NAME.json` in `tests/fixtures`, with `MAYDAY_OLD` the program and `MAYDAY_FIXTURE` NAME.
#[tokio::test]
#[ignore = "makes the fixture of an older version, once"]
async fn make_a_fixture() {
    let program = std::env::var_os("MAYDAY_OLD").expect("MAYDAY_OLD: the older program");
    let name = std::env::var("MAYDAY_FIXTURE").expect("MAYDAY_FIXTURE: the fixture's name");
    let mut circle = circle_on(Engine::of_program(Path::new(&program))).await;
    let told = story(&mut circle).await;
    let Circle { mut engine, .. } = circle;
    assert!(engine.terminate().success());
    let database = std::fs::read(engine.data().join("mayday.db")).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&database).unwrap();
    std::fs::write(fixtures().join(format!("{name}.db.gz")), packed.finish().unwrap()).unwrap();
    let text = serde_json::to_string_pretty(&told).unwrap();
    std::fs::write(fixtures().join(format!("{name}.json")), text + "\n").unwrap();
}

/// Something of everything that is kept.
async fn story(circle: &mut Circle) -> Value {
    let room = circle.room.clone();
    let engine = &circle.engine;
    let (_, raised) = raise_once(&device(engine)).await;
    let raised = raised["sosId"].as_str().unwrap().to_owned();
    let dora = engine.user("Dora").role("DISPATCHER");
    let rex = engine.user("Rex").role("RESCUER");
    let join = json!({"userType": "RESCUER", "displayName": "Rex of Station 7"});
    rex.post(&format!("/api/v1/sos/{raised}/participants/join"), join)
        .await
        .data(201);
    for (at, status) in ["ASSIGNED", "ARRIVED"].into_iter().enumerate() {
        let path = format!("/api/v1/sos/{raised}/messages");
        rex.post(&path, json!({"content": format!("message {at}: ñ, 救, 🚒")}))
            .await
            .data(201);
        dora.patch(&format!("/api/v1/sos/{raised}/status"), json!({"status": status}))
            .await
            .data(200);
    }
    let ended = circle.ana.raises(fire()).await;
    for n in 0..3 {
        let fix = json!({
            "latitude": 14.58 + f64::from(n) / 100.0, "longitude": 120.97, "accuracy": 5.5,
            "timestamp": crate::support::now_ms() - 1_000 * (100 - 30 * u64::try_from(n).unwrap()),
        });
        circle
            .ana
            .post(&format!("/api/v1/sos/{ended}/location"), fix)
            .await
            .ok(200);
    }
    circle
        .ana
        .post(
            &format!("/api/v1/sos/{ended}/cancel"),
            json!({"reason": "it was steam"}),
        )
        .await
        .data(200);
    circle
        .ana
        .trusts(&[("Ben", crate::support::BEN), ("Cara", CARA)])
        .await;
    circle.at_ana.writes(&room, "I am late").await;
    circle
        .at_ana
        .says(json!({"type": "emergency-sos", "roomId": room}))
        .await;
    let sos = loop {
        if let crate::support::Heard::Message(heard) = circle.at_ana.hears().await
            && heard["type"] == "emergency-confirmed"
        {
            break heard["sosId"].as_str().unwrap().to_owned();
        }
    };
    circle.at_ana.hears_nothing_more().await;
    let uploaded = circle
        .ana
        .post(
            "/api/location",
            json!({"latitude": 14.581, "longitude": 120.971, "timestamp": crate::support::now_ms()}),
        )
        .await
        .ok(200);
    circle
        .at_ana
        .says(json!({"type": "get-history", "roomId": room, "since": 0}))
        .await;
    let seq = loop {
        if let crate::support::Heard::Message(heard) = circle.at_ana.hears().await
            && heard["type"] == "history"
        {
            break heard["seq"].clone();
        }
    };
    json!({
        "circle": room, "circleSeq": seq, "raised": raised, "rooms": uploaded["rooms"],
        "answers": asked(engine, &questions(&[raised.clone(), ended, sos])).await,
    })
}
