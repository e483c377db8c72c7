use super::*;
use crate::config::Secret;
use crate::domain::ids::{DeviceId, RoomId, ServiceName, UserId};
use crate::domain::people::{Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::scopes::{Scope, Scopes};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const DEVICE: &str = "936da01f-9abd-4d9d-80c7-02af85c822a8";

fn secret() -> Secret {
    Secret::new(&"s".repeat(32)).unwrap()
}

fn region() -> Region {
    Region::new("PH").unwrap()
}

fn verifier(auth: &Auth) -> Verifier {
    Verifier::new(auth, Arc::new(KeyRing::of(auth, &secret()).unwrap()), region())
}

fn sign_with(algorithm: Algorithm, secret: &Secret, claims: &Value) -> String {
    jsonwebtoken::encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret.reveal()),
    )
    .unwrap()
}

/// Signs `claims` with a fitting `exp` added.
fn sign(mut claims: Value) -> String {
    if claims.get("exp").is_none() {
        claims["exp"] = json!(NOW.ms() / 1000 + 60);
    }
    sign_with(Algorithm::HS256, &secret(), &claims)
}

fn verify(claims: Value) -> Result<Identity, TokenError> {
    verifier(&Auth::default())
        .verify(&sign(claims), NOW)
        .map(|verified| verified.identity)
}

fn user(id: &str) -> Subject {
    Subject::User(UserId::new(id).unwrap())
}

#[test]
fn flat_claims_name_a_user_in_three_ways() {
    for key in ["userId", "sub", "id"] {
        let identity =
            verify(json!({ key: "u1", "role": "citizen", "name": "Ana", "email": "a@example.org" })).unwrap();
        assert_eq!(
            (&identity.subject, identity.role),
            (&user("u1"), Role::Citizen),
            "{key}"
        );
        assert_eq!(
            (identity.name.as_deref(), identity.email.as_deref()),
            (Some("Ana"), Some("a@example.org"))
        );
    }
    assert_eq!(
        verify(json!({ "userId": 42, "role": "Admin" })).unwrap().subject,
        user("42")
    );
}

#[test]
fn a_number_counts_in_e164_and_one_that_cannot_be_read_not_at_all() {
    for key in ["phone_no", "phone_number"] {
        let identity = verify(json!({ "sub": "u1", "role": "CITIZEN", key: "0917 123 4567" })).unwrap();
        assert_eq!(identity.phone.unwrap().reveal(), "+639171234567");
    }
    assert_eq!(
        verify(json!({ "sub": "u1", "role": "CITIZEN", "phone_no": "call me" }))
            .unwrap()
            .phone,
        None
    );
}

#[test]
fn nested_claims_name_a_user_or_a_service() {
    let nested = json!({ "identity": { "userId": "u1", "role": "RESCUER" }, "actor": { "type": "USER", "cityCode": "MNL" } });
    let identity = verify(nested).unwrap();
    assert_eq!(
        (&identity.subject, identity.role, &identity.mission),
        (&user("u1"), Role::Rescuer, &None)
    );
    let service =
        json!({ "identity": { "userId": "dispatch", "role": "ADMIN" }, "actor": { "type": "service" } });
    assert_eq!(
        verify(service).unwrap().subject,
        Subject::Service(ServiceName::new("dispatch").unwrap())
    );
}

#[test]
fn an_anonymous_rescuer_is_bound_to_an_incident() {
    let mut claims = json!({
        "identity": { "userId": "r9", "role": "RESCUER" }, "actor": { "type": "ANON" }, "mission": { "sosId": "s1" }
    });
    let identity = verify(claims.clone()).unwrap();
    assert_eq!(identity.role, Role::Anon);
    assert!(
        identity.may_enter(&RoomId::new("s1").unwrap()) && !identity.may_enter(&RoomId::new("s2").unwrap())
    );

    claims["mission"] = json!({ "rescuerMissionId": "m1" });
    assert_eq!(verify(claims.clone()), Err(TokenError::Missing("mission.sosId")));
    claims["mission"] = json!({ "sosId": "not a room" });
    assert_eq!(verify(claims.clone()), Err(TokenError::Claim("sosId")));
    claims["identity"]["role"] = json!("ADMIN");
    assert_eq!(verify(claims), Err(TokenError::Claim("role")));
}

#[test]
fn the_scopes_of_a_mission_restrict_what_its_bearer_does_there() {
    let claims = |scopes: Value| {
        let mission = json!({ "sosId": "s1", "scopes": scopes });
        json!({ "identity": { "userId": "r9", "role": "RESCUER" }, "actor": { "type": "ANON" }, "mission": mission })
    };
    for named in [
        json!(["messages:write", "fly"]),
        json!("messages:write  fly"),
        json!(["MESSAGES:WRITE"]),
    ] {
        let identity = verify(claims(named)).unwrap();
        for (scope, allowed) in [
            (Scope::IncidentsRead, true),
            (Scope::ParticipantsWrite, true),
            (Scope::MessagesWrite, true),
            (Scope::PositionsWrite, false),
            (Scope::IncidentsWrite, false),
            (Scope::DevicesWrite, false),
        ] {
            assert_eq!(identity.may(scope), allowed, "{scope:?}");
        }
    }
    let only_look = verify(claims(json!(["incidents:read"]))).unwrap();
    assert!(!only_look.may(Scope::MessagesWrite));
    for of_something_else in [json!([]), json!(["sos:read", "chat"]), json!(""), Value::Null] {
        assert_eq!(verify(claims(of_something_else)).unwrap().scopes, Scopes::ALL);
    }
    assert_eq!(verify(claims(json!([7]))), Err(TokenError::Invalid));
}

#[test]
fn a_flat_anonymous_token_names_a_device_and_perhaps_an_incident() {
    let identity = verify(json!({ "deviceId": DEVICE, "role": "anon_rescuer", "sosId": "s1" })).unwrap();
    assert_eq!(identity.subject, Subject::Device(DeviceId::new(DEVICE).unwrap()));
    assert_eq!(identity.mission, Some(RoomId::new("s1").unwrap()));
    assert_eq!(
        verify(json!({ "deviceId": "x", "role": "ANON" })),
        Err(TokenError::Claim("deviceId"))
    );
    let registered =
        verify(json!({ "userId": "u1", "deviceId": DEVICE, "role": "CITIZEN", "sosId": "s1" })).unwrap();
    assert_eq!((registered.subject, registered.mission), (user("u1"), None));
}

#[test]
fn claims_that_say_too_little_are_refused_by_name() {
    assert_eq!(
        verify(json!({ "role": "CITIZEN" })),
        Err(TokenError::Missing("userId"))
    );
    assert_eq!(
        verify(json!({ "userId": " ", "role": "CITIZEN" })),
        Err(TokenError::Missing("userId"))
    );
    assert_eq!(
        verify(json!({ "userId": "u1" })),
        Err(TokenError::Missing("role"))
    );
    assert_eq!(
        verify(json!({ "userId": "u1", "role": "KING" })),
        Err(TokenError::Claim("role"))
    );
    let odd = json!({ "identity": { "userId": "u1", "role": "CITIZEN" }, "actor": { "type": "ROBOT" } });
    assert_eq!(verify(odd), Err(TokenError::Claim("actor.type")));
    assert_eq!(
        verify(json!({ "userId": [1], "role": "CITIZEN" })),
        Err(TokenError::Invalid)
    );
}

#[test]
fn a_token_ends_when_it_says_give_or_take_the_leeway() {
    let verifier = verifier(&Auth::default());
    let at = |exp: i64| verifier.verify(&sign(json!({ "sub": "u", "role": "CITIZEN", "exp": exp })), NOW);
    let now = NOW.ms() / 1000;
    assert_eq!(at(now - 4).unwrap().expires_at.ms(), NOW.ms() - 4_000);
    assert_eq!(at(now - 5), Err(TokenError::Expired));
    assert_eq!(at(i64::MAX), Err(TokenError::Claim("exp")));
    let early = json!({ "sub": "u", "role": "CITIZEN", "nbf": now + 6 });
    assert_eq!(verify(early), Err(TokenError::Early));
    let endless = sign_with(
        Algorithm::HS256,
        &secret(),
        &json!({ "sub": "u", "role": "CITIZEN" }),
    );
    assert_eq!(verifier.verify(&endless, NOW), Err(TokenError::Missing("exp")));
}

#[test]
fn only_our_key_and_only_hs256() {
    let verifier = verifier(&Auth::default());
    let claims = json!({ "sub": "u", "role": "ADMIN", "exp": NOW.ms() / 1000 + 60 });
    let other = Secret::new(&"t".repeat(32)).unwrap();
    assert_eq!(
        verifier.verify(&sign_with(Algorithm::HS256, &other, &claims), NOW),
        Err(TokenError::Invalid)
    );
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(
            verifier.verify(&sign_with(algorithm, &secret(), &claims), NOW),
            Err(TokenError::Algorithm)
        );
    }
    let good = sign(claims);
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for forged in [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        "a.b.c".into(),
        String::new(),
    ] {
        assert!(verifier.verify(&forged, NOW).is_err(), "{forged}");
    }
    assert_eq!(
        verifier.verify(&format!("{good}{}", "A".repeat(9_000)), NOW),
        Err(TokenError::Invalid)
    );
}

#[test]
fn issuer_and_audience_are_required_when_configured_and_ignored_when_not() {
    let claims =
        |iss: &str, aud: &str| sign(json!({ "sub": "u", "role": "CITIZEN", "iss": iss, "aud": aud }));
    assert!(
        verifier(&Auth::default())
            .verify(&claims("any", "any"), NOW)
            .is_ok()
    );
    let auth = Auth {
        issuer: "us".into(),
        audience: "mayday".into(),
        ..Auth::default()
    };
    let strict = verifier(&auth);
    assert!(strict.verify(&claims("us", "mayday"), NOW).is_ok());
    let several = verifier(&Auth {
        audience: "other, mayday".into(),
        ..Auth::default()
    });
    assert!(several.verify(&claims("any", "mayday"), NOW).is_ok());
    let list = |aud: Value| sign(json!({ "sub": "u", "role": "CITIZEN", "aud": aud }));
    assert!(several.verify(&list(json!(["a", "other"])), NOW).is_ok());
    assert_eq!(
        several.verify(&list(json!(["a", "b"])), NOW),
        Err(TokenError::Party("audience"))
    );
    assert_eq!(
        strict.verify(&claims("them", "mayday"), NOW),
        Err(TokenError::Party("issuer"))
    );
    assert_eq!(
        strict.verify(&claims("us", "them"), NOW),
        Err(TokenError::Party("audience"))
    );
    assert!(
        strict
            .verify(&sign(json!({ "sub": "u", "role": "CITIZEN" })), NOW)
            .is_err()
    );
}

#[test]
fn what_is_issued_is_accepted() {
    let auth = Auth {
        issuer: "us".into(),
        audience: "mayday".into(),
        ..Auth::default()
    };
    let mut grant = Grant {
        user: UserId::new("u1").unwrap(),
        role: Role::Citizen,
        phone: Some(PhoneNumber::from_e164("+639171234567").unwrap()),
        name: Some("Ana".into()),
        mission: None,
        expires_at: NOW + Duration::from_secs(60),
    };
    let verify = |grant: &Grant| {
        verifier(&auth)
            .verify(&issue(grant, &auth, &secret()).unwrap(), NOW)
            .unwrap()
    };
    let verified = verify(&grant);
    assert_eq!(verified.expires_at, grant.expires_at);
    assert_eq!(
        (verified.identity.subject, verified.identity.phone),
        (user("u1"), grant.phone.clone())
    );

    grant.mission = Some(RoomId::new("s1").unwrap());
    assert_eq!(issue(&grant, &auth, &secret()), Err(IssueError::MissionRole));
    for role in [Role::Anon, Role::Rescuer] {
        grant.role = role;
        let identity = verify(&grant).identity;
        assert_eq!((identity.role, &identity.mission), (Role::Anon, &grant.mission));
    }
}
