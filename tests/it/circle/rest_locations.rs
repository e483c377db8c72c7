//! The REST beside the circle's WebSocket: positions of those who are not connected, and where everybody
//! was.

use serde_json::{Value, json};

use crate::support::{ANA, BEN, Engine, HERE, Person, circle, now_ms, now_s};

fn fix(north: f64, at: impl Into<Value>) -> Value {
    json!({"latitude": HERE.0 + north, "longitude": HERE.1, "timestamp": at.into()})
}

/// A person's own history, page by page.
async fn history(person: &Person, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = person
            .get(&format!("/api/locations?limit=3&{query}{cursor}"))
            .await
            .ok(200);
        let locations = page["locations"].as_array().unwrap();
        assert!(locations.len() <= 3);
        found.extend(locations.iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn an_upload_reaches_the_room_of_its_sender() {
    let mut circle = circle().await;
    let mut body = fix(0.0, now_ms());
    body["accuracy"] = json!(8);
    body["formattedLocation"] = json!("Rizal Park");
    let taken = circle.ana.post("/api/location", body).await.ok(200);
    assert_eq!(taken["success"], true);
    assert_eq!(taken["rooms"], json!([circle.room]));
    assert!(taken["timestamp"].as_str().unwrap().ends_with('Z'));
    circle
        .at_ben
        .expect(json!({
            "type": "location-update", "roomId": circle.room,
            "data": {"userId": circle.ana_id, "userName": "Ana", "latitude": HERE.0, "accuracy": 8},
        }))
        .await;
    circle.at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_timestamp_is_rfc_3339_or_a_number_of_s_or_ms() {
    let mut circle = circle().await;
    let base = now_s() - 100;
    let text = time::OffsetDateTime::from_unix_timestamp(i64::try_from(base).unwrap() + 40).unwrap();
    let text = text
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    for (north, at) in [
        (0.0, json!(base)),
        (0.001, json!((base + 20) * 1000)),
        (0.002, json!(text)),
    ] {
        circle.ana.post("/api/location", fix(north, at)).await.ok(200);
    }
    let times: Vec<_> = history(&circle.ana, "")
        .await
        .iter()
        .map(|fix| fix["timestamp"].clone())
        .collect();
    let stamp = |s: u64| {
        let at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(s).unwrap()).unwrap();
        format!(
            "{}.000Z",
            &at.format(&time::format_description::well_known::Rfc3339).unwrap()[..19]
        )
    };
    assert_eq!(times, [stamp(base), stamp(base + 20), stamp(base + 40)]);
    circle
        .at_ben
        .expect(json!({"type": "location-update", "data": {"latitude": HERE.0}}))
        .await;
}

#[tokio::test]
async fn who_is_not_connected_names_the_room() {
    let engine = Engine::start(&[]);
    let (ana, ben) = (engine.user("Ana").phone(ANA), engine.user("Ben").phone(BEN));
    ana.trusts(&[("Ben", BEN)]).await;
    let mut at_ana = ana.connect().await;
    at_ana.creates("ana-circle").await;
    // Ben was never there: he is her contact, and that is enough.
    let mut body = fix(0.0, now_ms());
    body["roomId"] = json!("ana-circle");
    let taken = ben.post("/api/location", body).await.ok(200);
    assert_eq!(taken["rooms"], json!(["ana-circle"]));
    at_ana
        .expect(json!({"type": "emergency-contact-joined", "contactName": "Ben"}))
        .await;
    let seen = json!({"type": "location-update", "data": {"userName": "Ben", "visiblePhone": BEN}});
    at_ana.expect(seen).await;
    at_ana.hears_nothing_more().await;
    // The owner need not be connected either.
    at_ana.leaves().await;
    let mut body = fix(0.0, now_ms());
    body["roomId"] = json!("ana-circle");
    assert_eq!(
        ana.post("/api/location", body).await.ok(200)["rooms"],
        json!(["ana-circle"])
    );
}

#[tokio::test]
async fn uploads_that_are_for_no_room_are_refused_in_words() {
    let circle = circle().await;
    let sam = circle.engine.user("Sam");
    let error = sam
        .post("/api/location", fix(0.0, now_ms()))
        .await
        .bare_error(409);
    assert_eq!(
        error,
        "User is not in any active room. Provide roomId for disconnected location updates."
    );
    let mut body = fix(0.0, now_ms());
    body["roomId"] = json!(circle.room);
    let error = sam.post("/api/location", body.clone()).await.bare_error(403);
    assert_eq!(error, "User is not authorized to broadcast to this room");
    body["roomId"] = json!("no-such-room");
    assert_eq!(
        sam.post("/api/location", body.clone()).await.bare_error(404),
        "Room not found"
    );
    assert_eq!(
        circle.ana.post("/api/location", body).await.bare_error(404),
        "Room not found"
    );
}

#[tokio::test]
async fn a_wrong_field_of_an_upload_is_named() {
    let mut circle = circle().await;
    let good = fix(0.0, now_ms());
    let cases = [
        ("latitude", json!(null)),
        ("latitude", json!(90.5)),
        ("latitude", json!("14.5")),
        ("longitude", json!(null)),
        ("longitude", json!(-181)),
        ("timestamp", json!(null)),
        ("timestamp", json!("soon")),
        ("timestamp", json!(-5)),
        ("timestamp", json!(now_ms() + 600_000)),
        ("accuracy", json!(-1)),
        ("speed", json!("fast")),
        ("heading", json!(400)),
        ("roomId", json!("a room")),
        ("formattedLocation", json!(7)),
    ];
    for (field, value) in cases {
        let mut body = good.clone();
        body[field] = value;
        let error = circle
            .ana
            .post("/api/location", body.clone())
            .await
            .bare_error(400);
        assert!(error.contains(field), "{body}: {error}");
    }
    for body in ["", "{", "[]", "7"] {
        let request = circle.ana.request(reqwest::Method::POST, "/api/location");
        request
            .body("application/json", body)
            .send()
            .await
            .bare_error(400);
    }
    circle.engine.nobody().post("/api/location", good).await.ok(401);
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn fixes_queued_offline_go_to_history_and_move_nobody_back() {
    let mut circle = circle().await;
    let now = now_ms();
    circle.ana.post("/api/location", fix(0.01, now)).await.ok(200);
    let latest = json!({"type": "location-update", "data": {"latitude": HERE.0 + 0.01}});
    circle.at_ben.expect(latest.clone()).await;
    let old: Vec<Value> = (0..6_u32)
        .map(|n| fix(f64::from(n) / 1000.0, now - 600_000 + 20_000 * u64::from(n)))
        .collect();
    let batch = json!({"fixes": old});
    let taken = circle
        .ana
        .post("/api/location/batch", batch.clone())
        .await
        .ok(200);
    assert_eq!(taken, json!({"accepted": 6, "rejected": []}));
    circle.at_ben.hears_nothing_more().await;

    let kept = history(&circle.ana, "").await;
    assert_eq!(kept.len(), 7, "{kept:?}");
    assert!(kept.is_sorted_by_key(|fix| fix["timestamp"].as_str().unwrap().to_owned()));
    // The same batch again changes nothing.
    circle.ana.post("/api/location/batch", batch).await.ok(200);
    assert_eq!(history(&circle.ana, "").await, kept);
    circle.at_ben.hears_nothing_more().await;

    // Whoever comes now sees the latest, not the last uploaded.
    let mut second = circle.ben.connect().await;
    second.expect(json!({"type": "auto-joined"})).await;
    second
        .expect_in_any_order([latest, json!({"type": "auto-join-summary"})])
        .await;
    second.hears_nothing_more().await;
}

#[tokio::test]
async fn a_batch_takes_what_is_right_and_names_what_is_not() {
    let circle = circle().await;
    let now = now_ms();
    let mut foreign = fix(0.0, now);
    foreign["roomId"] = json!("no-such-room");
    let fixes = json!([
        fix(0.0, now - 60_000),
        {"latitude": 14.5},
        fix(100.0, now),
        "nonsense",
        foreign,
        fix(0.001, now - 30_000),
    ]);
    let taken = circle
        .ana
        .post("/api/location/batch", json!({"fixes": fixes}))
        .await
        .ok(200);
    assert_eq!(taken["accepted"], 2);
    let rejected = taken["rejected"].as_array().unwrap();
    let places: Vec<_> = rejected
        .iter()
        .map(|entry| entry["index"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [1, 2, 3, 4]);
    assert!(
        rejected[0]["error"].as_str().unwrap().contains("longitude"),
        "{rejected:?}"
    );
    assert!(
        rejected[1]["error"].as_str().unwrap().contains("latitude"),
        "{rejected:?}"
    );
    assert_eq!(rejected[3]["error"], "Room not found");
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused() {
    let circle = circle().await;
    let many: Vec<Value> = (0..501).map(|n| fix(0.0, now_ms() - n)).collect();
    for body in [
        json!({}),
        json!({"fixes": 7}),
        json!({"fixes": null}),
        json!({"fixes": many}),
    ] {
        let error = circle.ana.post("/api/location/batch", body).await.bare_error(400);
        assert!(error.contains("fixes"), "{error}");
    }
    let empty = circle
        .ana
        .post("/api/location/batch", json!({"fixes": []}))
        .await
        .ok(200);
    assert_eq!(empty, json!({"accepted": 0, "rejected": []}));
    let most: Vec<Value> = (0..500).map(|n| fix(0.0, now_ms() - n)).collect();
    let taken = circle
        .ana
        .post("/api/location/batch", json!({"fixes": most}))
        .await
        .ok(200);
    assert_eq!(taken["accepted"], 500);
}

#[tokio::test]
async fn history_keeps_every_fifty_metres_or_fifteen_seconds() {
    let circle = circle().await;
    let now = now_ms();
    let start = now - 600_000;
    // 1 m is about 0.000009 degrees.
    let fixes = json!([
        fix(0.0, start),
        fix(0.000_09, start + 1_000), // 10 m and 1 s: not kept
        fix(0.000_9, start + 2_000),  // 100 m: kept
        fix(0.000_9, start + 10_000), // 8 s: not kept
        fix(0.000_9, start + 17_500), // 15.5 s: kept
    ]);
    circle
        .ana
        .post("/api/location/batch", json!({"fixes": fixes}))
        .await
        .ok(200);
    let kept: Vec<_> = history(&circle.ana, "")
        .await
        .iter()
        .map(|fix| fix["latitude"].as_f64().unwrap())
        .collect();
    assert_eq!(kept, [HERE.0, HERE.0 + 0.000_9, HERE.0 + 0.000_9]);
    let (from, to) = (start + 1_500, start + 10_000);
    assert_eq!(
        history(&circle.ana, &format!("from={from}&to={to}")).await.len(),
        1
    );
    let error = circle.ana.get("/api/locations?limit=101").await.bare_error(400);
    assert!(error.contains("limit"), "{error}");
    let error = circle
        .ana
        .get("/api/locations?from=yesterday")
        .await
        .bare_error(400);
    assert!(error.contains("from"), "{error}");
}

#[tokio::test]
async fn contacts_see_where_the_people_were_whose_contact_they_are() {
    let circle = circle().await;
    let now = now_ms();
    for (north, at) in [(0.0, now - 60_000), (0.001, now - 30_000)] {
        circle.ana.post("/api/location", fix(north, at)).await.ok(200);
    }
    let seen = circle.ben.get("/api/locations/contacts").await.ok(200);
    let by_user = seen["locations_by_user"].as_object().unwrap();
    assert_eq!(by_user.len(), 1, "{seen}");
    let ana = &by_user[circle.ana_id.as_str().unwrap()];
    assert_eq!(
        (&ana["user_name"], &ana["user_phone"]),
        (&json!("Ana"), &json!(ANA))
    );
    let places: Vec<_> = ana["locations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fix| fix["latitude"].clone())
        .collect();
    assert_eq!(places, [json!(HERE.0), json!(HERE.0 + 0.001)]);
    // Nobody is Ana's dependent, and a stranger sees nothing.
    for other in [
        circle.ana.clone(),
        circle.engine.user("Sam"),
        circle.engine.device(),
    ] {
        let seen = other.get("/api/locations/contacts").await.ok(200);
        assert_eq!(seen, json!({"locations_by_user": {}}));
    }
}

#[tokio::test]
async fn everybody_sees_the_rooms_they_own_or_are_in() {
    let circle = circle().await;
    for (person, is_owner) in [(&circle.ana, true), (&circle.ben, false)] {
        let info = person.get("/api/rooms-info").await.ok(200);
        let rooms = info["rooms"].as_array().unwrap();
        assert_eq!(rooms.len(), 1, "{info}");
        assert_eq!(rooms[0]["roomId"], json!(circle.room));
        assert_eq!(rooms[0]["isOwner"], json!(is_owner));
        assert_eq!(rooms[0]["ownerName"], "Ana");
        assert_eq!(rooms[0]["members"], 2);
        assert!(info.get("counts").is_none());
    }
    assert_eq!(
        circle.engine.user("Sam").get("/api/rooms-info").await.ok(200),
        json!({"rooms": []})
    );
    let all = circle
        .engine
        .user("Adam")
        .role("ADMIN")
        .get("/api/rooms-info")
        .await
        .ok(200);
    assert_eq!(all["rooms"].as_array().unwrap().len(), 1);
    assert_eq!(all["counts"]["rooms"], 1);
    assert_eq!(all["counts"]["connections"], 2);
    circle.engine.nobody().get("/api/rooms-info").await.ok(401);
}
