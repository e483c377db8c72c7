//! Small storms against the engine itself, so that the scenarios which end at a vendor cannot rot.

use std::time::Instant;

use clap::Parser as _;

use crate::cli::{Cli, Scenario};
use crate::ledger::{Asked, Ledger};
use crate::report::Outcome;
use crate::vendor::next_request;
use crate::{notify, sos_storm};

fn outcome_of(line: &str) -> Outcome {
    let cli = Cli::try_parse_from(std::iter::once("load").chain(line.split(' '))).unwrap();
    let outcome = match cli.scenario.unwrap() {
        Scenario::SosStorm(args) => sos_storm::run(&cli.common, &args),
        Scenario::Notify(args) => notify::run(&cli.common, &args),
        other => panic!("{other:?} is not tried here"),
    };
    outcome.unwrap()
}

fn found(outcome: &Outcome, name: &str) -> f64 {
    let row = outcome.found.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("{name} is not told")).value
}

#[test]
fn a_small_storm_is_told_to_every_contact_once() {
    let storm =
        "sos-storm --count 40 --rate 200 --connections 8 --watchers 2 --contacts 3 --vendor-latency-ms 1";
    let outcome = outcome_of(storm);
    assert_eq!(outcome.failures, Vec::<String>::new());
    assert_eq!(found(&outcome, "acknowledged") as u64, 40);
    assert_eq!(found(&outcome, "messages with the vendor") as u64, 120);
    assert!(found(&outcome, "SOS to its first vendor p99") > 0.0);
}

#[test]
fn a_few_messages_that_wait_for_a_vendor_are_with_it_once_it_takes_them() {
    let outcome =
        outcome_of("notify --jobs 20 --contacts 3 --connections 4 --env MAYDAY__ALERTS__BREAKER_REST_MS=500");
    assert_eq!(outcome.failures, Vec::<String>::new());
    assert_eq!(found(&outcome, "with the vendor") as u64, 20);
    assert!(found(&outcome, "attempts that were turned away before") > 0.0);
}

fn asked<'a>(method: &'a str, path: &'a str, body: &'a str) -> Asked<'a> {
    let body = body.as_bytes();
    Asked { method, path, body }
}

#[test]
fn the_vendor_tells_first_messages_from_further_ones_and_from_those_to_nobody() {
    let mut ledger = Ledger::new(2);
    let now = Instant::now();
    let path = "/2010-04-01/Accounts/AC0/Messages.json";
    let text = "To=%2B639170000001&From=%2B15005550006&Body=SOS%3A+help%21";
    assert_eq!(ledger.answer(asked("POST", path, text), now).0, 201);
    assert_eq!(ledger.first(1), Some(now));
    assert_eq!((ledger.reached, ledger.twice(), ledger.strangers), (1, 0, 0));
    let flow = r#"{"template_id":"t","recipients":[{"mobiles":"639170000001"}]}"#;
    let (status, answer) = ledger.answer(asked("POST", "/api/v5/flow", flow), now);
    assert_eq!((status, answer.contains("success")), (200, true));
    assert_eq!((ledger.reached, ledger.twice()), (1, 1));
    ledger.answer(asked("POST", path, "To=%2B639170000002&Body=x"), now);
    ledger.answer(asked("POST", path, "To=%2B15005550006&Body=x"), now);
    assert_eq!((ledger.reached, ledger.strangers), (1, 2));
    ledger.hold(true);
    assert_eq!(
        ledger
            .answer(asked("POST", path, "To=%2B639170000000&Body=x"), now)
            .0,
        429
    );
    assert_eq!((ledger.reached, ledger.refused), (1, 1));
}

#[test]
fn the_vendor_can_be_asked_what_became_of_a_message() {
    let mut ledger = Ledger::new(2);
    let list = "/2010-04-01/Accounts/AC0/Messages.json";
    let question = format!("{list}?To=%2B639170000001&PageSize=50");
    let now = Instant::now();
    let (_, answer) = ledger.answer(asked("GET", &question, ""), now);
    assert!(answer.contains(r#""messages":[]"#), "{answer}");
    ledger.answer(asked("POST", list, "To=%2B639170000001&Body=SOS%3A+help%21"), now);
    let (_, answer) = ledger.answer(asked("GET", &question, ""), now);
    assert!(answer.contains(r#""body":"SOS: help!""#), "{answer}");
    let one = |index: usize| format!("/2010-04-01/Accounts/AC0/Messages/SM{index:032x}.json");
    assert_eq!(ledger.answer(asked("GET", &one(1), ""), now).0, 200);
    assert_eq!(ledger.answer(asked("GET", &one(0), ""), now).0, 404);
    assert_eq!(ledger.questions, 4);
}

#[test]
fn a_request_to_the_vendor_is_read_once_it_is_whole() {
    let bytes = b"POST /x HTTP/1.1\r\nhost: a\r\nContent-Length: 3\r\n\r\nabcGET";
    let (asked, len) = next_request(bytes).unwrap();
    assert_eq!(
        (asked.method, asked.path, asked.body),
        ("POST", "/x", &b"abc"[..])
    );
    assert_eq!(len, bytes.len() - 3);
    assert!(next_request(&bytes[..len - 1]).is_none());
}
