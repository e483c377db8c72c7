//! What was said elsewhere, and what a service says itself.

use serde_json::{Value, json};

use super::{at, burning, sister};

const BROADCAST: &str = "/internal/messaging/broadcast";
const WRITTEN: &str = "2026-01-02T03:04:05.678Z";

fn said(sos: &str, id: &str) -> Value {
    json!({"sosId": sos, "message": {
        "id": id, "senderType": "RESCUER", "senderId": "user-rob", "senderDisplayName": "Unit 7",
        "contentType": "text", "content": "Two minutes", "createdAt": WRITTEN,
    }})
}

#[tokio::test]
async fn somebody_who_is_not_in_is_heard_under_their_own_name() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let message = sister.posts(BROADCAST, said(&fire.sos, "m-1")).await.data(201);
    assert_eq!(
        message,
        json!({
            "id": "m-1", "sosId": fire.sos, "seq": 3, "senderType": "RESCUER", "senderId": message["senderId"],
            "senderDisplayName": "Unit 7", "contentType": "text", "content": "Two minutes", "createdAt": WRITTEN,
        })
    );
    let heard = json!({
        "type": "room-message", "roomId": fire.sos, "seq": 3, "id": "m-1", "content": "Two minutes",
        "userName": "Unit 7", "clientId": message["senderId"],
        "user": {"id": message["senderId"], "name": "Unit 7", "role": "RESCUER", "phone_no": null},
    });
    fire.at_ana.expect(heard).await;
    // The same again is the same message; the same id of somebody else is another.
    assert_eq!(
        sister.posts(BROADCAST, said(&fire.sos, "m-1")).await.data(201),
        message
    );
    fire.at_ana.hears_nothing_more().await;
    let mut other = said(&fire.sos, "m-1");
    other["message"]["senderId"] = json!("user-eve");
    sister.posts(BROADCAST, other).await.data(201);
    fire.at_ana
        .expect(json!({"type": "room-message", "id": "m-1", "seq": 4}))
        .await;

    let (list, _) = fire
        .ana
        .get(&format!("/api/v1/sos/{}/messages", fire.sos))
        .await
        .page();
    assert_eq!(list[1], message);
    assert!(!json!(list).to_string().contains("user-rob"), "{list:?}");
    let state = sister.state(&fire.sos).await;
    assert_eq!(state["participantsCount"], 1, "nobody came in by it");
    // Who comes later is the same one.
    let come = json!({"sosId": fire.sos, "userId": "user-rob", "userType": "RESCUER"});
    let member = sister.posts("/api/participants/joined", come).await.data(200);
    assert_eq!(
        (&member["id"], &member["displayName"]),
        (&message["senderId"], &json!("Unit 7"))
    );
}

#[tokio::test]
async fn a_services_own_words_and_those_of_a_member_are_told_apart() {
    let mut fire = burning().await;
    let sister = sister(&fire.engine);
    let own = json!({"sosId": fire.sos, "message": {
        "id": "m-1", "senderType": "system", "senderDisplayName": "Dispatch", "content": "Unit 7 was sent",
    }});
    let message = sister.posts(BROADCAST, own).await.data(201);
    assert_eq!(
        (
            &message["senderType"],
            &message["contentType"],
            &message["senderDisplayName"]
        ),
        (&json!("SYSTEM"), &json!("system"), &json!("Dispatch"))
    );
    fire.at_ana
        .expect(json!({"type": "room-message", "content": "Unit 7 was sent", "userName": "Dispatch"}))
        .await;
    let mut hers = said(&fire.sos, "m-2");
    hers["message"]["senderId"] = fire.ana_id.clone();
    hers["message"]["senderDisplayName"] = json!(null);
    hers["message"]["senderType"] = json!("CITIZEN");
    let message = sister.posts(BROADCAST, hers).await.data(201);
    assert_eq!(
        (&message["senderId"], &message["senderDisplayName"]),
        (&fire.ana_id, &json!("Ana"))
    );
    fire.at_ana
        .expect(json!({"type": "room-message", "id": "m-2", "userName": "Ana", "clientId": fire.ana_id}))
        .await;
    let mut unknown = said(&fire.sos, "m-3");
    unknown["message"]["senderId"] = json!("p-0123456789abcdef");
    sister
        .posts(BROADCAST, unknown)
        .await
        .names_fields(&["message.senderId"]);
    let log = format!("/api/v1/sos/{}/events?since=2&limit=1", fire.sos);
    let (log, _) = fire.ana.get(&log).await.page();
    assert_eq!(log[0]["data"]["relayed"]["senderType"], "SYSTEM");

    let closing = json!({"closedBy": "user-dora"});
    sister.posts(&at(&fire.sos, "close"), closing).await.data(200);
    sister
        .posts(BROADCAST, said(&fire.sos, "m-4"))
        .await
        .refused(409, "SOS_CLOSED");
}

#[tokio::test]
async fn what_was_passed_on_is_heard_by_whoever_comes_back_also_after_a_restart() {
    let mut fire = burning().await;
    let first = sister(&fire.engine)
        .posts(BROADCAST, said(&fire.sos, "m-1"))
        .await
        .data(201);
    fire.engine.kill9();
    fire.engine.restart();
    let mut at_ana = fire.engine.user("Ana").connect().await;
    at_ana
        .says(json!({"type": "join-room", "roomId": fire.sos, "since": 2}))
        .await;
    at_ana
        .expect(json!({"type": "join-approved", "recovered": true}))
        .await;
    at_ana
        .expect(
            json!({"type": "room-message", "seq": 3, "userName": "Unit 7", "clientId": first["senderId"]}),
        )
        .await;
    let again = sister(&fire.engine)
        .posts(BROADCAST, said(&fire.sos, "m-1"))
        .await
        .data(201);
    assert_eq!(again, first);
    at_ana.hears_nothing_more().await;
}
