//! Whose word about a client's address is believed, as the budgets show it.

use reqwest::Method;

use crate::support::{Engine, Person, UNLIMITED};

/// How much is left of the budget of the address that this request seems to come from.
async fn left(nobody: &Person, headers: &[(&str, &str)]) -> u32 {
    let mut request = nobody.request(Method::GET, "/api/v1/sos/none");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send().await;
    answer
        .header("RateLimit-Remaining")
        .expect("a budget")
        .parse()
        .unwrap()
}

fn engine(header: &str) -> Engine {
    let mut settings = UNLIMITED.to_vec();
    settings.retain(|(key, _)| *key != "limits.anon_requests");
    settings.extend([
        ("limits.anon_requests", "100"),
        ("http.trusted_proxies", "127.0.0.1, 10.0.0.0/8"),
        ("http.proxy_header", header),
    ]);
    Engine::start(&settings)
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_a_budget_of_their_own() {
    let engine = engine("x-forwarded");
    let nobody = engine.nobody();
    let from = |address: &'static str| [("X-Forwarded-For", address)];
    assert_eq!(left(&nobody, &from("198.51.100.1")).await, 99);
    assert_eq!(left(&nobody, &from("198.51.100.2")).await, 99);
    assert_eq!(left(&nobody, &from("198.51.100.1")).await, 98);
    // What a client puts before it changes nothing, nor does the header that this proxy does not write.
    assert_eq!(left(&nobody, &from("203.0.113.7, 198.51.100.1")).await, 97);
    let both = [
        ("X-Forwarded-For", "198.51.100.1"),
        ("Forwarded", "for=203.0.113.8"),
    ];
    assert_eq!(left(&nobody, &both).await, 96);
    assert_eq!(left(&nobody, &from("198.51.100.1, 10.1.1.1")).await, 95);
}

#[tokio::test]
async fn a_proxy_may_write_the_standard_header_instead() {
    let engine = engine("forwarded");
    let nobody = engine.nobody();
    let from = |value: &'static str| [("Forwarded", value)];
    assert_eq!(left(&nobody, &from("for=198.51.100.1;proto=https")).await, 99);
    assert_eq!(left(&nobody, &from("for=\"[2001:db8::1]:4711\"")).await, 99);
    // A /64 is one subscriber.
    assert_eq!(left(&nobody, &from("for=\"[2001:db8::2]\"")).await, 98);
    assert_eq!(
        left(&nobody, &from("for=1.1.1.1, for=198.51.100.1, for=10.0.0.5")).await,
        98
    );
    assert_eq!(left(&nobody, &from("for=\"oops, for=198.51.100.1")).await, 99);
    let both = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("Forwarded", "for=198.51.100.1"),
    ];
    assert_eq!(left(&nobody, &both).await, 97);
}

#[tokio::test]
async fn a_client_of_an_https_proxy_is_told_to_stay_with_https() {
    let engine = engine("forwarded");
    let ask = |value: &'static str| {
        let request = engine.nobody().request(Method::GET, "/health");
        request.header("Forwarded", value).send()
    };
    assert!(
        ask("for=198.51.100.1;proto=https")
            .await
            .header("Strict-Transport-Security")
            .is_some()
    );
    assert!(
        ask("for=198.51.100.1;proto=http")
            .await
            .header("Strict-Transport-Security")
            .is_none()
    );
    // Without a trusted proxy nobody's word counts.
    let direct = Engine::start(&[]);
    let request = direct
        .nobody()
        .request(Method::GET, "/health")
        .header("X-Forwarded-Proto", "https");
    assert!(request.send().await.header("Strict-Transport-Security").is_none());
}
