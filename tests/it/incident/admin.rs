//! Operators follow everything, in order, with filters and a cursor.

use serde_json::{Value, json};

use super::{POLLING, WEBSOCKET};
use crate::support::{Engine, HERE, Puppet, Puppets, fire, fire_with};

async fn subscribes(puppet: &mut Puppet, filter: Value) -> Value {
    let done = puppet.asks("admin:subscribe", filter).await;
    assert_eq!(done, json!({"success": true}));
    puppet
        .expect("admin:subscribed", json!({"cursor": "*", "gap": false}))
        .await
}

/// The next event, past where everybody is.
async fn event(puppet: &mut Puppet) -> Value {
    loop {
        let heard = puppet.hears().await;
        match heard["event"].as_str() {
            Some("admin:event") => return heard["args"][0].clone(),
            Some("admin:positions") => {}
            _ => panic!("nobody expected {heard}"),
        }
    }
}

#[tokio::test]
async fn only_staff_come_into_the_operators_namespace() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    for person in [
        engine.user("Ana"),
        engine.user("Rita").role("RESCUER"),
        engine.device(),
    ] {
        let options = json!({"transports": WEBSOCKET, "auth": person.shows(), "reconnection": false});
        let mut puppet = puppets.open("a stranger", &person, "/admin", options).await;
        puppet.expect_connect_error("UNAUTHORIZED").await;
    }
    let nobody = engine.nobody();
    let options = json!({"transports": WEBSOCKET, "reconnection": false});
    let mut puppet = puppets.open("nobody", &nobody, "/admin", options).await;
    puppet.expect_connect_error("UNAUTHENTICATED").await;
    let dora = engine.user("Dora").role("DISPATCHER");
    let mut at_dora = puppets.connect("Dora", &dora, "/admin", WEBSOCKET).await;
    // There is nothing of a single incident.
    let refused = at_dora
        .asks("join:sos", json!("0123456789abcdef0123456789abcdef"))
        .await;
    assert_eq!(refused["code"], "UNKNOWN_EVENT", "{refused}");
    at_dora.expect_error("UNKNOWN_EVENT").await;
    let refused = at_dora.asks("admin:subscribe", json!({"types": ["WAR"]})).await;
    assert_eq!(
        (&refused["code"], &refused["field"]),
        (&json!("INVALID_FIELD"), &json!("types"))
    );
    at_dora.expect_error("INVALID_FIELD").await;
    let refused = at_dora
        .asks("admin:subscribe", json!({"cursor": "yesterday"}))
        .await;
    assert_eq!(
        (&refused["code"], &refused["field"]),
        (&json!("INVALID_FIELD"), &json!("cursor"))
    );
    at_dora.expect_error("INVALID_FIELD").await;
    at_dora.hears_nothing_more().await;
}

#[tokio::test]
async fn operators_hear_every_event_in_order_and_go_on_after_a_restart() {
    for transports in [WEBSOCKET, POLLING] {
        let mut engine = Engine::start(&[("ops.positions_ms", "100")]);
        let puppets = Puppets::start();
        let (ana, dora) = (engine.user("Ana"), engine.user("Dora").role("ADMIN"));
        let mut at_dora = puppets.connect("Dora", &dora, "/admin", transports).await;
        subscribes(&mut at_dora, json!({})).await;

        let first = ana.raises(fire()).await;
        let second = ana.raises(fire_with(json!({"silent": true}))).await;
        ana.post(
            &format!("/api/v1/sos/{first}/messages"),
            json!({"content": "help"}),
        )
        .await
        .data(201);
        let mut cursor = Value::Null;
        for (sos, seq, kind) in [
            (&first, 1, "created"),
            (&first, 2, "joined"),
            (&second, 1, "created"),
            (&second, 2, "joined"),
            (&first, 3, "message"),
        ] {
            let heard = event(&mut at_dora).await;
            assert_eq!(
                (&heard["sosId"], &heard["seq"]),
                (&json!(sos), &json!(seq)),
                "{heard}"
            );
            assert_eq!(heard["type"], kind, "{heard}");
            assert_eq!(heard["sos"]["status"], "ACTIVE", "{heard}");
            assert_eq!(heard["sos"]["silent"], json!(*sos == second), "{heard}");
            cursor = heard["cursor"].clone();
        }

        // Where everybody is.
        let (latitude, longitude) = HERE;
        let here =
            json!({"latitude": latitude, "longitude": longitude, "timestamp": crate::support::now_ms()});
        ana.post(&format!("/api/v1/sos/{first}/location"), here)
            .await
            .ok(200);
        let positions = at_dora
            .expect("admin:positions", json!({"positions": [{"sosId": first}]}))
            .await;
        assert_eq!(
            positions["positions"][0]["latitude"],
            json!(latitude),
            "{positions}"
        );

        // The engine goes down, and what happens next is not missed.
        at_dora.disconnects().await;
        at_dora.expect_disconnect("io client disconnect").await;
        engine.kill9();
        engine.restart();
        let status = json!({"status": "RESPONDING"});
        dora.patch(&format!("/api/v1/sos/{second}/status"), status)
            .await
            .data(200);
        let mut at_dora = puppets.connect("Dora", &dora, "/admin", transports).await;
        let done = at_dora.asks("admin:subscribe", json!({"cursor": cursor})).await;
        assert_eq!(done, json!({"success": true}));
        let heard = loop {
            let heard = at_dora.hears().await;
            match heard["event"].as_str() {
                Some("admin:event") => break heard["args"][0].clone(),
                Some("admin:subscribed") => assert_eq!(heard["args"][0]["gap"], false),
                Some("admin:positions") => {}
                _ => panic!("nobody expected {heard}"),
            }
        };
        assert_eq!(
            (&heard["sosId"], &heard["type"]),
            (&json!(second), &json!("status-changed")),
            "{heard}"
        );
        assert_eq!(heard["sos"]["status"], "RESPONDING", "{heard}");
    }
}

#[tokio::test]
async fn operators_hear_what_they_asked_for_and_nothing_else() {
    let engine = Engine::start(&[]);
    let puppets = Puppets::start();
    let (ana, dora) = (engine.user("Ana"), engine.user("Dora").role("DISPATCHER"));
    let mut at_dora = puppets.connect("Dora", &dora, "/admin", WEBSOCKET).await;
    let (latitude, longitude) = HERE;
    let filter = json!({
        "types": ["fire"], "statuses": ["active"],
        "area": {"latitude": latitude, "longitude": longitude, "radiusKm": 5},
    });
    subscribes(&mut at_dora, filter).await;
    ana.raises(fire_with(json!({"type": "CRIME"}))).await;
    ana.raises(fire_with(
        json!({"location": {"latitude": latitude + 1.0, "longitude": longitude}}),
    ))
    .await;
    let wanted = ana.raises(fire()).await;
    for kind in ["created", "joined"] {
        let heard = event(&mut at_dora).await;
        assert_eq!(
            (&heard["sosId"], &heard["type"]),
            (&json!(wanted), &json!(kind)),
            "{heard}"
        );
    }
    // What leaves the filter is told of, and then no more.
    for status in ["RESPONDING", "ARRIVED"] {
        let path = format!("/api/v1/sos/{wanted}/status");
        dora.patch(&path, json!({"status": status})).await.data(200);
    }
    let heard = event(&mut at_dora).await;
    assert_eq!(heard["sos"]["status"], "RESPONDING", "{heard}");
    let done = at_dora.asks("admin:unsubscribe", json!({})).await;
    assert_eq!(done, json!({"success": true}));
    ana.raises(fire()).await;
    at_dora.hears_nothing_more().await;
}
