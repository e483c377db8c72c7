//! Who is in an incident.

use serde_json::{Value, json};

use crate::support::{Engine, Person, circle, fire, sign};

fn path(sos: &str, rest: &str) -> String {
    format!("/api/v1/sos/{sos}/participants/{rest}")
}

async fn joins(person: &Person, sos: &str, body: Value) -> Value {
    person.post(&path(sos, "join"), body).await.data(201)
}

#[tokio::test]
async fn somebody_joins_is_listed_and_leaves() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let joined = joins(
        &sam,
        &sos,
        json!({"userType": "citizen", "displayName": "Sam the neighbour"}),
    )
    .await;
    assert_eq!(joined["sosId"], json!(sos));
    assert_eq!(joined["userType"], "CITIZEN");
    assert_eq!(joined["status"], "ACTIVE");
    assert_eq!(joined["displayName"], "Sam the neighbour");
    assert!(joined["joinedAt"].is_string());
    let id = joined["id"].as_str().unwrap();
    assert!(id.starts_with("p-"), "{id}");

    let (active, _) = ana.get(&path(&sos, "active")).await.page();
    let names: Vec<_> = active
        .iter()
        .map(|person| person["displayName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Ana", "Sam the neighbour"]);
    let check = ana.get(&path(&sos, &format!("{id}/check"))).await.data(200);
    assert_eq!(check["isActive"], true);

    let left = sam.post(&path(&sos, "leave"), json!({})).await.data(200);
    assert_eq!((&left["id"], &left["status"]), (&json!(id), &json!("LEFT")));
    let (active, _) = ana.get(&path(&sos, "active")).await.page();
    assert_eq!(active.len(), 1);
    let (ever, _) = ana.get(&path(&sos, "history")).await.page();
    assert_eq!(ever.len(), 2);
    let check = ana.get(&path(&sos, &format!("{id}/check"))).await.data(200);
    assert_eq!(
        (&check["isParticipant"], &check["isActive"]),
        (&json!(true), &json!(false))
    );
    // They are the same person when they come back.
    assert_eq!(
        joins(&sam, &sos, json!({"userType": "CITIZEN"})).await["id"],
        json!(id)
    );
}

#[tokio::test]
async fn joining_twice_or_when_it_is_over_is_refused() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let body = json!({"userType": "CITIZEN"});
    joins(&sam, &sos, body.clone()).await;
    let refused = sam
        .post(&path(&sos, "join"), body.clone())
        .await
        .refused(409, "ALREADY_JOINED");
    assert_eq!(refused["message"], "User already joined this SOS");
    ana.post(&format!("/api/v1/sos/{sos}/cancel"), json!({}))
        .await
        .data(200);
    engine
        .device()
        .post(&path(&sos, "join"), body.clone())
        .await
        .refused(409, "SOS_CLOSED");
    let unknown = "0".repeat(32);
    sam.post(&path(&unknown, "join"), body)
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn nobody_comes_as_what_they_are_not() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    for claim in ["RESCUER", "ADMIN"] {
        sam.post(&path(&sos, "join"), json!({"userType": claim}))
            .await
            .refused(403, "FORBIDDEN");
        engine
            .device()
            .post(&path(&sos, "join"), json!({"userType": claim}))
            .await
            .refused(403, "FORBIDDEN");
    }
    for (body, field) in [
        (json!({}), "userType"),
        (json!({"userType": "DOCTOR"}), "userType"),
        (json!({"userType": "CITIZEN", "displayName": 5}), "displayName"),
        (json!({"userType": "CITIZEN", "phone": "12"}), "phone"),
    ] {
        sam.post(&path(&sos, "join"), body).await.names_fields(&[field]);
    }
    joins(
        &engine.user("Rosa").role("RESCUER"),
        &sos,
        json!({"userType": "RESCUER"}),
    )
    .await;
    joins(&engine.device(), &sos, json!({"userType": "ANON_RESCUER"})).await;
    joins(
        &engine.user("Adam").role("ADMIN"),
        &sos,
        json!({"userType": "ADMIN"}),
    )
    .await;
}

#[tokio::test]
async fn staff_remove_others_and_others_do_not() {
    let engine = Engine::start(&[]);
    let (ana, sam, dora) = (
        engine.user("Ana"),
        engine.user("Sam"),
        engine.user("Dora").role("DISPATCHER"),
    );
    let sos = ana.raises(fire()).await;
    let id = joins(&sam, &sos, json!({"userType": "CITIZEN"})).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let remove = path(&sos, &format!("{id}/leave"));
    engine
        .user("Olga")
        .patch(&remove, json!({}))
        .await
        .refused(403, "FORBIDDEN");
    assert_eq!(dora.patch(&remove, json!({})).await.data(200)["status"], "LEFT");
    dora.patch(&remove, json!({})).await.refused(409, "CONFLICT");
    let nobody = path(&sos, "p-0123456789abcdef/leave");
    dora.patch(&nobody, json!({})).await.refused(404, "NOT_FOUND");
    sam.post(&path(&sos, "leave"), json!({}))
        .await
        .refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn an_incident_in_numbers_is_never_nan() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    joins(
        &engine.user("Rosa").role("RESCUER"),
        &sos,
        json!({"userType": "RESCUER"}),
    )
    .await;
    joins(&engine.device(), &sos, json!({"userType": "ANON_RESCUER"})).await;
    for stats in [path(&sos, "stats"), format!("/api/v1/participants/{sos}/stats")] {
        let stats = ana.get(&stats).await.data(200);
        assert_eq!(stats["totalParticipants"], 3);
        assert_eq!(stats["activeParticipants"], 3);
        assert_eq!(stats["registeredRescuers"], 1);
        assert_eq!(stats["anonymousRescuers"], 1);
        assert!(stats["averageParticipationTime"].as_f64().unwrap() >= 0.0);
    }
    for count in [
        path(&sos, "anonymous/count"),
        format!("/api/v1/participants/{sos}/anonymous/count"),
    ] {
        assert_eq!(ana.get(&count).await.data(200), json!({"anonymousCount": 1}));
    }
}

#[tokio::test]
async fn who_joins_by_rest_is_heard_by_those_on_a_socket() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let mut at_ana = ana.connect().await;
    at_ana.joins(&sos).await;
    let id = joins(&sam, &sos, json!({"userType": "CITIZEN"})).await["id"].clone();
    at_ana
        .expect(json!({"type": "user-joined", "roomId": sos, "clientId": id, "user": {"name": "Sam"}}))
        .await;
    sam.post(
        &format!("/api/v1/sos/{sos}/messages"),
        json!({"content": "on my way"}),
    )
    .await
    .data(201);
    at_ana
        .expect(json!({"type": "room-message", "roomId": sos, "content": "on my way", "clientId": id}))
        .await;
    sam.post(&path(&sos, "leave"), json!({})).await.data(200);
    at_ana
        .expect(json!({"type": "user-left", "roomId": sos, "clientId": id}))
        .await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn an_anonymous_rescuer_acts_in_the_incident_of_their_mission_only() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let hidden = crate::support::fire_with(json!({"visibility": "RESTRICTED"}));
    let (theirs, other) = (ana.raises(hidden).await, ana.raises(fire()).await);
    let token = sign(&json!({
        "identity": {"userId": "anon-7", "role": "RESCUER"},
        "actor": {"type": "ANON", "cityCode": "MNL"},
        "mission": {"sosId": theirs, "rescuerMissionId": "m-1", "scopes": ["sos:read"]},
        "exp": crate::support::now_s() + 600,
    }));
    let rescuer = engine.bearer(&token);
    let joined = joins(&rescuer, &theirs, json!({"userType": "ANON_RESCUER"})).await;
    assert_eq!(joined["userType"], "ANON_RESCUER");
    rescuer
        .post(
            &format!("/api/v1/sos/{theirs}/messages"),
            json!({"content": "I am near"}),
        )
        .await
        .data(201);
    let status = json!({"status": "RESPONDING"});
    rescuer
        .patch(&format!("/api/v1/sos/{theirs}/status"), status.clone())
        .await
        .data(200);

    let refusals = [
        rescuer
            .post(&path(&other, "join"), json!({"userType": "ANON_RESCUER"}))
            .await,
        rescuer
            .post(&format!("/api/v1/sos/{other}/messages"), json!({"content": "x"}))
            .await,
        rescuer
            .patch(&format!("/api/v1/sos/{other}/status"), status)
            .await,
        rescuer.post("/api/v1/sos", fire()).await,
    ];
    for refused in refusals {
        assert!([403, 404].contains(&refused.status), "{refused:?}");
    }
    let mut on_socket = rescuer.connect().await;
    on_socket
        .says(json!({"type": "join-room", "roomId": other}))
        .await;
    on_socket
        .expect(json!({"type": "join-denied", "roomId": other}))
        .await;
    on_socket
        .says(json!({"type": "create-room", "roomId": "mine"}))
        .await;
    on_socket.expect_error("FORBIDDEN").await;
    on_socket
        .says(json!({"type": "join-room", "roomId": theirs}))
        .await;
    on_socket
        .expect(json!({"type": "join-approved", "roomId": theirs}))
        .await;
}

#[tokio::test]
async fn who_was_put_out_of_a_restricted_incident_reads_nothing_more() {
    let mut circle = circle().await;
    circle.at_ana.says(json!({"type": "emergency-sos"})).await;
    circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-activated"}),
            json!({"type": "emergency-confirmed"}),
        ])
        .await;
    let [_, _, joined] = circle
        .at_ben
        .expect_in_any_order([
            json!({"type": "emergency-alert"}),
            json!({"type": "emergency-activated"}),
            json!({"type": "auto-joined"}),
        ])
        .await;
    let sos = joined["roomId"].as_str().unwrap();
    let id = joined["participantId"].as_str().unwrap();
    circle.at_ana.writes(sos, "I am in the cellar").await;
    circle.at_ben.reads(sos, "I am in the cellar").await;
    let messages = format!("/api/v1/sos/{sos}/messages");
    assert_eq!(circle.ben.get(&messages).await.page().0.len(), 1);

    let dora = circle.engine.user("Dora").role("DISPATCHER");
    dora.patch(&path(sos, &format!("{id}/leave")), json!({}))
        .await
        .data(200);
    circle
        .at_ben
        .expect(json!({"type": "room-left", "roomId": sos}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": sos, "clientId": id}))
        .await;
    circle.at_ana.writes(sos, "Where is Ben?").await;
    for read in ["messages", "events", "locations", "participants/history"] {
        let answer = circle.ben.get(&format!("/api/v1/sos/{sos}/{read}")).await;
        assert!([403, 404].contains(&answer.status), "{read}: {answer:?}");
    }
    circle
        .ben
        .post(&path(sos, "join"), json!({"userType": "CITIZEN"}))
        .await
        .refused(404, "NOT_FOUND");
    circle
        .at_ben
        .says(json!({"type": "join-room", "roomId": sos}))
        .await;
    circle
        .at_ben
        .expect(json!({"type": "join-denied", "roomId": sos}))
        .await;
    circle.at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn who_was_put_out_of_a_public_incident_does_not_come_back() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let dora = engine.user("Dora").role("DISPATCHER");
    let sos = ana.raises(fire()).await;
    let body = json!({"userType": "CITIZEN"});
    let id = joins(&sam, &sos, body.clone()).await["id"].clone();
    // Who goes by themselves comes back as they please.
    sam.post(&path(&sos, "leave"), json!({})).await.data(200);
    joins(&sam, &sos, body.clone()).await;
    let messages = format!("/api/v1/sos/{sos}/messages");
    sam.get(&messages).await.page();

    let remove = path(&sos, &format!("{}/leave", id.as_str().unwrap()));
    dora.patch(&remove, json!({})).await.data(200);
    sam.post(&path(&sos, "join"), body.clone())
        .await
        .refused(403, "FORBIDDEN");
    sam.get(&messages).await.refused(403, "FORBIDDEN");
    let mut at_sam = sam.connect().await;
    assert_eq!(at_sam.greeting["roomIds"], json!([]));
    at_sam.says(json!({"type": "join-room", "roomId": sos})).await;
    at_sam.expect(json!({"type": "join-denied", "roomId": sos})).await;
    at_sam.hears_nothing_more().await;
    // Others do come.
    joins(&engine.user("Olga"), &sos, body).await;
}

#[tokio::test]
async fn who_went_by_their_own_id_comes_back_as_they_please() {
    let engine = Engine::start(&[]);
    let (ana, sam) = (engine.user("Ana"), engine.user("Sam"));
    let sos = ana.raises(fire()).await;
    let body = json!({"userType": "CITIZEN"});
    let id = joins(&sam, &sos, body.clone()).await["id"].clone();
    let leave = path(&sos, &format!("{}/leave", id.as_str().unwrap()));
    sam.patch(&leave, json!({})).await.data(200);
    assert_eq!(joins(&sam, &sos, body).await["id"], id);
}

#[tokio::test]
async fn who_was_put_out_is_not_brought_back_by_the_circle() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    circle.at_ana.says(json!({"type": "emergency-sos"})).await;
    circle
        .at_ana
        .expect_in_any_order([
            json!({"type": "emergency-activated"}),
            json!({"type": "emergency-confirmed"}),
        ])
        .await;
    let [_, _, joined] = circle
        .at_ben
        .expect_in_any_order([
            json!({"type": "emergency-alert"}),
            json!({"type": "emergency-activated"}),
            json!({"type": "auto-joined"}),
        ])
        .await;
    let sos = joined["roomId"].as_str().unwrap();
    let id = joined["participantId"].as_str().unwrap();
    let dora = circle.engine.user("Dora").role("DISPATCHER");
    dora.patch(&path(sos, &format!("{id}/leave")), json!({}))
        .await
        .data(200);
    circle
        .at_ben
        .expect(json!({"type": "room-left", "roomId": sos}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": sos, "clientId": id}))
        .await;
    // He comes and goes in the circle, of which he is still a member.
    circle
        .at_ben
        .says(json!({"type": "leave-room", "roomId": room}))
        .await;
    circle.at_ben.expect(json!({"type": "room-left"})).await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": room}))
        .await;
    circle.at_ben.joins(&room).await;
    circle
        .at_ben
        .expect(json!({"type": "emergency-alert", "roomId": room, "sosId": sos}))
        .await;
    circle
        .at_ana
        .expect(json!({"type": "emergency-contact-joined", "roomId": room}))
        .await;
    // Whatever the circle would have done has been done when the incident has written this.
    circle.at_ana.writes(sos, "Where is Ben?").await;
    circle.at_ben.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
}
