//! Who is speaking: tokens in all their shapes, devices, and those who are refused.

use serde_json::{Value, json};

use crate::support::{ANA, Engine, fire, fire_with, now_s, sign, sign_with, uuid4};

/// What a credential makes of its bearer, seen on a connection.
async fn bearer(engine: &Engine, claims: Value) -> Value {
    let mut client = engine.bearer(&sign(&claims)).open().await;
    client.expect(json!({"type": "connected"})).await["user"].clone()
}

#[tokio::test]
async fn a_flat_token_names_its_user_in_three_ways() {
    let engine = Engine::start(&[]);
    for key in ["userId", "sub", "id"] {
        let claims = json!({
            key: "u-7", "role": "citizen", "name": "Ana", "phone_number": ANA, "email": "a@example.org",
            "deviceId": uuid4(), "cityId": "MNL", "exp": now_s() + 60,
        });
        let user = bearer(&engine, claims).await;
        let wanted = json!({
            "id": "u-7", "role": "CITIZEN", "name": "Ana", "phone_no": ANA, "email": "a@example.org",
        });
        assert_eq!(user, wanted, "{key}");
    }
}

#[tokio::test]
async fn a_nested_token_names_identity_and_actor() {
    let engine = Engine::start(&[]);
    let claims = json!({
        "identity": {"userId": "u-8", "role": "DISPATCHER"}, "actor": {"type": "USER", "cityCode": "MNL"},
        "exp": now_s() + 60,
    });
    let user = bearer(&engine, claims).await;
    assert_eq!(
        (&user["id"], &user["role"]),
        (&json!("u-8"), &json!("DISPATCHER"))
    );
}

#[tokio::test]
async fn a_mission_token_is_an_anonymous_rescuers() {
    let engine = Engine::start(&[]);
    let sos = engine.user("Ana").raises(fire()).await;
    let claims = json!({
        "identity": {"userId": "anon-1", "role": "RESCUER"}, "actor": {"type": "ANON"},
        "mission": {"sosId": sos}, "exp": now_s() + 60,
    });
    let user = bearer(&engine, claims.clone()).await;
    assert_ne!(user["role"], "DISPATCHER");
    // Without its mission it is nobody's.
    let mut lost = claims;
    lost.as_object_mut().unwrap().remove("mission");
    engine
        .bearer(&sign(&lost))
        .get("/api/v1/sos")
        .await
        .refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn roles_are_read_in_any_letter_case() {
    let engine = Engine::start(&[]);
    for role in ["CITIZEN", "rescuer", "Dispatcher", "aDmIn"] {
        let claims = json!({"userId": "u-9", "role": role, "exp": now_s() + 60});
        assert_eq!(bearer(&engine, claims).await["role"], role.to_uppercase());
    }
}

#[tokio::test]
async fn bad_tokens_are_refused() {
    let engine = Engine::start(&[]);
    let claims = |exp: Value| json!({"userId": "u-1", "role": "ADMIN", "exp": exp});
    let good = sign(&claims(json!(now_s() + 60)));
    engine.bearer(&good).get("/api/v1/sos").await.page();
    let parts: Vec<&str> = good.split('.').collect();
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    // {"alg":"HS512","typ":"JWT"}
    let other = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";
    let mut turned = parts[2].to_owned();
    turned.replace_range(0..1, if turned.starts_with('A') { "B" } else { "A" });
    let bad = [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{other}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{turned}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        sign_with(
            &claims(json!(now_s() + 60)),
            "a-key-that-is-not-the-engines-0123456789",
        ),
        sign(&claims(json!(now_s() - 60))),
        sign(&json!({"userId": "u-1", "role": "ADMIN"})),
        sign(&claims(json!("tomorrow"))),
        sign(&json!({"role": "ADMIN", "exp": now_s() + 60})),
        sign(&json!({"userId": "u-1", "role": "EMPEROR", "exp": now_s() + 60})),
        "x".repeat(9_000),
    ];
    for token in bad {
        let refused = engine.bearer(&token).get("/api/v1/sos").await;
        assert_eq!(refused.status, 401, "{token}: {refused:?}");
        refused.refused(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn issuer_and_audience_are_checked_when_they_are_set() {
    let engine = Engine::start(&[("auth.issuer", "id.example.org"), ("auth.audience", "mayday")]);
    let token = |iss: &str, aud: &str| {
        sign(&json!({"userId": "u-1", "role": "CITIZEN", "iss": iss, "aud": aud, "exp": now_s() + 60}))
    };
    engine
        .bearer(&token("id.example.org", "mayday"))
        .get("/api/v1/sos")
        .await
        .page();
    for (iss, aud) in [("elsewhere", "mayday"), ("id.example.org", "another")] {
        engine
            .bearer(&token(iss, aud))
            .get("/api/v1/sos")
            .await
            .refused(401, "UNAUTHENTICATED");
    }
    engine
        .user("Ana")
        .get("/api/v1/sos")
        .await
        .refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn without_a_credential_one_may_look_at_what_is_public_and_do_nothing() {
    let engine = Engine::start(&[("limits.anon_requests", "0")]);
    let nobody = engine.nobody();
    let public = engine.device().raises(fire()).await;
    let hidden = engine
        .device()
        .raises(fire_with(json!({"visibility": "RESTRICTED"})))
        .await;
    let (listed, _) = nobody.get("/api/v1/sos").await.page();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["sosId"], public.as_str());
    for part in [
        "",
        "/participants/active",
        "/participants/stats",
        "/participants/anonymous/count",
    ] {
        nobody.get(&format!("/api/v1/sos/{public}{part}")).await.data(200);
        nobody
            .get(&format!("/api/v1/sos/{hidden}{part}"))
            .await
            .refused(404, "NOT_FOUND");
    }
    let sos = &public;
    for part in ["locations", "messages", "events", "participants/history"] {
        nobody
            .get(&format!("/api/v1/sos/{sos}/{part}"))
            .await
            .refused(401, "UNAUTHENTICATED");
    }
    let posts = [
        "/api/v1/tickets".to_owned(),
        "/api/v1/sos".to_owned(),
        format!("/api/v1/sos/{sos}/cancel"),
        format!("/api/v1/sos/{sos}/close"),
        format!("/api/v1/sos/{sos}/location"),
        format!("/api/v1/sos/{sos}/messages"),
        format!("/api/v1/sos/{sos}/participants/join"),
        format!("/api/v1/sos/{sos}/participants/leave"),
        "/api/location".to_owned(),
        "/api/location/batch".to_owned(),
    ];
    for path in posts {
        let refused = nobody
            .post(&path, json!({}))
            .await
            .refused(401, "UNAUTHENTICATED");
        assert_eq!(refused["success"], false, "{path}");
    }
    let status = format!("/api/v1/sos/{sos}/status");
    nobody
        .patch(&status, json!({}))
        .await
        .refused(401, "UNAUTHENTICATED");
    for path in [
        "/api/locations",
        "/api/locations/contacts",
        "/api/rooms-info",
        "/api/contacts",
    ] {
        nobody.get(path).await.refused(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_device_id_that_is_none_is_refused() {
    let engine = Engine::start(&[]);
    for id in ["", "42", "936da01f-9abd-1d9d-80c7-02af85c822a8", "not a uuid"] {
        let request = engine
            .nobody()
            .request(reqwest::Method::GET, "/api/v1/sos")
            .header("X-Device-ID", id);
        request.send().await.refused(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_credential() {
    let engine = Engine::start(&[("auth.leeway_s", "0")]);
    let claims = json!({"userId": "u-1", "role": "CITIZEN", "exp": now_s() + 3});
    let mut client = engine.bearer(&sign(&claims)).connect().await;
    client.expect(json!({"type": "credential-expiring"})).await;
    client.hears_nothing_more().await;
    client.expect_close(4001).await;
}
