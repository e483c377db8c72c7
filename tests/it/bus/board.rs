//! The keys that other programs read, in a real Redis alone and in a cluster.

use std::sync::Arc;
use std::time::Duration;

use mayday::bus::redis::{BoardSettings, Channels, Connection, RedisBoard};
use mayday::bus::{Around, Board, Cached, IncidentNote, Note, SessionNote, Sighting};
use mayday::domain::geo::{Fix, Position};
use mayday::domain::ids::{ParticipantId, RoomId, UserId};
use mayday::domain::incident::Status;
use mayday::domain::people::{Contact, Role};
use mayday::domain::phone::PhoneNumber;
use mayday::domain::room::{RoomKind, UserType};
use mayday::domain::time::Timestamp;
use serde_json::{Value, json};

use super::options;
use crate::support::redis::{Redis, RedisCluster};
use crate::support::{DEADLINE, HERE, eventually, now_ms};

fn room(id: &str) -> RoomId {
    RoomId::new(id).unwrap()
}

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

fn person(n: u64) -> ParticipantId {
    ParticipantId::from_bits(n)
}

fn now() -> Timestamp {
    Timestamp::from_ms(i64::try_from(now_ms()).unwrap())
}

fn here(north: f64) -> Position {
    Position::new(HERE.0 + north, HERE.1).unwrap()
}

fn seen(trip: &str, n: u64, north: f64, at: Timestamp) -> Sighting {
    Sighting {
        room: room(trip),
        participant: person(n),
        fix: Fix::new(here(north), at)
            .with_motion(Some(4.5), None, Some(90.0))
            .unwrap(),
        newest: true,
        kind: RoomKind::Trip,
        keep: false,
    }
}

fn incident(sos: &str, status: Status, seq: u64) -> Note {
    Note::Incident(Box::new(IncidentNote {
        sos: room(sos),
        citizen: Some("u-ana".into()),
        status,
        created_at: Timestamp::from_ms(1_763_687_926_087),
        closed: (!status.is_open()).then(|| (now(), None)),
        location: Some((here(0.0), None)),
        located_at: None,
        participants: vec![(person(1), UserType::Citizen)],
        count: 1,
        seq,
    }))
}

fn session(id: &str, node: &str, online: bool) -> SessionNote {
    SessionNote {
        user: user(id),
        role: Role::Rescuer,
        name: Some("Rex".into()),
        session: "27c059c801000003".into(),
        connected_at: Timestamp::from_ms(5),
        seen_at: now(),
        node: node.into(),
        online,
    }
}

fn ben() -> Contact {
    Contact::new("Ben", PhoneNumber::from_e164("+639171234502").unwrap())
}

async fn board_at(url: &str, settings: BoardSettings) -> Arc<RedisBoard> {
    let connection = Connection::open(options(url));
    assert!(connection.connected(DEADLINE).await);
    RedisBoard::start(connection, Channels::new(0), settings, now)
}

fn settings() -> BoardSettings {
    BoardSettings {
        patience: DEADLINE,
        ..BoardSettings::default()
    }
}

/// Lives no longer than so many seconds, and nearly so long.
fn lives(redis: &Redis, key: &str, seconds: i64) {
    let left: i64 = redis.cli(&["ttl", key]).parse().unwrap();
    assert!((seconds - 60..=seconds).contains(&left), "{key} lives {left} s");
}

#[tokio::test]
async fn an_incident_stands_there_for_a_day_and_an_hour_after_its_end() {
    let redis = Redis::start();
    let board = board_at(&redis.url(), settings()).await;
    board.put(incident("s1", Status::Active, 3));
    board.settle().await;
    let read = || serde_json::from_str::<Value>(&redis.cli(&["get", "sos:state:s1"])).unwrap();
    assert_eq!(
        read(),
        json!({
            "sosId": "s1", "citizenId": "u-ana", "status": "ACTIVE", "createdAt": "2025-11-21T01:18:46.087Z",
            "location": {"latitude": HERE.0, "longitude": HERE.1}, "lastLocationUpdate": null,
            "participants": [{"id": "p-0000000000000001", "userType": "CITIZEN"}], "participantsCount": 1, "seq": 3,
        })
    );
    lives(&redis, "sos:state:s1", 86_400);
    assert_eq!(redis.cli(&["smembers", "sos:rooms"]), "s1");

    // What another node knew before does not take it back.
    board.put(incident("s1", Status::Resolved, 5));
    board.settle().await;
    board.put(incident("s1", Status::Active, 4));
    board.settle().await;
    assert_eq!(read()["status"], "RESOLVED");
    lives(&redis, "sos:state:s1", 3_600);
    board.put(incident("s1", Status::Resolved, 6));
    board.settle().await;
    assert_eq!(redis.cli(&["smembers", "sos:rooms"]), "");
}

#[tokio::test]
async fn positions_go_into_the_stream_and_trips_onto_the_map_until_they_end() {
    let redis = Redis::start();
    let board = board_at(&redis.url(), settings()).await;
    let at = now();
    let mut late = seen("t1", 1, 0.5, at.before(Duration::from_secs(60)));
    (late.newest, late.kind) = (false, RoomKind::Trip);
    let walker = Sighting {
        kind: RoomKind::Sos,
        ..seen("sos", 7, 0.0, at)
    };
    board.put(Note::Positions(vec![
        seen("t1", 1, 0.01, at),
        seen("t2", 2, 0.2, at),
        late,
        walker,
    ]));
    board.settle().await;
    let entries = redis.cli(&["xrange", "location_stream", "-", "+"]);
    let lines: Vec<_> = entries.lines().map(str::trim).collect();
    assert_eq!(redis.cli(&["xlen", "location_stream"]), "4");
    let first = &lines[1..19];
    let latitude = (HERE.0 + 0.01).to_string();
    let longitude = HERE.1.to_string();
    let ms = at.ms().to_string();
    assert_eq!(
        first,
        [
            "roomId",
            "t1",
            "participantId",
            "p-0000000000000001",
            "latitude",
            &latitude,
            "longitude",
            &longitude,
            "accuracy",
            "4.5",
            "speed",
            "",
            "heading",
            "90",
            "timestamp",
            &ms,
            "late",
            "0",
        ]
    );
    let near = redis.cli(&[
        "geosearch",
        "active_trips_geo",
        "fromlonlat",
        &longitude,
        &HERE.0.to_string(),
        "byradius",
        "5",
        "km",
        "asc",
    ]);
    assert_eq!(near, "trip:t1");

    let around = |radius_m| Around {
        centre: here(0.0),
        radius_m,
        limit: 10,
    };
    let found = board.trips_near(around(50_000.0)).await.unwrap();
    let names: Vec<_> = found.iter().map(|place| place.trip.as_str()).collect();
    assert_eq!(names, ["t1", "t2"]);
    assert_eq!(found[0].at, at);
    assert!(found[0].position.distance_m(here(0.01)) < 1.0);
    assert_eq!(
        board.newest(&room("t1")).await,
        [(person(1), seen("t1", 1, 0.01, at).fix)]
    );
    assert_eq!(board.newest(&room("sos")).await.len(), 1);
    assert_eq!(board.newest(&room("none")).await, []);

    board.put(Note::TripEnded(room("t1")));
    board.put(Note::Gone {
        users: vec![],
        places: vec![(room("sos"), person(7))],
    });
    board.settle().await;
    assert_eq!(redis.cli(&["zrange", "active_trips_geo", "0", "-1"]), "trip:t2");
    assert_eq!(board.newest(&room("t1")).await, []);
    assert_eq!(board.newest(&room("sos")).await, []);
    // One that nobody hears of any more is forgotten by whoever sweeps.
    board.sweep(at + Duration::from_secs(1), vec![]).await;
    assert_eq!(board.trips_near(around(50_000.0)).await.unwrap(), []);
    assert_eq!(redis.cli(&["exists", "{active_trips_geo}:seen"]), "0");
}

#[tokio::test]
async fn the_stream_keeps_about_an_hour_and_no_more_than_its_length() {
    let redis = Redis::start();
    let short = BoardSettings {
        stream_max: 500,
        ..settings()
    };
    let board = board_at(&redis.url(), short).await;
    let old = now().before(Duration::from_secs(7_200)).ms();
    for n in 0..300 {
        let id = format!("{}-0", old + n);
        redis.cli(&["xadd", "location_stream", &id, "old", "1"]);
    }
    let some = |n: u64| (0..n).map(|n| seen("t1", n, 0.0, now())).collect();
    board.put(Note::Positions(some(10)));
    board.settle().await;
    // Whole blocks of a hundred go.
    let left: u64 = redis.cli(&["xlen", "location_stream"]).parse().unwrap();
    assert!((10..=110).contains(&left), "{left} entries");
    eventually("the stream is cut", async || {
        board.put(Note::Positions(some(200)));
        board.settle().await;
        let length: u64 = redis.cli(&["xlen", "location_stream"]).parse().ok()?;
        let total = board.counts().put;
        (total > 1_500 && length < 1_000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_reads_the_same_everywhere_and_a_presence_fades_with_its_node() {
    let redis = Redis::start();
    let (one, other) = (
        board_at(&redis.url(), settings()).await,
        board_at(&redis.url(), settings()).await,
    );
    let rex = session("rex", "aa", true);
    one.put(Note::Session(Box::new(rex.clone())));
    one.settle().await;
    assert_eq!(one.session(&user("rex")).await, Some(rex.clone()));
    assert_eq!(other.session(&user("rex")).await, Some(rex));
    assert_eq!(one.session(&user("nobody")).await, None);
    lives(&redis, "session:rex", 86_400);
    lives(&redis, "user:presence:rex", 3_600);
    assert_eq!(redis.cli(&["hget", "session:rex", "role"]), "RESCUER");
    let told: Value = serde_json::from_str(&redis.cli(&["hget", "user:presence:rex", "aa"])).unwrap();
    assert_eq!(
        (&told["status"], told["lastSeen"].is_i64()),
        (&json!("online"), true)
    );

    // On two nodes at once, and then on one; what a node that died said is not there for long.
    other.put(Note::Session(Box::new(session("rex", "bb", true))));
    other.settle().await;
    redis.cli(&[
        "hset",
        "user:presence:rex",
        "dead",
        r#"{"status":"online","lastSeen":5}"#,
    ]);
    one.put(Note::Session(Box::new(session("rex", "aa", true))));
    one.settle().await;
    let mut nodes: Vec<_> = redis
        .cli(&["hkeys", "user:presence:rex"])
        .lines()
        .map(str::to_owned)
        .collect();
    nodes.sort();
    assert_eq!(nodes, ["aa", "bb"]);
    other.put(Note::Session(Box::new(session("rex", "bb", false))));
    other.settle().await;
    assert_eq!(redis.cli(&["hkeys", "user:presence:rex"]), "aa");
    one.put(Note::Session(Box::new(session("rex", "aa", false))));
    one.settle().await;
    assert_eq!(redis.cli(&["exists", "user:presence:rex"]), "0");
    assert_eq!(
        other.session(&user("rex")).await.map(|rex| rex.online),
        Some(false)
    );
    one.put(Note::Gone {
        users: vec![user("rex")],
        places: vec![],
    });
    one.settle().await;
    assert_eq!(other.session(&user("rex")).await, None);
}

#[tokio::test]
async fn contacts_are_remembered_until_they_change_on_whatever_node() {
    let redis = Redis::start();
    let (one, other) = (
        board_at(&redis.url(), settings()).await,
        board_at(&redis.url(), settings()).await,
    );
    let ana = user("ana");
    let Cached::Unknown(version) = one.contacts(&ana).await else {
        panic!("nobody put anything there");
    };
    one.keep_contacts(&ana, version, vec![ben()]);
    one.settle().await;
    assert_eq!(
        redis.cli(&["lrange", "emergency:ana", "0", "-1"]),
        r#"{"name":"Ben","phone_no":"+639171234502"}"#
    );
    lives(&redis, "emergency:ana", 3_600);
    assert_eq!(other.contacts(&ana).await, Cached::Known(vec![ben()]));

    // Somebody read the store before a change and remembers after it.
    other.put(Note::Contacts(ana.clone()));
    other.settle().await;
    one.keep_contacts(&ana, version, vec![ben()]);
    one.settle().await;
    let Cached::Unknown(later) = one.contacts(&ana).await else {
        panic!("what had changed was remembered");
    };
    assert!(later > version);
    // An id by which a cluster would tear both keys apart is looked up in the store.
    assert_eq!(one.contacts(&user("a{b}c")).await, Cached::Away);
    assert_eq!(one.counts().contacts, (0, 2));
}

#[tokio::test]
async fn while_redis_is_away_nobody_waits_and_when_it_is_back_what_matters_is_put_again() {
    let mut redis = Redis::start();
    let quick = BoardSettings {
        patience: Duration::from_millis(500),
        waiting_max: 20,
        ..settings()
    };
    let board = board_at(&redis.url(), quick).await;
    let before = board.epoch();
    redis.kill9();
    eventually("the loss is noticed", async || {
        (board.contacts(&user("ana")).await == Cached::Away).then_some(())
    })
    .await;
    board.put(incident("s1", Status::Active, 3));
    board.put(Note::Contacts(user("ana")));
    board.put(Note::Positions(
        (0..30).map(|n| seen("t1", n, 0.0, now())).collect(),
    ));
    assert_eq!(board.newest(&room("t1")).await, []);
    assert_eq!(
        board
            .trips_near(Around {
                centre: here(0.0),
                radius_m: 1.0,
                limit: 1
            })
            .await,
        None
    );
    redis.restart();
    eventually("what waited is put there", async || {
        (redis.cli(&["exists", "sos:state:s1"]) == "1").then_some(())
    })
    .await;
    assert!(board.epoch() > before);
    assert_eq!(redis.cli(&["get", "{emergency:ana}:version"]), "1");
    assert!(board.counts().dropped >= 10, "{:?}", board.counts());
}

#[tokio::test]
async fn in_a_cluster_every_pipeline_stays_in_its_slot() {
    let cluster = RedisCluster::start();
    let board = board_at(&cluster.url(), settings()).await;
    let at = now();
    for n in 0..40 {
        board.put(Note::Positions(vec![seen(&format!("t{n}"), n, 0.001, at)]));
        board.put(incident(&format!("s{n}"), Status::Active, 1));
        board.put(Note::Session(Box::new(session(&format!("u{n}"), "aa", true))));
        board.put(Note::Contacts(user(&format!("u{n}"))));
    }
    board.settle().await;
    let around = Around {
        centre: here(0.0),
        radius_m: 1_000.0,
        limit: 100,
    };
    assert_eq!(board.trips_near(around).await.unwrap().len(), 40);
    for n in 0..40 {
        let trip = room(&format!("t{n}"));
        assert_eq!(board.newest(&trip).await.len(), 1, "{trip}");
        assert!(board.session(&user(&format!("u{n}"))).await.is_some());
        assert_eq!(board.contacts(&user(&format!("u{n}"))).await, Cached::Unknown(1));
    }
    let open = board.sweep(at.before(Duration::from_secs(60)), vec![]).await;
    assert_eq!(open.len(), 40);
    let counts = board.counts();
    assert_eq!((counts.put, counts.dropped, counts.waiting), (160, 0, 0));
}
