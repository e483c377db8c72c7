//! Requests made out of the OpenAPI document, by chance: whatever is asked, the engine answers as the document says,
//! never with a 5xx, and goes on.
//!
//! `MAYDAY_REQUESTS=100000` makes so many, `MAYDAY_REQUESTS_SEED` others; both are printed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::chance::{Chance, Known};
use super::mill::{Mill, Planned};
use crate::support::document::{Document, template_of, wrong_with};
use crate::support::http::Answer;
use crate::support::{DEADLINE, Engine, UNLIMITED};

const REQUESTS: usize = 3_000;
const SEED: u64 = 20_261_121;
const SENDERS: usize = 6;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// What came of it.
#[derive(Default)]
struct Tally {
    sent: usize,
    by_status: BTreeMap<u16, usize>,
    /// Operations that were answered well at least once.
    served: BTreeMap<String, usize>,
    wrong: Vec<String>,
    slowest_ms: u128,
}

#[tokio::test]
async fn whatever_is_asked_the_answer_is_one_that_the_document_knows() {
    let count = setting("MAYDAY_REQUESTS").map_or(REQUESTS, |count| usize::try_from(count).unwrap());
    let seed = setting("MAYDAY_REQUESTS_SEED").unwrap_or(SEED);
    println!("{count} requests, seed {seed}");
    let engine = Engine::start(&UNLIMITED);
    let base = format!("http://{}", engine.address());
    let (known, tally) = (
        Arc::new(Mutex::new(Known::default())),
        Arc::new(Mutex::new(Tally::default())),
    );
    let started = Instant::now();
    let senders = (0..SENDERS).map(|n| {
        let share = count / SENDERS + usize::from(n < count % SENDERS);
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(n as u64);
        tokio::spawn(send(
            base.clone(),
            share,
            seed,
            Arc::clone(&known),
            Arc::clone(&tally),
        ))
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let took = started.elapsed();
    let tally = std::mem::take(&mut *tally.lock());
    let operations = Mill::new(&Document::openapi().value, &mut Chance::new(0)).operations();
    println!(
        "{} answers in {took:.1?}, slowest {} ms; by status {:?}; {} of {operations} operations served",
        tally.sent,
        tally.slowest_ms,
        tally.by_status,
        tally.served.len(),
    );
    assert!(
        tally.wrong.is_empty(),
        "{} of {count} (seed {seed}) were answered as no document says:\n{}",
        tally.wrong.len(),
        tally.wrong.join("\n"),
    );
    assert_eq!(tally.sent, count);
    let log = engine.log();
    for word in ["panicked", "ERROR"] {
        let line = log.lines().find(|line| line.contains(word));
        assert!(line.is_none(), "the engine logged {line:?}");
    }
    engine.nobody().get("/ready").await.ok(200);
    // So that the whole is more than a row of refusals.
    if count >= REQUESTS {
        let share = tally.served.len() * 100 / operations;
        assert!(share >= 80, "only {:?} were ever served", tally.served.keys());
    }
}

async fn send(base: String, count: usize, seed: u64, known: Arc<Mutex<Known>>, tally: Arc<Mutex<Tally>>) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE * 2)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    // The devices are the same for all senders.
    let mill = Mill::new(&Document::openapi().value, &mut Chance::new(1));
    let mut chance = Chance::new(seed);
    for _ in 0..count {
        let planned = mill.plan(&mut chance, &known.lock());
        let asked = Instant::now();
        let answer = ask(&client, &base, &planned).await;
        let ms = asked.elapsed().as_millis();
        let wrong = match &answer {
            Ok(answer) => judge(&planned, answer),
            Err(error) => Some(error.clone()),
        };
        let mut tally = tally.lock();
        tally.sent += 1;
        tally.slowest_ms = tally.slowest_ms.max(ms);
        if let Ok(answer) = &answer {
            *tally.by_status.entry(answer.status).or_default() += 1;
            if answer.status < 300 {
                let operation = format!("{} {}", planned.method, planned.template);
                *tally.served.entry(operation).or_default() += 1;
                if let Ok(body) = serde_json::from_str(&answer.text) {
                    known.lock().learn(&mut chance, &body);
                }
            }
        }
        if let Some(wrong) = wrong.filter(|_| tally.wrong.len() < 40) {
            let answer = answer.map(|answer| format!("{} {}", answer.status, answer.text));
            let entry = format!("- {wrong}\n  {planned}\n  -> {answer:?}");
            // One of a kind is enough to read.
            let kind = |entry: &str| entry.lines().next().map(str::to_owned);
            if !tally.wrong.iter().any(|known| kind(known) == kind(&entry)) {
                tally.wrong.push(entry);
            }
        }
    }
}

async fn ask(client: &reqwest::Client, base: &str, planned: &Planned) -> Result<Answer, String> {
    let method = Method::from_bytes(planned.method.as_bytes()).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in &planned.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    let mut request = client
        .request(method, format!("{base}{}", planned.target))
        .headers(headers);
    if let Some(body) = &planned.body {
        request = request.body(body.clone());
    }
    let response = request
        .send()
        .await
        .map_err(|error| format!("no answer: {error:?}"))?;
    Answer::of(response)
        .await
        .map_err(|error| format!("half an answer: {error:?}"))
}

fn judge(planned: &Planned, answer: &Answer) -> Option<String> {
    if answer.status >= 500 {
        return Some(format!(
            "{} to {} {}",
            answer.status, planned.method, planned.template
        ));
    }
    let path = planned.target.split('?').next().unwrap_or_default();
    let document = Document::openapi();
    // A path that an odd id made another one is judged as what it became.
    let template = template_of(document, path).unwrap_or("none");
    wrong_with(&planned.method, path, answer).map(|wrong| format!("{template}: {wrong}"))
}
