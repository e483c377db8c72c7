//! What pages of other sites may do.

use reqwest::Method;
use serde_json::json;

use crate::support::{Engine, fire};

const APP: &str = "https://app.example.org";
const PORTAL: &str = "https://portal.example.org";

const SETTINGS: [(&str, &str); 2] = [("cors.origins", APP), ("auth.cookie_origins", PORTAL)];

#[tokio::test]
async fn without_a_setting_no_other_site_may_do_anything() {
    let engine = Engine::start(&[]);
    let ana = engine.user("Ana");
    let request = ana.request(Method::GET, "/api/v1/sos").header("Origin", APP);
    let answer = request.send().await;
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
    let vary = answer.header("Vary").unwrap_or_default();
    assert!(!vary.to_lowercase().contains("origin"), "{vary}");
    let request = ana.request(Method::OPTIONS, "/api/v1/sos").header("Origin", APP);
    let answer = request
        .header("Access-Control-Request-Method", "POST")
        .send()
        .await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("Access-Control-Allow-Methods"), None);
}

#[tokio::test]
async fn a_listed_page_is_told_what_it_may_do_before_it_does_it_and_pays_nothing_for_asking() {
    let engine = Engine::start(&[SETTINGS[0], SETTINGS[1], ("limits.anon_requests", "1")]);
    let nobody = engine.nobody();
    // Any path: the route decides on the request itself.
    for path in [
        "/api/v1/sos",
        "/api/v1/sos/some-id/status",
        "/api/location",
        "/nowhere",
    ] {
        for (method, headers) in [("PATCH", "content-type, x-device-id"), ("POST", "authorization")] {
            let request = nobody.request(Method::OPTIONS, path).header("Origin", APP);
            let request = request.header("Access-Control-Request-Method", method);
            let answer = request
                .header("Access-Control-Request-Headers", headers)
                .send()
                .await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(APP));
            assert!(
                answer
                    .header("Access-Control-Allow-Methods")
                    .unwrap()
                    .contains(method)
            );
            let allowed = answer
                .header("Access-Control-Allow-Headers")
                .unwrap()
                .to_lowercase();
            assert!(
                headers.split(", ").all(|name| allowed.contains(name)),
                "{allowed}"
            );
            assert_eq!(answer.header("Access-Control-Max-Age"), Some("3600"));
            assert_eq!(answer.header("Access-Control-Allow-Credentials"), None);
            assert_eq!(answer.header("RateLimit-Remaining"), None);
        }
    }
    // The budget of one request is whole.
    let device = engine.device();
    device.get("/api/v1/sos").await.ok(200);
    device.get("/api/v1/sos").await.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn a_listed_page_may_read_every_answer_refusals_too() {
    let engine = Engine::start(&[SETTINGS[0], ("http.headers_max", "12")]);
    let ana = engine.user("Ana");
    let created = ana
        .request(Method::POST, "/api/v1/sos")
        .header("Origin", APP)
        .json(&fire())
        .send()
        .await;
    let missing = ana
        .request(Method::GET, "/api/v1/nothing")
        .header("Origin", APP)
        .send()
        .await;
    let mut many = ana.request(Method::GET, "/api/v1/sos").header("Origin", APP);
    for n in 0..15 {
        many = many.header(&format!("X-Many-{n}"), "1");
    }
    let nobody = engine
        .nobody()
        .request(Method::GET, "/api/contacts")
        .header("Origin", APP)
        .send()
        .await;
    for (answer, status) in [
        (created, 201),
        (missing, 404),
        (many.send().await, 431),
        (nobody, 401),
    ] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(APP));
        let exposed = answer.header("Access-Control-Expose-Headers").unwrap();
        assert!(
            ["X-Request-Id", "Retry-After", "ETag", "RateLimit-Reset"]
                .iter()
                .all(|name| exposed.contains(name))
        );
        assert!(answer.header("Vary").unwrap().contains("origin"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_page_that_is_not_listed_learns_nothing() {
    let engine = Engine::start(&SETTINGS);
    let ana = engine.user("Ana");
    for origin in [
        "https://evil.example",
        "https://app.example.org.evil.example",
        "http://app.example.org",
        "null",
    ] {
        let answer = ana
            .request(Method::GET, "/api/v1/sos")
            .header("Origin", origin)
            .send()
            .await;
        assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "{origin}");
        // A cache must not give this answer to a page that is.
        assert!(answer.header("Vary").unwrap().contains("origin"), "{answer:?}");
        let asked = ana
            .request(Method::OPTIONS, "/api/v1/sos")
            .header("Origin", origin);
        let answer = asked.header("Access-Control-Request-Method", "POST").send().await;
        assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "{origin}");
        assert_eq!(answer.header("Access-Control-Allow-Methods"), None, "{origin}");
    }
}

#[tokio::test]
async fn the_cookie_counts_from_where_credentials_are_allowed_and_nowhere_else() {
    let engine = Engine::start(&SETTINGS);
    let cookie = format!("mayday_token={}", engine.user("Ana").token());
    let ask = |origin: &'static str| {
        let request = engine.nobody().request(Method::GET, "/api/contacts");
        request.header("Origin", origin).header("Cookie", &cookie).send()
    };
    let portal = ask(PORTAL).await;
    assert_eq!(portal.header("Access-Control-Allow-Origin"), Some(PORTAL));
    assert_eq!(portal.header("Access-Control-Allow-Credentials"), Some("true"));
    assert_eq!(
        portal.ok(200),
        json!({"emergency_contacts": [], "dependent_contacts": []})
    );
    let app = ask(APP).await;
    assert_eq!(app.header("Access-Control-Allow-Origin"), Some(APP));
    assert_eq!(app.header("Access-Control-Allow-Credentials"), None);
    assert_eq!(app.status, 401);
}
