use super::*;

use crate::config::{DeviceSecrets, Secret};
use crate::domain::people::Role;
use crate::domain::time::Timestamp;
use crate::http::error::Code;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpResponse};

const DEVICE: (&str, &str) = ("x-device-id", "936da01f-9abd-4d9d-80c7-02af85c822a8");

fn gate_with(change: impl FnOnce(&mut Config)) -> web::Data<Gate> {
    let mut config = Config::default();
    change(&mut config);
    let secret = |c: &str| Secret::new(&c.repeat(32)).unwrap();
    let secrets = Secrets {
        jwt: secret("j"),
        internal: secret("i"),
        block: secret("b"),
        sos: None,
        contacts: None,
        device: DeviceSecrets {
            current: secret("d"),
            previous: None,
        },
    };
    let clock = Arc::new(|| Timestamp::from_ms(1_800_000_000_000));
    let keys = Arc::new(KeyRing::of(&config.auth, &secrets.jwt).unwrap());
    web::Data::new(Gate::new(
        &config,
        &secrets,
        keys,
        Arc::new(Metrics::new()),
        clock,
    ))
}

async fn role(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().body(caller.identity.role.as_str())
}

async fn anybody(caller: MaybeCaller) -> HttpResponse {
    HttpResponse::Ok().body(if caller.0.is_some() { "somebody" } else { "nobody" })
}

macro_rules! app {
    ($gate:expr) => {
        init_service(
            App::new()
                .app_data($gate)
                .service(
                    web::resource("/role")
                        .wrap(from_fn(|request, next| charge(Class::General, request, next)))
                        .get(role),
                )
                .service(
                    web::resource("/locations")
                        .wrap(from_fn(|request, next| charge(Class::Locations, request, next)))
                        .get(role),
                )
                .service(
                    web::resource("/anybody")
                        .wrap(from_fn(|request, next| charge(Class::General, request, next)))
                        .get(anybody),
                )
                .service(web::resource("/internal").get(async |_: SisterService| HttpResponse::Ok())),
        )
        .await
    };
}

#[actix_web::test]
async fn a_route_that_asks_for_a_caller_gets_one_or_is_not_reached() {
    let app = app!(gate_with(|_| {}));
    let response = call_service(
        &app,
        TestRequest::get().uri("/role").insert_header(DEVICE).to_request(),
    )
    .await;
    assert_eq!(response.headers().get("ratelimit-remaining").unwrap(), "99");
    assert_eq!(read_body(response).await, Role::Anon.as_str());
    assert_eq!(
        call_service(&app, TestRequest::get().uri("/role").to_request())
            .await
            .status(),
        401
    );
    let response = call_service(&app, TestRequest::get().uri("/anybody").to_request()).await;
    assert_eq!(read_body(response).await, "nobody");
    let bad = TestRequest::get()
        .uri("/anybody")
        .insert_header(("x-device-id", "?"));
    assert_eq!(call_service(&app, bad.to_request()).await.status(), 401);
}

#[actix_web::test]
async fn over_the_budget_is_429_and_other_budgets_stand() {
    let gate = gate_with(|config| config.limits.locations_per_minute = 1);
    let app = app!(gate.clone());
    let ask = async |uri| {
        call_service(
            &app,
            TestRequest::get().uri(uri).insert_header(DEVICE).to_request(),
        )
        .await
    };
    assert_eq!(ask("/locations").await.status(), 200);
    let refused = ask("/locations").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers().get("ratelimit-limit").unwrap(), "1");
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(ask("/role").await.status(), 200);
    let text = gate.metrics.render();
    assert!(
        text.contains("mayday_rate_limited_total{class=\"locations\"} 1"),
        "{text}"
    );
}

#[actix_web::test]
async fn sister_services_show_their_token() {
    let app = app!(gate_with(|_| {}));
    let ask = async |token: &str| {
        let request = TestRequest::get()
            .uri("/internal")
            .insert_header(("x-internal-token", token));
        call_service(&app, request.to_request()).await.status()
    };
    assert_eq!(ask(&"i".repeat(32)).await, 200);
    assert_eq!(ask(&"j".repeat(32)).await, 401);
}

#[test]
fn a_connection_is_admitted_with_a_credential_and_within_its_addresss_share() {
    let gate = gate_with(|config| config.limits.connections_per_address = 1);
    let from = |uri: &str| {
        let request = TestRequest::get()
            .uri(uri)
            .peer_addr("192.0.2.1:5".parse().unwrap());
        gate.admit(request.to_http_request().head())
            .map_err(|error| error.code())
    };
    assert_eq!(from("/api/ws").unwrap_err(), Code::Unauthenticated);
    let uri = format!("/api/ws?deviceId={}", DEVICE.1);
    let admitted = from(&uri).unwrap();
    let (ticket, ttl) = ticket(&gate, admitted.caller.clone()).unwrap();
    assert_eq!(ttl, Duration::from_secs(30));
    let uri = format!("/api/ws?ticket={ticket}");
    assert_eq!(from(&uri).unwrap_err(), Code::RateLimited);
    drop(admitted);
    assert!(from(&uri).is_ok(), "the refusal left the ticket alone");
}

#[test]
fn when_all_tickets_are_in_use_one_is_told_to_come_back() {
    let gate = gate_with(|config| config.auth.tickets_max = 1);
    let uri = format!("/api/ws?deviceId={}", DEVICE.1);
    let caller = gate
        .admit(TestRequest::get().uri(&uri).to_http_request().head())
        .unwrap()
        .caller;
    ticket(&gate, caller.clone()).unwrap();
    assert_eq!(ticket(&gate, caller).unwrap_err().code(), Code::Unavailable);
    let mut scrape = Scrape::default();
    gate.observe(&mut scrape);
    gate.sweep();
}

#[test]
fn what_reading_and_moderating_need_stands_in_one_place() {
    let needs = |method: &str, pattern| scope_of(&method.parse().unwrap(), pattern);
    for (method, pattern, scope) in [
        ("GET", "/api/v1/sos/{id}", Some(Scope::IncidentsRead)),
        ("GET", "/api/rooms-info", Some(Scope::IncidentsRead)),
        ("POST", "/api/v1/sos/{id}/reports", None),
        ("GET", "/api/v1/sos/{id}/reports", Some(Scope::DevicesWrite)),
        ("GET", "/api/v1/blocks", Some(Scope::DevicesWrite)),
        (
            "DELETE",
            "/api/v1/devices/{participant}/block",
            Some(Scope::DevicesWrite),
        ),
        ("POST", "/internal/realtime/sos/init", Some(Scope::IncidentsWrite)),
        (
            "PATCH",
            "/internal/realtime/sos/{id}/type",
            Some(Scope::IncidentsWrite),
        ),
        (
            "GET",
            "/internal/realtime/sos/{id}/state",
            Some(Scope::IncidentsRead),
        ),
        ("GET", "/internal/realtime/sos/nearby", Some(Scope::IncidentsRead)),
        (
            "POST",
            "/internal/realtime/sos/{id}/rescuer-location",
            Some(Scope::PositionsWrite),
        ),
        (
            "GET",
            "/internal/realtime/sos/{id}/rescuer-location",
            Some(Scope::IncidentsRead),
        ),
        (
            "POST",
            "/internal/messaging/broadcast",
            Some(Scope::MessagesWrite),
        ),
        ("POST", "/api/participants/left", Some(Scope::ParticipantsWrite)),
        ("GET", "/api/participants/{id}/active", Some(Scope::IncidentsRead)),
        ("POST", "/api/v1/sos", None),
        ("GET", "/metrics", None),
    ] {
        assert_eq!(needs(method, pattern), scope, "{method} {pattern}");
    }
}

/// Alone, a node makes tickets without waiting for anybody.
fn ticket(gate: &Gate, caller: Caller) -> Result<(String, Duration), ApiError> {
    let made = std::pin::pin!(gate.ticket(caller));
    futures_util::FutureExt::now_or_never(made).unwrap()
}
