//! Who is let in, and what they hear first.

use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{ANA, BEN, CARA, Client, Engine, circle, now_s, sign, sign_with, uuid4};

#[tokio::test]
async fn a_user_hears_who_they_are() {
    let engine = Engine::start(&[]);
    let mut ana = engine
        .user("Ana")
        .phone(ANA)
        .claim("email", "ana@example.org")
        .open()
        .await;
    ana.expect(json!({
        "type": "connected", "clientId": "*", "sessionId": "*", "protocol": 1, "roomIds": [],
        "user": {
            "id": "user-ana", "name": "Ana", "email": "ana@example.org", "role": "CITIZEN", "phone_no": ANA,
        },
    }))
    .await;
    ana.hears_nothing_more().await;
}

#[tokio::test]
async fn a_device_is_an_anonymous_person() {
    let engine = Engine::start(&[]);
    let device = engine.device();
    let mut at_device = device.open().await;
    at_device
        .expect(json!({
            "type": "connected", "protocol": 1, "roomIds": [],
            "user": {"id": device.device_id(), "name": "Anonymous", "role": "ANON", "phone_no": null},
        }))
        .await;
    at_device.hears_nothing_more().await;
}

#[tokio::test]
async fn a_ticket_opens_one_connection_and_no_second() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let ticket = ana.post("/api/v1/tickets", json!({})).await.data(201);
    let path = format!("/api/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut at_ana = engine.nobody().try_open(&path).await.expect("the ticket is good");
    at_ana
        .expect(json!({"type": "connected", "user": {"id": "user-ana", "name": "Ana"}}))
        .await;
    let refused = engine
        .nobody()
        .try_open(&path)
        .await
        .err()
        .expect("the ticket is spent");
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn without_a_good_credential_the_upgrade_is_refused() {
    let engine = Engine::start(&[]);
    let claims = json!({"userId": "user-ana", "role": "CITIZEN", "exp": now_s() + 60});
    let strangers = [
        engine.nobody(),
        engine.bearer("not-a-token"),
        engine.bearer(&sign_with(
            &claims,
            "another-secret-that-is-long-enough-0123456789",
        )),
        engine.bearer(&sign(
            &json!({"userId": "user-ana", "role": "CITIZEN", "exp": now_s() - 600}),
        )),
    ];
    for stranger in strangers {
        let refused = stranger.try_open("/api/ws").await.err().expect("refused");
        assert_eq!(refused.status, 401);
        assert_eq!(refused.body["success"], false);
        assert_eq!(refused.body["code"], "UNAUTHENTICATED");
        assert!(refused.body["message"].is_string());
    }
    for path in [
        "/api/ws?deviceId=42",
        "/api/ws?deviceId=936da01f-9abd-1d9d-80c7-02af85c822a8",
        "/api/ws?ticket=nonsense",
    ] {
        let refused = engine.nobody().try_open(path).await.err().expect("refused");
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (401, &json!("UNAUTHENTICATED")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_cookie_of_the_servers_own_origin_opens_a_connection() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let mut request = ana.url("ws", "/api/ws").into_client_request().unwrap();
    let cookie = format!("mayday_token={}", ana.token());
    request.headers_mut().insert("Cookie", cookie.parse().unwrap());
    request
        .headers_mut()
        .insert("Origin", ana.url("http", "").parse().unwrap());
    let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let mut at_ana = Client::on("Ana", socket);
    at_ana
        .expect(json!({"type": "connected", "user": {"id": "user-ana"}}))
        .await;
}

#[tokio::test]
async fn who_reconnects_hears_which_rooms_they_are_in() {
    let mut circle = circle().await;
    let mut again = circle.ana.open().await;
    again
        .expect(json!({"type": "connected", "roomIds": [circle.room]}))
        .await;
    again.hears_nothing_more().await;
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;
}

#[tokio::test]
async fn a_contact_who_connects_is_brought_into_every_room_that_lists_them() {
    let engine = Engine::start(&[]);
    let (ana, cara) = (engine.user("Ana").phone(ANA), engine.user("Cara").phone(CARA));
    for owner in [&ana, &cara] {
        owner.trusts(&[("Ben", BEN)]).await;
    }
    let (mut at_ana, mut at_cara) = (ana.connect().await, cara.connect().await);
    at_ana.creates("ana-circle").await;
    at_cara.creates("cara-circle").await;

    let mut at_ben = engine.user("Ben").phone(BEN).open().await;
    at_ben.expect(json!({"type": "connected", "roomIds": []})).await;
    at_ben
        .expect_in_any_order([
            json!({"type": "auto-joined", "roomId": "ana-circle", "roomOwner": "Ana", "message": "*"}),
            json!({"type": "auto-joined", "roomId": "cara-circle", "roomOwner": "Cara", "message": "*"}),
        ])
        .await;
    let summary = at_ben
        .expect(json!({"type": "auto-join-summary", "message": "*"}))
        .await;
    let mut joined = summary["roomsJoined"].as_array().unwrap().clone();
    joined.sort_by_key(|room| room["roomId"].to_string());
    assert_eq!(
        joined,
        [
            json!({"roomId": "ana-circle", "owner": "Ana"}),
            json!({"roomId": "cara-circle", "owner": "Cara"})
        ]
    );
    at_ben.hears_nothing_more().await;
    for (owner, room) in [(&mut at_ana, "ana-circle"), (&mut at_cara, "cara-circle")] {
        owner
            .expect(json!({
                "type": "emergency-contact-joined", "roomId": room, "contactId": "p-*", "contactName": "Ben",
            }))
            .await;
        owner.hears_nothing_more().await;
    }
}

#[tokio::test]
async fn a_national_number_is_the_same_contact() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana").phone(ANA);
    ana.trusts(&[("Ben", "0917 123 4502")]).await;
    let mut at_ana = ana.connect().await;
    let created = at_ana.creates("ana-circle").await;
    assert_eq!(created["emergencyContacts"], json!([BEN]));
    let mut at_ben = engine
        .user("Ben")
        .claim("phone_number", "(0917) 123-4502")
        .connect()
        .await;
    at_ben
        .expect(json!({"type": "auto-joined", "roomId": "ana-circle"}))
        .await;
}

#[tokio::test]
async fn a_number_that_no_token_vouches_for_opens_no_room() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana").phone(ANA);
    ana.trusts(&[("Ben", BEN)]).await;
    let mut at_ana = ana.connect().await;
    at_ana.creates("ana-circle").await;
    let mut device = engine
        .nobody()
        .try_open(&format!("/api/ws?deviceId={}&phone_no=%2B639171234502", uuid4()))
        .await
        .expect("a device");
    device
        .expect(json!({"type": "connected", "user": {"phone_no": null}}))
        .await;
    device.hears_nothing_more().await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn two_devices_of_one_person_are_one_person() {
    let mut circle = circle().await;
    let room = circle.room.clone();
    let mut second = circle.ben.open().await;
    second
        .expect(json!({"type": "connected", "roomIds": [room]}))
        .await;
    second
        .expect(json!({"type": "auto-joined", "roomId": room, "participantId": circle.ben_id}))
        .await;
    second.expect(json!({"type": "auto-join-summary"})).await;
    // Nobody new has come: nobody is told.
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;

    circle.at_ana.writes(&room, "are you there?").await;
    circle.at_ben.reads(&room, "are you there?").await;
    second.reads(&room, "are you there?").await;

    // What one device says the other hears too.
    second.writes(&room, "yes").await;
    let heard = circle.at_ben.reads(&room, "yes").await;
    assert_eq!(heard["user"]["id"], circle.ben_id);
    circle.at_ana.reads(&room, "yes").await;

    // One of them goes: he is still there.
    second.leaves().await;
    circle.at_ana.writes(&room, "still there?").await;
    circle.at_ben.reads(&room, "still there?").await;
    circle.at_ana.hears_nothing_more().await;
    circle.at_ben.hears_nothing_more().await;

    // The last one goes: the others are told.
    circle.at_ben.leaves().await;
    circle
        .at_ana
        .expect(json!({"type": "user-left", "roomId": room, "userName": "Ben"}))
        .await;
    circle.at_ana.hears_nothing_more().await;
}
