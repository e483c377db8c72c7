//! Who came and who went, as a service tells and asks.

use serde_json::{Value, json};

use super::{at, burning, sister};
use crate::support::{Engine, fire_with};

const JOINED: &str = "/api/participants/joined";
const LEFT: &str = "/api/participants/left";

#[tokio::test]
async fn who_came_is_in_and_who_went_is_out_and_members_hear_of_both() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let came = json!({
        "sosId": fire.sos, "userId": "user-rob", "userType": "rescuer", "displayName": "Rob",
        "joinedAt": "2026-01-02T03:04:05Z",
    });
    let member = sister.posts(JOINED, came.clone()).await.data(200);
    assert_eq!(
        member,
        json!({
            "id": member["id"], "sosId": fire.sos, "userId": "user-rob", "userType": "RESCUER",
            "displayName": "Rob", "status": "ACTIVE", "joinedAt": member["joinedAt"],
        })
    );
    let rob = json!({"id": member["id"], "name": "Rob", "role": "RESCUER"});
    fire.at_ana
        .expect(json!({"type": "user-joined", "roomId": fire.sos, "seq": 3, "user": rob}))
        .await;
    assert_eq!(sister.posts(JOINED, came).await.data(200), member, "told again");
    fire.at_ana.hears_nothing_more().await;
    // He is in: what he does there he may.
    let mut at_rob = fire.engine.user("Rob").connect().await;
    assert_eq!(at_rob.greeting["roomIds"], json!([fire.sos]));
    at_rob.joins(&fire.sos).await;
    let rob = json!({"id": member["id"], "name": "Rob", "role": "CITIZEN"});
    fire.at_ana
        .expect(json!({"type": "user-joined", "roomId": fire.sos, "seq": 4, "user": rob}))
        .await;
    let state = sister.state(&fire.sos).await;
    let mut people = state["participants"].as_array().unwrap().iter();
    let his = people.find(|one| one["userId"] == "user-rob").unwrap();
    assert_eq!(his["userType"], "RESCUER", "whatever his own role is");
    at_rob.writes(&fire.sos, "here").await;
    fire.at_ana.reads(&fire.sos, "here").await;

    let count = format!("/api/participants/{}/count", fire.sos);
    let counted = json!({"sosId": fire.sos, "count": 2});
    assert_eq!(sister.gets(&count).await.data(200), counted);
    let active = format!("/api/participants/{}/active", fire.sos);
    let (first, next) = sister.gets(&format!("{active}?limit=1")).await.page();
    let (rest, none) = sister
        .gets(&format!("{active}?limit=1&cursor={}", next.unwrap()))
        .await
        .page();
    assert_eq!(
        (&first[0]["userId"], &rest[0]["userId"], none),
        (&json!("user-ana"), &json!("user-rob"), None)
    );

    let went = json!({"sosId": fire.sos, "userId": "user-rob", "leftAt": 1_767_323_045});
    let gone = sister.posts(LEFT, went.clone()).await.data(200);
    assert_eq!((&gone["id"], &gone["status"]), (&member["id"], &json!("LEFT")));
    fire.at_ana
        .expect(json!({"type": "user-left", "roomId": fire.sos, "clientId": member["id"]}))
        .await;
    at_rob
        .expect(json!({"type": "room-left", "roomId": fire.sos}))
        .await;
    assert_eq!(sister.posts(LEFT, went).await.data(200), gone, "told again");
    assert_eq!(sister.gets(&count).await.data(200)["count"], 1);
    fire.at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn whoever_never_was_in_it_cannot_have_left_and_nobody_comes_when_it_is_over() {
    let fire = burning().await;
    let sister = sister(&fire.engine);
    let body = |who: &str| json!({"sosId": fire.sos, "userId": who});
    for nobody in ["user-rob", "p-0123456789abcdef"] {
        let refused = sister.posts(LEFT, body(nobody)).await.refused(404, "NOT_FOUND");
        assert_eq!(refused["message"], "Participant not found");
    }
    sister
        .posts(JOINED, body("p-0123456789abcdef"))
        .await
        .names_fields(&["userId"]);
    let closing = json!({"closedBy": "user-dora"});
    sister.posts(&at(&fire.sos, "close"), closing).await.data(200);
    sister
        .posts(JOINED, body("user-rob"))
        .await
        .refused(409, "SOS_CLOSED");
    // Everybody is out: so is she.
    let gone = sister.posts(LEFT, body("user-ana")).await.data(200);
    assert_eq!(gone["status"], "LEFT");
    let active = format!("/api/participants/{}/active", fire.sos);
    assert_eq!(sister.gets(&active).await.page().0, Vec::<Value>::new());
}

#[tokio::test]
async fn a_device_has_no_name_but_who_it_is_there_and_a_blocked_user_does_not_come_in() {
    let engine = Engine::start(&[]);
    let device = engine.device();
    // Not public: a service brings people in all the same.
    let sos = device
        .raises(fire_with(json!({"visibility": "RESTRICTED"})))
        .await;
    let sister = sister(&engine);
    let state = sister.state(&sos).await;
    let who = state["participants"][0]["id"].as_str().unwrap();
    assert_eq!(
        (&state["citizenId"], &state["participants"][0]["userId"]),
        (&json!(who), &json!(null))
    );
    assert!(!state.to_string().contains(device.device_id()));
    sister
        .posts(JOINED, json!({"sosId": sos, "userId": "user-rob"}))
        .await
        .data(200);
    let gone = sister
        .posts(LEFT, json!({"sosId": sos, "userId": who}))
        .await
        .data(200);
    assert_eq!((&gone["id"], &gone["userId"]), (&json!(who), &json!(null)));
    let back = sister
        .posts(JOINED, json!({"sosId": sos, "userId": who}))
        .await
        .data(200);
    assert_eq!((&back["id"], &back["status"]), (&json!(who), &json!("ACTIVE")));

    let staff = engine.user("Dora").role("DISPATCHER");
    let rob = sister.state(&sos).await["participants"]
        .as_array()
        .unwrap()
        .clone();
    let rob = rob.iter().find(|one| one["userId"] == "user-rob").unwrap()["id"].clone();
    let block = format!("/api/v1/devices/{}/block", rob.as_str().unwrap());
    staff.post(&block, json!({})).await.data(201);
    let other = engine.user("Ana").raises(crate::support::fire()).await;
    sister
        .posts(JOINED, json!({"sosId": other, "userId": "user-rob"}))
        .await
        .refused(403, "FORBIDDEN");
}
