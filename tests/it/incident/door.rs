//! Who is let in, and what wrong input is told.

use serde_json::{Value, json};

use super::{POLLING, WEBSOCKET};
use crate::support::{Engine, Puppets, now_s, sign_with};

#[tokio::test]
async fn nobody_comes_in_without_a_good_credential() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let nobody = engine.nobody();
    let claims = json!({"userId": "user-ana", "role": "CITIZEN", "exp": now_s() + 60});
    let forged = sign_with(&claims, "another-secret-that-is-long-enough-0123456789");
    let wrong = [
        json!({}),
        json!({"token": forged}),
        json!({"token": "x.y"}),
        json!({"token": 7}),
        json!({"deviceId": "not-a-device"}),
        json!({"ticket": "none"}),
    ];
    for auth in wrong {
        for transports in [POLLING, WEBSOCKET] {
            let options = json!({"transports": transports, "auth": auth, "reconnection": false});
            let mut puppet = puppets.open("a stranger", &nobody, "/", options).await;
            let message = puppet.expect_connect_error("UNAUTHENTICATED").await;
            assert!(message.starts_with("AUTHENTICATION_ERROR"), "{auth}: {message}");
        }
    }
}

#[tokio::test]
async fn a_credential_may_be_a_token_a_ticket_a_device_or_what_the_handshake_shows() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let (ana, nobody) = (engine.user("Ana"), engine.nobody());
    let ticket = ana.post("/api/v1/tickets", json!({})).await.data(201)["ticket"].clone();
    let device = engine.device();
    let token = ana.token();
    let good = [
        json!({"auth": {"token": token}}),
        json!({"auth": {"token": format!("Bearer {token}")}}),
        json!({"auth": {"ticket": ticket}}),
        json!({"auth": {"deviceId": device.device_id()}}),
        json!({"query": {"token": token}}),
        json!({"extraHeaders": {"Authorization": format!("Bearer {token}")}}),
        json!({"extraHeaders": {"X-Device-ID": device.device_id()}}),
    ];
    for mut options in good {
        options["transports"] = json!(WEBSOCKET);
        let mut puppet = puppets.open("a friend", &nobody, "/sos", options).await;
        puppet.expect_connect(false).await;
        puppet.hears_nothing_more().await;
    }
    // A ticket is good once.
    let options = json!({"transports": WEBSOCKET, "auth": {"ticket": ticket}, "reconnection": false});
    let mut puppet = puppets.open("twice", &nobody, "/", options).await;
    puppet.expect_connect_error("UNAUTHENTICATED").await;
}

#[tokio::test]
async fn an_unknown_namespace_is_refused_and_the_others_stay_usable() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let ana = engine.user("Ana");
    let options = json!({"transports": WEBSOCKET, "auth": ana.shows(), "reconnection": false});
    let mut nowhere = puppets.open("nowhere", &ana, "/nowhere", options).await;
    let heard = nowhere.hears().await;
    assert_eq!(heard["message"], "Invalid namespace", "{heard}");

    let mut at_ana = puppets.connect("Ana", &ana, "/", WEBSOCKET).await;
    at_ana.hears_nothing_more().await;
    at_ana.disconnects().await;
    at_ana.expect_disconnect("io client disconnect").await;
    at_ana.connects().await;
    at_ana.expect_connect(false).await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn wrong_input_is_told_with_the_field_and_the_connection_stays() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let ana = engine.user("Ana");
    let mut at_ana = puppets.connect("Ana", &ana, "/", WEBSOCKET).await;
    let sos = "0123456789abcdef0123456789abcdef";
    let wrong: [(&str, Value, &str, &str); 12] = [
        ("join:sos", Value::Null, "INVALID_SOS_ID", "sosId"),
        ("join:sos", json!("not an id!"), "INVALID_SOS_ID", "sosId"),
        ("join:sos", json!(sos), "INVALID_SOS_ID", "sosId"),
        (
            "sos:room:join",
            json!({"sosId": sos, "userType": "KING"}),
            "INVALID_FIELD",
            "userType",
        ),
        ("leave:sos", json!({"sosId": 7}), "INVALID_SOS_ID", "sosId"),
        (
            "sos:status:update",
            json!({"sosId": sos}),
            "INVALID_STATUS_DATA",
            "status",
        ),
        (
            "sos:status:update",
            json!({"sosId": sos, "status": "on fire"}),
            "INVALID_STATUS_DATA",
            "status",
        ),
        (
            "location:update",
            json!({"sosId": sos, "latitude": 91, "longitude": 0}),
            "INVALID_LOCATION",
            "latitude",
        ),
        (
            "location:update",
            json!({"sosId": sos, "latitude": 1}),
            "INVALID_LOCATION",
            "longitude",
        ),
        ("message:send", json!({"sosId": sos}), "INVALID_FIELD", "content"),
        (
            "message:send",
            json!({"sosId": sos, "content": {"bytes": [1, 2]}}),
            "INVALID_FIELD",
            "content",
        ),
        (
            "message:history:request",
            json!({"sosId": sos, "limit": 101}),
            "INVALID_FIELD",
            "limit",
        ),
    ];
    for (event, args, code, field) in wrong {
        let answer = at_ana.asks(event, args.clone()).await;
        let refused = json!({"success": false, "code": code, "field": field});
        let misfit = crate::support::matching::misfit(&refused, &answer);
        assert!(misfit.is_none(), "{event} {args}: {misfit:?}");
        at_ana
            .expect("error", json!({"code": code, "field": field, "message": "*"}))
            .await;
    }
    let answer = at_ana.asks("sos:dance", json!({})).await;
    assert_eq!(answer["code"], "UNKNOWN_EVENT", "{answer}");
    at_ana.expect_error("UNKNOWN_EVENT").await;
    at_ana.hears_nothing_more().await;
}

#[tokio::test]
async fn whoever_says_too_much_is_told_and_then_sent_away() {
    let settings = [
        ("limits.messages_per_second", "1"),
        ("limits.messages_burst", "3"),
        ("socketio.refused_max_messages", "2"),
    ];
    let engine = Engine::start(&settings);
    let puppets = Puppets::start();
    let ana = engine.user("Ana");
    let options = json!({"transports": WEBSOCKET, "auth": ana.shows(), "reconnection": false});
    let mut at_ana = puppets.open("Ana", &ana, "/", options).await;
    at_ana.expect_connect(false).await;
    for _ in 0..5 {
        at_ana.emits("heartbeat", json!({})).await;
    }
    // A refusal needs nobody else and may be first, and one more may be earned on the way.
    let mut refused = 0;
    for _ in 0..5 {
        let heard = at_ana.hears().await;
        let over = heard["args"][0]["code"] == "RATE_LIMITED";
        assert!(over || heard["event"] == "heartbeat:ack", "{heard}");
        refused += u32::from(over);
    }
    assert!((1..=2).contains(&refused), "{refused} of 5 were refused");
    for _ in 0..10 {
        at_ana.emits("heartbeat", json!({})).await;
    }
    let mut heard = at_ana.hears().await;
    while heard["is"] == "event" {
        assert!(
            heard["event"] == "heartbeat:ack" || heard["args"][0]["code"] == "RATE_LIMITED",
            "{heard}"
        );
        heard = at_ana.hears().await;
    }
    assert_eq!(
        (&heard["is"], &heard["reason"]),
        (&json!("disconnect"), &json!("transport close"))
    );
}

#[tokio::test]
async fn whoever_is_blocked_is_put_out_and_stays_out() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let (ana, dora) = (engine.user("Ana"), engine.user("Dora").role("DISPATCHER"));
    let sos = ana.raises(crate::support::fire()).await;
    for transports in [POLLING, WEBSOCKET] {
        let troll = engine.device();
        let mut at_troll = puppets.connect("a troll", &troll, "/", transports).await;
        let who = at_troll.joins(&sos).await;
        let path = format!("/api/v1/devices/{}/block", who.as_str().unwrap());
        dora.post(&path, json!({"reason": "abuse"})).await.ok(201);
        // By the server's word, so that the client does not come back by itself.
        loop {
            let heard = at_troll.hears().await;
            if heard["is"] == "disconnect" {
                assert_eq!(heard["reason"], "io server disconnect");
                break;
            }
            assert_eq!(heard["event"], "sos:room:left", "{heard}");
        }
        at_troll.connects().await;
        at_troll.expect_connect_error("BLOCKED").await;
        let lifted = dora.request(reqwest::Method::DELETE, &path).send().await;
        assert_eq!(lifted.status, 200, "{}", lifted.text);
    }
}
