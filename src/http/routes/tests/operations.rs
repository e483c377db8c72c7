use super::*;

#[actix_web::test]
async fn a_node_is_ready_until_it_drains_and_alive_all_the_same() {
    let rig = Rig::start();
    let who = device(1);
    assert_eq!(rig.get(&who, "/health").await.body, json!({"status": "ok"}));
    assert_eq!(
        rig.get(&who, "/ready").await.body,
        json!({"status": "ready", "channels": {}})
    );
    rig.engine.drain();
    let answer = rig.get(&who, "/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body["failing"], json!(["draining"]));
    assert_eq!(rig.get(&who, "/health").await.status, 200);
}

#[actix_web::test]
async fn a_node_whose_store_has_stopped_is_not_ready_and_says_so_to_whoever_asks() {
    let rig = Rig::start();
    rig.engine.node().store.close().await;
    let answer = rig.get(&device(1), "/ready").await;
    assert_eq!((answer.status, &answer.body["failing"]), (503, &json!(["store"])));
    let answer = rig.post(&device(1), "/api/v1/sos", sos()).await;
    assert_eq!(answer.refusal(), (503, "UNAVAILABLE"));
    assert_ne!(answer.header("retry-after"), "");
    let answer = rig.post(&device(1), "/api/location", fix()).await;
    assert_eq!(answer.error().0, 503);
}

#[actix_web::test]
async fn metrics_are_text_for_prometheus() {
    let rig = Rig::start();
    let answer = rig.get(&device(1), "/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(answer.body.as_str().unwrap().contains("mayday_connections"));
}

#[actix_web::test]
async fn what_is_not_there_and_what_cannot_be_done_there_is_told_in_the_clients_dialect() {
    let rig = Rig::start();
    let who = device(1);
    for path in ["/nowhere", "/api/v1/nowhere", "/api/v1/sos/x/nowhere"] {
        assert_eq!(rig.get(&who, path).await.refusal(), (404, "NOT_FOUND"), "{path}");
    }
    let answer = rig.get(&who, "/api/locationless").await;
    assert_eq!(answer.error(), (404, "Not found"));
    let answer = rig.patch(&who, "/api/v1/sos", json!({})).await;
    assert_eq!(answer.refusal(), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS, POST");
    let answer = rig.get(&who, "/api/location").await;
    assert_eq!(answer.error().0, 405);
    assert_eq!(answer.header("allow"), "OPTIONS, POST");
}

#[actix_web::test]
async fn nobody_in_particular_gets_nothing_that_is_anybodys() {
    let rig = Rig::start();
    for path in [
        "/api/v1/sos/x/messages",
        "/api/v1/sos/x/events",
        "/api/locations",
        "/api/contacts",
    ] {
        let answer = rig.send(TestRequest::get().uri(path)).await;
        assert_eq!(answer.refusal(), (401, "UNAUTHENTICATED"), "{path}");
    }
    let request = TestRequest::post().uri("/api/location").set_json(fix());
    assert_eq!(rig.send(request).await.refusal(), (401, "UNAUTHENTICATED"));
}

#[actix_web::test]
async fn a_ticket_is_made_for_whoever_asks() {
    let rig = Rig::start();
    let request = TestRequest::post()
        .uri("/api/v1/tickets")
        .insert_header(device(1));
    let answer = rig.send(request).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.data()["expiresIn"], rig.config.auth.ticket_ttl_s);
    assert_eq!(answer.data()["ticket"].as_str().unwrap().len(), 64);
}

#[actix_web::test]
async fn a_body_of_another_type_or_too_large_is_refused() {
    let rig = Rig::with(|config| config.http.batch_body_max_bytes = 64);
    for path in ["/api/v1/sos", "/api/location", "/api/location/batch"] {
        let request = TestRequest::post().uri(path).insert_header(device(1));
        let answer = rig.send(request.set_payload("{}")).await;
        assert_eq!(answer.status, 415, "{path}");
    }
    let long = json!({"fixes": [fix(), fix()]});
    assert_eq!(
        rig.post(&device(1), "/api/location/batch", long).await.status,
        413
    );
}

#[actix_web::test]
async fn every_answer_of_a_limited_route_tells_what_is_left() {
    let rig = Rig::with(|config| {
        config.limits.anon_requests = 2;
        config.limits.locations_per_minute = 1;
    });
    let who = device(1);
    let answer = rig.get(&who, "/api/v1/sos").await;
    assert_eq!(answer.header("ratelimit-limit"), "2");
    assert_eq!(answer.header("ratelimit-remaining"), "1");
    let answer = rig.get(&who, "/api/v1/sos/nothing").await;
    assert_eq!((answer.status, answer.header("ratelimit-remaining")), (404, "0"));
    let answer = rig.get(&who, "/api/v1/sos").await;
    assert_eq!(answer.refusal(), (429, "RATE_LIMITED"));
    assert_ne!(answer.header("retry-after"), "");
    // Other work has budgets of its own.
    assert_eq!(rig.post(&who, "/api/v1/sos", sos()).await.status, 201);
    assert_eq!(rig.post(&who, "/api/location", fix()).await.status, 200);
    assert_eq!(rig.post(&who, "/api/location", fix()).await.status, 429);
    assert_eq!(rig.get(&device(2), "/api/v1/sos").await.status, 200);
}
