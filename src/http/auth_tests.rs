use super::*;
use std::time::Duration;

use crate::config::{DeviceSecrets, Secret};
use crate::domain::ids::{ServiceName, UserId};
use crate::domain::people::{Role, Subject};
use crate::domain::scopes::{Scope, Scopes};
use crate::http::error::{ApiError, Code};
use crate::http::jwt::{Grant, issue};
use actix_web::test::TestRequest;

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const DEVICE: &str = "936da01f-9abd-4d9d-80c7-02af85c822a8";

fn secrets() -> Secrets {
    let secret = |c: &str| Secret::new(&c.repeat(32)).unwrap();
    Secrets {
        jwt: secret("j"),
        internal: secret("i"),
        block: secret("b"),
        sos: None,
        device: DeviceSecrets {
            current: secret("d"),
            previous: None,
        },
    }
}

fn authenticator() -> Authenticator {
    authenticator_with(|_| {})
}

fn authenticator_with(change: impl FnOnce(&mut Config)) -> Authenticator {
    let mut config = Config::default();
    change(&mut config);
    config.auth.cookie_origins = "https://app.example.org".into();
    let tickets = Arc::new(Tickets::new(Duration::from_secs(30), 10));
    let keys = Arc::new(KeyRing::of(&config.auth, &secrets().jwt).unwrap());
    Authenticator::new(&config, &secrets(), keys, tickets, Arc::new(|| NOW))
}

fn token(user: &str) -> String {
    let grant = Grant {
        user: UserId::new(user).unwrap(),
        role: Role::Citizen,
        phone: None,
        name: None,
        mission: None,
        expires_at: NOW + Duration::from_secs(60),
    };
    issue(&grant, &Auth::default(), &secrets().jwt).unwrap()
}

type Answer = Result<Option<String>, Code>;

fn who(answer: Result<Option<Caller>, CredentialError>) -> Answer {
    let name = |caller: Caller| match &caller.identity.subject {
        Subject::User(id) => id.as_str().to_owned(),
        Subject::Device(_) => "device".to_owned(),
        Subject::Service(name) => name.as_str().to_owned(),
        Subject::Phone(_) => "phone".to_owned(),
    };
    answer
        .map(|caller| caller.map(name))
        .map_err(|error| ApiError::from(error).code())
}

fn rest(headers: &[(&str, &str)]) -> Answer {
    let mut request = TestRequest::get().insert_header(("host", "mayday.example.org"));
    for header in headers {
        request = request.append_header(*header);
    }
    who(authenticator().rest(request.to_http_request().head()))
}

fn is(name: &str) -> Answer {
    Ok(Some(name.into()))
}

const REFUSED: Answer = Err(Code::Unauthenticated);

#[test]
fn a_token_comes_as_bearer_or_cookie_and_a_device_by_its_id() {
    let (bearer, cookie) = (
        format!("bearer {}", token("ana")),
        format!("a=b; mayday_token={}", token("ben")),
    );
    assert_eq!(rest(&[("authorization", &bearer)]), is("ana"));
    assert_eq!(rest(&[("cookie", &cookie)]), is("ben"));
    assert_eq!(rest(&[("x-device-id", DEVICE)]), is("device"));
    assert_eq!(rest(&[]), Ok(None));
    assert_eq!(rest(&[("cookie", "mayday_token=")]), Ok(None));
}

#[test]
fn of_two_good_credentials_the_stronger_wins() {
    let (bearer, cookie) = (
        format!("Bearer {}", token("ana")),
        format!("mayday_token={}", token("ben")),
    );
    assert_eq!(
        rest(&[
            ("authorization", &bearer),
            ("cookie", &cookie),
            ("x-device-id", DEVICE)
        ]),
        is("ana")
    );
    assert_eq!(rest(&[("cookie", &cookie), ("x-device-id", DEVICE)]), is("ben"));
}

#[test]
fn a_bad_credential_is_refused_even_beside_a_good_one() {
    let bearer = format!("Bearer {}", token("ana"));
    for bad in [
        ("x-device-id", "7"),
        ("cookie", "mayday_token=x"),
        ("x-device-id", ""),
    ] {
        assert_eq!(rest(&[("authorization", &bearer), bad]), REFUSED, "{bad:?}");
    }
    for bad in ["Bearer x", "Basic YTpi", "", "Bearer", "token"] {
        assert_eq!(
            rest(&[("authorization", bad), ("x-device-id", DEVICE)]),
            REFUSED,
            "{bad:?}"
        );
    }
}

#[test]
fn a_page_of_another_site_cannot_use_the_cookie() {
    let cookie = format!("mayday_token={}", token("ana"));
    let from = |origin| rest(&[("cookie", &cookie), ("origin", origin)]);
    assert_eq!(from("https://mayday.example.org"), is("ana"));
    assert_eq!(from("https://app.example.org"), is("ana"));
    for foreign in [
        "https://evil.example",
        "null",
        "https://mayday.example.org.evil.example",
    ] {
        assert_eq!(from(foreign), Ok(None), "{foreign}");
    }
    let bearer = format!("Bearer {}", token("ana"));
    assert_eq!(
        rest(&[("authorization", &bearer), ("origin", "https://evil.example")]),
        is("ana")
    );
}

#[test]
fn a_websocket_takes_a_ticket_or_a_device_id_in_its_address_and_rest_does_not() {
    let auth = authenticator();
    let open = |uri: &str| who(auth.websocket(TestRequest::get().uri(uri).to_http_request().head()));
    let ticket = auth
        .tickets
        .issue(
            Caller::new(Identity::device(DeviceId::from_random([1; 16])), None),
            NOW,
        )
        .unwrap();
    assert_eq!(open("/api/ws"), Ok(None));
    assert_eq!(open(&format!("/api/ws?x=y&deviceId={DEVICE}")), is("device"));
    assert_eq!(open("/api/ws?deviceId=x"), REFUSED);
    assert_eq!(open(&format!("/api/ws?ticket={ticket}&deviceId=x")), REFUSED);
    assert_eq!(
        open(&format!("/api/ws?ticket={ticket}")),
        is("device"),
        "the refused request left the ticket alone"
    );
    assert_eq!(open(&format!("/api/ws?ticket={ticket}")), REFUSED);
    let uri = format!("/api/v1/sos?ticket={ticket}&deviceId={DEVICE}");
    assert_eq!(
        who(auth.rest(TestRequest::get().uri(&uri).to_http_request().head())),
        Ok(None)
    );
}

#[test]
fn a_ticket_is_whoever_asked_for_it_whatever_cookie_the_browser_adds() {
    let auth = authenticator();
    let ticket = auth
        .tickets
        .issue(
            Caller::new(Identity::device(DeviceId::from_random([1; 16])), None),
            NOW,
        )
        .unwrap();
    let request = TestRequest::get()
        .uri(&format!("/api/ws?ticket={ticket}"))
        .insert_header(("cookie", format!("mayday_token={}", token("ana"))));
    assert_eq!(
        who(auth.websocket(request.to_http_request().head())),
        is("device")
    );
}

#[test]
fn a_device_token_is_checked_when_it_is_sent_and_asked_for_when_the_settings_say_so() {
    let lax = authenticator();
    let strict = authenticator_with(|config| config.auth.require_device_token = true);
    let (mine, other) = (
        lax.device_token(DeviceId::new(DEVICE).unwrap()),
        lax.device_token(DeviceId::from_random([9; 16])),
    );
    let rest = |auth: &Authenticator, token: Option<&str>| {
        let mut request = TestRequest::get().insert_header(("x-device-id", DEVICE));
        if let Some(token) = token {
            request = request.insert_header(("x-device-token", token));
        }
        who(auth.rest(request.to_http_request().head()))
    };
    for auth in [&lax, &strict] {
        assert_eq!(rest(auth, Some(&mine)), is("device"));
        for bad in [&*other, "", "d1.x.y"] {
            assert_eq!(rest(auth, Some(bad)), REFUSED, "{bad}");
        }
    }
    assert_eq!(rest(&lax, None), is("device"));
    assert_eq!(rest(&strict, None), REFUSED);

    let socket = |uri: &str, header: Option<&str>| {
        let mut request = TestRequest::get().uri(uri);
        if let Some(id) = header {
            request = request.insert_header(("x-device-id", id));
        }
        who(strict.websocket(request.to_http_request().head()))
    };
    let with = |id: &str, token: &str| format!("/api/ws?deviceId={id}&deviceToken={token}");
    assert_eq!(socket(&with(DEVICE, &mine), None), is("device"));
    assert_eq!(socket(&with(DEVICE, &other), None), REFUSED);
    assert_eq!(socket(&format!("/api/ws?deviceId={DEVICE}"), None), REFUSED);
    let only_token = format!("/api/ws?deviceToken={mine}");
    assert_eq!(socket(&only_token, Some(DEVICE)), is("device"));
    assert_eq!(
        socket(&only_token, None),
        REFUSED,
        "a token proves an id, and there is none"
    );
    let another = DeviceId::from_random([3; 16]).reveal();
    assert_eq!(
        socket(&with(DEVICE, &mine), Some(&another)),
        REFUSED,
        "of two ids both need it"
    );
}

#[test]
fn a_sister_service_is_a_caller_with_what_its_key_allows() {
    let (key, hash) = crate::http::services::new_key([5; 32]);
    let auth = authenticator_with(|config| {
        let key = format!("dispatch {hash} incidents:read");
        let text = format!("[auth]\napi_keys = '{key}'");
        config.auth.api_keys = Config::parse("t.toml", &text, []).unwrap().auth.api_keys;
    });
    let ask = |token: &str| {
        let request = TestRequest::get()
            .insert_header((X_INTERNAL_TOKEN, token))
            .insert_header(("x-device-id", DEVICE));
        auth.rest(request.to_http_request().head())
    };
    let caller = ask(&key).unwrap().unwrap();
    let read = Scopes::from(Scope::IncidentsRead);
    assert_eq!(
        *caller.identity,
        Identity::service(ServiceName::new("dispatch").unwrap(), read)
    );
    assert_eq!(caller.expires_at, None);
    assert_eq!(
        ask("wrong"),
        Err(CredentialError::Service),
        "the device beside it does not help"
    );
}

#[test]
fn a_ticket_ends_with_the_credential_behind_it() {
    let auth = authenticator();
    let open = |expires_at: Timestamp| {
        let caller = Caller::new(Identity::device(DeviceId::from_random([1; 16])), Some(expires_at));
        let ticket = auth.tickets.issue(caller, NOW).unwrap();
        let uri = format!("/api/ws?ticket={ticket}");
        auth.websocket(TestRequest::get().uri(&uri).to_http_request().head())
    };
    let s = Duration::from_secs;
    assert_eq!(
        open(NOW.before(s(4))).unwrap().unwrap().expires_at,
        Some(NOW.before(s(4)))
    );
    assert_eq!(open(NOW.before(s(5))), Err(TokenError::Expired.into()));
}

#[test]
fn a_sister_service_needs_the_internal_token() {
    let auth = authenticator();
    let asks = |token: Option<&str>| {
        let mut request = TestRequest::get();
        if let Some(token) = token {
            request = request.insert_header((X_INTERNAL_TOKEN, token));
        }
        auth.internal(request.to_http_request().head())
            .map(|service| service.name.as_str().to_owned())
            .map_err(|error| ApiError::from(error).code())
    };
    assert_eq!(asks(Some(&"i".repeat(32))), Ok("internal".into()));
    for bad in [None, Some(""), Some("iiii"), Some(&*"j".repeat(32))] {
        assert_eq!(asks(bad), Err(Code::Unauthenticated), "{bad:?}");
    }
}
