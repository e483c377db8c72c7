use super::*;
use serde_json::{Value, json};

fn body(error: &ApiError, dialect: Dialect) -> Value {
    serde_json::from_str(&error.body(dialect, Some("r1"))).unwrap()
}

#[test]
fn the_envelope_names_code_message_request_and_fields() {
    let error = ApiError::invalid("location.latitude", "must be a number");
    assert_eq!(
        body(&error, Dialect::Envelope),
        json!({
            "success": false, "code": "VALIDATION_FAILED", "requestId": "r1",
            "message": "location.latitude: must be a number",
            "fields": [{"field": "location.latitude", "message": "must be a number"}]
        })
    );
    let error = ApiError::invalid_transition("cannot go from RESOLVED to ACTIVE", ["CLOSED"]);
    assert_eq!(body(&error, Dialect::Envelope)["allowed"], json!(["CLOSED"]));
    assert_eq!(
        body(&ApiError::internal(), Dialect::Envelope)
            .as_object()
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn circle_clients_get_a_bare_error() {
    let error = ApiError::not_found("Room not found");
    assert_eq!(body(&error, Dialect::Bare), json!({"error": "Room not found"}));
    let error = ApiError::unauthenticated("No credential");
    assert_eq!(body(&error, Dialect::Bare)["code"], "UNAUTHENTICATED");
    assert_eq!(body(&error, Dialect::Bare)["error"], "No credential");
}

#[test]
fn the_dialect_goes_by_the_path() {
    for bare in [
        "/api/location",
        "/api/location/batch",
        "/api/locations/contacts",
        "/api/rooms-info",
    ] {
        assert_eq!(Dialect::of(bare), Dialect::Bare, "{bare}");
    }
    for enveloped in [
        "/api/v1/sos",
        "/api/ws",
        "/internal/x",
        "/health",
        "/api/participants/joined",
    ] {
        assert_eq!(Dialect::of(enveloped), Dialect::Envelope, "{enveloped}");
    }
}

#[test]
fn coming_back_at_once_is_never_the_advice() {
    for (after, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
        let response = ApiError::rate_limited(Duration::from_millis(after)).error_response();
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), seconds);
    }
}
