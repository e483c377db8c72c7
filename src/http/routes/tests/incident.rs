use super::*;

fn with_key(who: &Credential, key: &str, body: Value) -> TestRequest {
    TestRequest::post()
        .uri("/api/v1/sos")
        .insert_header(who.clone())
        .insert_header(("idempotency-key", key))
        .set_json(body)
}

#[actix_web::test]
async fn an_sos_is_created_with_its_creator_in_it_and_no_trace_of_the_device() {
    let rig = Rig::start();
    let who = device(1);
    let answer = rig.post(&who, "/api/v1/sos", sos()).await;
    assert_eq!(answer.status, 201);
    let data = answer.data();
    assert_eq!(
        (&data["type"], &data["status"], &data["visibility"]),
        (&json!("FIRE"), &json!("ACTIVE"), &json!("PUBLIC"))
    );
    assert_eq!(data["activeParticipants"][0]["id"], data["creatorId"]);
    assert!(!answer.body.to_string().contains(&who.1));
    let read = rig
        .get(&who, &format!("/api/v1/sos/{}", data["sosId"].as_str().unwrap()))
        .await;
    assert_eq!(read.data(), data);
}

#[actix_web::test]
async fn everything_that_is_wrong_with_an_sos_is_named() {
    let rig = Rig::start();
    let body = json!({"type": "flood", "message": "short", "location": {"latitude": 91, "longitude": 0}});
    let answer = rig.post(&device(1), "/api/v1/sos", body).await;
    assert_eq!(answer.refusal(), (400, "VALIDATION_FAILED"));
    let fields: Vec<_> = answer.body["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["type", "message", "location.latitude"]);
    assert!(answer.body["requestId"].is_string());
}

#[actix_web::test]
async fn the_device_that_raised_an_sos_is_kept_in_its_record() {
    let rig = Rig::start();
    let mut body = sos();
    body["deviceInfo"] = json!({"os": "android 15", "appVersion": "1.2", "locale": "fil-PH"});
    rig.post(&device(1), "/api/v1/sos", body).await;
    let record = rig
        .engine
        .node()
        .store
        .device(DeviceId::from_random([1; 16]))
        .await
        .unwrap();
    assert_eq!(record.unwrap().os.as_deref(), Some("android 15"));
}

#[actix_web::test]
async fn a_retry_gets_the_first_answer_whatever_has_happened_since() {
    let rig = Rig::start();
    let who = device(1);
    let first = rig.send(with_key(&who, "k 1", sos())).await;
    let id = first.data()["sosId"].as_str().unwrap();
    rig.join(&rig.citizen("ana"), id, "CITIZEN").await;
    let path = format!("/api/v1/sos/{id}/status");
    assert_eq!(
        rig.patch(&who, &path, json!({"status": "responding"}))
            .await
            .status,
        200
    );
    rig.post(&who, &format!("/api/v1/sos/{id}/location"), fix()).await;
    let again = rig.send(with_key(&who, "k 1", sos())).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    let other = rig.send(with_key(&device(2), "k 1", sos())).await;
    assert_ne!(
        other.data()["sosId"],
        first.data()["sosId"],
        "keys are each one's own"
    );
}

#[actix_web::test]
async fn a_retry_is_answered_even_when_the_budget_is_spent() {
    let rig = Rig::with(|config| config.limits.sos_per_hour = 1);
    let who = device(1);
    let first = rig.send(with_key(&who, "k", sos())).await;
    assert_eq!(first.status, 201);
    let again = rig.send(with_key(&who, "k", sos())).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(rig.send(with_key(&who, "other", sos())).await.status, 429);
}

#[actix_web::test]
async fn a_key_that_is_none_is_refused() {
    let rig = Rig::start();
    for key in ["", &"x".repeat(201), "a\tb", "caf\u{e9}"] {
        let answer = rig.send(with_key(&device(1), key, sos())).await;
        assert_eq!(answer.status, 400, "{key}");
        assert_eq!(answer.body["fields"][0]["field"], "Idempotency-Key");
    }
}

#[actix_web::test]
async fn incidents_are_found_near_a_position_in_pages() {
    let rig = Rig::start();
    let who = device(1);
    for north in [0.001, 0.003, 0.002] {
        let mut body = sos();
        body["location"] = json!({"latitude": 14.0 + north, "longitude": 121.0});
        rig.post(&who, "/api/v1/sos", body).await;
    }
    let near = "/api/v1/sos?lat=14&lng=121&limit=2";
    let first = rig.get(&device(2), near).await;
    let metres = |answer: &Answer| -> Vec<f64> {
        let items = answer.data().as_array().unwrap();
        items
            .iter()
            .map(|item| item["distanceM"].as_f64().unwrap().round())
            .collect()
    };
    assert_eq!(metres(&first), [111.0, 222.0]);
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let rest = rig.get(&device(2), &format!("{near}&cursor={cursor}")).await;
    assert_eq!(metres(&rest), [334.0]);
    assert!(rest.body["nextCursor"].is_null());
    let answer = rig.get(&device(2), "/api/v1/sos?lat=99&lng=1&limit=0").await;
    assert_eq!(answer.refusal(), (400, "VALIDATION_FAILED"));
}

#[actix_web::test]
async fn a_silent_sos_is_seen_by_its_people_and_staff_only() {
    let rig = Rig::start();
    let who = device(1);
    let mut body = sos();
    body["silent"] = json!(true);
    let id = rig.post(&who, "/api/v1/sos", body).await.data()["sosId"].clone();
    let path = format!("/api/v1/sos/{}", id.as_str().unwrap());
    for (seeker, sees) in [(&who, true), (&rig.staff(), true), (&device(2), false)] {
        let list = rig.get(seeker, "/api/v1/sos").await;
        assert_eq!(list.data().as_array().unwrap().len(), usize::from(sees));
        let one = rig.get(seeker, &path).await;
        assert_eq!(one.status, if sees { 200 } else { 404 });
    }
    let answer = rig
        .post(
            &device(2),
            &format!("{path}/participants/join"),
            json!({"userType": "CITIZEN"}),
        )
        .await;
    assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
}

#[actix_web::test]
async fn an_incident_moves_along_its_states_and_says_where_it_can_go() {
    let rig = Rig::start();
    let who = device(1);
    let id = rig.raise(&who).await;
    let path = format!("/api/v1/sos/{id}/status");
    let answer = rig
        .patch(&who, &path, json!({"status": "en_route", "note": "on foot"}))
        .await;
    assert_eq!(answer.data()["status"], "RESPONDING");
    let answer = rig.patch(&who, &path, json!({"status": "ACTIVE"})).await;
    assert_eq!(answer.refusal(), (409, "INVALID_TRANSITION"));
    assert_eq!(
        answer.body["allowed"],
        json!(["ARRIVED", "RESOLVED", "CANCELLED", "CLOSED"])
    );
    let answer = rig.patch(&device(2), &path, json!({"status": "ARRIVED"})).await;
    assert_eq!(answer.refusal(), (403, "FORBIDDEN"));
    let answer = rig.patch(&who, &path, json!({"status": "gone"})).await;
    assert_eq!(answer.body["fields"][0]["field"], "status");
    let nowhere = "/api/v1/sos/nothing/status";
    let answer = rig.patch(&who, nowhere, json!({"status": "ARRIVED"})).await;
    assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
}

#[actix_web::test]
async fn its_creator_cancels_an_incident_and_only_staff_close_it() {
    let rig = Rig::start();
    let who = device(1);
    let id = rig.raise(&who).await;
    let (cancel, close) = (
        format!("/api/v1/sos/{id}/cancel"),
        format!("/api/v1/sos/{id}/close"),
    );
    let request = TestRequest::post().uri(&cancel).insert_header(device(2));
    assert_eq!(rig.send(request).await.refusal(), (403, "FORBIDDEN"));
    let request = TestRequest::post().uri(&cancel).insert_header(who.clone());
    let answer = rig.send(request).await;
    assert_eq!(answer.data()["status"], "CANCELLED");
    assert!(answer.data()["endedAt"].is_string());
    let answer = rig.post(&who, &cancel, json!({"reason": "again"})).await;
    assert_eq!(answer.refusal(), (409, "INVALID_TRANSITION"));
    let answer = rig.post(&who, &close, json!({})).await;
    assert_eq!(answer.refusal(), (403, "FORBIDDEN"));
    let body = json!({"resolution": "false alarm"});
    assert_eq!(
        rig.post(&rig.staff(), &close, body).await.data()["status"],
        "CLOSED"
    );
}

#[actix_web::test]
async fn those_who_are_in_say_things_and_a_repeated_message_is_the_same() {
    let rig = Rig::start();
    let who = device(1);
    let id = rig.raise(&who).await;
    let path = format!("/api/v1/sos/{id}/messages");
    let first = rig
        .post(&who, &path, json!({"content": "Help is here", "id": "m1"}))
        .await;
    assert_eq!(first.status, 201);
    rig.post(&who, &path, json!({"content": "second"})).await;
    let again = rig
        .post(&who, &path, json!({"content": "Help is here", "id": "m1"}))
        .await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    let list = rig.get(&who, &format!("{path}?limit=1")).await;
    assert_eq!(list.data()[0]["content"], "second");
    let cursor = list.body["nextCursor"].as_str().unwrap();
    let list = rig.get(&who, &format!("{path}?cursor={cursor}")).await;
    assert_eq!(
        (&list.data()[0], &list.body["nextCursor"]),
        (first.data(), &Value::Null)
    );
    let list = rig.get(&who, &format!("{path}?q=HELP")).await;
    assert_eq!(list.data().as_array().unwrap().len(), 1);
    let stranger = rig.post(&device(2), &path, json!({"content": "x"})).await;
    assert_eq!(stranger.refusal(), (403, "FORBIDDEN"));
    assert_eq!(rig.get(&device(2), &path).await.refusal(), (403, "FORBIDDEN"));
    let answer = rig.post(&who, &path, json!({"content": " "})).await;
    assert_eq!(answer.body["fields"][0]["field"], "content");
    rig.post(&who, &format!("/api/v1/sos/{id}/cancel"), json!({}))
        .await;
    let late = rig.post(&who, &path, json!({"content": "late"})).await;
    assert_eq!(late.refusal(), (409, "SOS_CLOSED"));
}

#[actix_web::test]
async fn the_log_is_read_in_pages_by_those_inside() {
    let rig = Rig::start();
    let who = device(1);
    let id = rig.raise(&who).await;
    let path = format!("/api/v1/sos/{id}/events");
    let first = rig.get(&who, &format!("{path}?limit=1")).await;
    assert_eq!(first.data()[0]["type"], "created");
    assert_eq!(first.body["nextCursor"], "1");
    let rest = rig.get(&who, &format!("{path}?since=1")).await;
    assert_eq!(
        (&rest.data()[0]["type"], &rest.body["nextCursor"]),
        (&json!("joined"), &Value::Null)
    );
    assert_eq!(rig.get(&device(2), &path).await.refusal(), (403, "FORBIDDEN"));
    assert_eq!(rig.get(&rig.staff(), &path).await.status, 200);
}

#[actix_web::test]
async fn positions_of_an_incident_come_plain_and_as_geojson() {
    let rig = Rig::start();
    let who = device(1);
    let id = rig.raise(&who).await;
    let upload = format!("/api/v1/sos/{id}/location");
    let answer = rig.post(&who, &upload, fix()).await;
    assert_eq!(answer.data()["rooms"], json!([id]));
    let path = format!("/api/v1/sos/{id}/locations");
    let list = rig.get(&who, &path).await;
    assert_eq!(list.data()[0]["latitude"], 14.6);
    let request = TestRequest::get()
        .uri(&path)
        .insert_header(who.clone())
        .insert_header(("accept", "application/geo+json, */*;q=0.1"));
    let map = rig.send(request).await;
    assert_eq!(map.header("content-type"), "application/geo+json");
    assert_eq!(
        map.body["features"][0]["geometry"]["coordinates"],
        json!([121.0, 14.6])
    );
    assert_eq!(
        rig.post(&device(2), &upload, fix()).await.refusal(),
        (403, "FORBIDDEN")
    );
    assert_eq!(rig.get(&device(2), &path).await.refusal(), (403, "FORBIDDEN"));
    let nowhere = "/api/v1/sos/nothing/location";
    assert_eq!(rig.post(&who, nowhere, fix()).await.refusal(), (404, "NOT_FOUND"));
    rig.post(&who, &format!("/api/v1/sos/{id}/cancel"), json!({}))
        .await;
    assert_eq!(
        rig.post(&who, &upload, fix()).await.refusal(),
        (409, "SOS_CLOSED")
    );
}
