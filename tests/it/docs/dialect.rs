//! The AsyncAPI document against a running engine: each client message that it shows is understood, and each close
//! code that it lists is one.

use std::time::Duration;

use mayday::domain::time::Timestamp;
use mayday::wire::socketio::Args;
use mayday::wire::{Reading, incident};
use serde_json::json;

use crate::support::document::{Document, check_word};
use crate::support::{Engine, Heard};

#[tokio::test]
async fn every_client_message_that_is_shown_is_understood() {
    let engine = Engine::unlimited();
    let mut client = engine.user("Ana").connect().await;
    let messages = Document::asyncapi().value["components"]["messages"]
        .as_object()
        .unwrap();
    let mut said = 0;
    for (name, message) in messages.iter().filter(|(name, _)| name.starts_with("client.")) {
        for example in message["examples"].as_array().unwrap() {
            client.says(example["payload"].clone()).await;
            said += 1;
            client.says(json!({"type": "ping"})).await;
            // Whatever it is answered, it is no complaint about its form.
            loop {
                let Heard::Message(heard) = client.hears().await else {
                    panic!("{name} ended the connection");
                };
                if heard["type"] == "pong" {
                    break;
                }
                let code = heard["code"].as_str().unwrap_or_default();
                assert!(
                    !["BAD_JSON", "UNKNOWN_TYPE", "INVALID_FIELD"].contains(&code),
                    "{name}: {heard}"
                );
            }
            // The answer to a `ping` that was itself the example.
            if example["payload"]["type"] == "ping" {
                client.expect(json!({"type": "pong"})).await;
            }
        }
    }
    assert!(said >= 17, "{said} messages");
}

#[test]
fn every_event_of_incident_clients_that_is_shown_is_understood() {
    let reading = Reading {
        now: Timestamp::from_ms(1_763_687_926_087),
        max_ahead: Duration::from_secs(120),
        radius_max_km: 25,
        content_max_chars: 2000,
    };
    let messages = Document::asyncapi().value["components"]["messages"]
        .as_object()
        .unwrap();
    let mut said = 0;
    for (name, message) in messages {
        let Some(event) = name.strip_prefix("socketio.client.") else {
            continue;
        };
        let example = &message["examples"][0]["payload"];
        let args = Args::build().value(example).done();
        let understood = match incident::admin::parse(event, &args, 500) {
            Ok(None) => incident::parse(event, &args, &reading).is_ok(),
            operators => operators.is_ok(),
        };
        assert!(understood, "{event} {example}");
        said += 1;
    }
    assert_eq!(said, 20);
}

#[test]
fn incident_clients_get_nothing_that_the_document_does_not_say() {
    let mut heard = 0;
    for full in [true, false] {
        incident::samples::each(full, |word| {
            check_word(word.name, &serde_json::from_str(&word.body).unwrap());
            heard += 1;
        });
    }
    assert!(heard >= 46, "{heard}");
}

#[test]
fn close_codes_say_whether_to_come_back_as_the_contract_does() {
    let codes = &Document::asyncapi().value["channels"]["socket"]["x-close-codes"];
    for entry in codes.as_array().unwrap() {
        let code = entry["code"].as_u64().unwrap();
        let back = matches!(code, 1001 | 1011 | 4000..=4499);
        assert_eq!(entry["reconnect"], back, "{entry}");
    }
}
