//! What a vendor of text messages has been handed, and what it answers: Twilio's Messages and MSG91's Flow, as far as
//! their public documents say what the engine relies on. No sockets.

use std::time::{Instant, SystemTime};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// A request of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub body: &'a [u8],
}

/// The first message to one number, and how many there were.
struct Taken {
    at: Instant,
    since: SystemTime,
    count: u32,
    text: Box<[u8]>,
}

/// Messages by the number that they are for, each of which expects one.
pub struct Ledger {
    taken: Vec<Option<Taken>>,
    /// Nothing is taken for the time being.
    held: bool,
    /// Numbers that have a message.
    pub reached: u64,
    /// To numbers that nobody expects anything at.
    pub strangers: u64,
    /// Turned away while nothing was taken.
    pub refused: u64,
    /// Asked how a message stands, or what became of an attempt.
    pub questions: u64,
}

/// Number `index` of all that exist: a mobile phone in the Philippines.
pub fn number(index: usize) -> String {
    format!("+63917{index:07}")
}

fn index_of(number: &str) -> Option<usize> {
    let digits = number.trim_start_matches('+').strip_prefix("63917")?;
    (digits.len() == 7).then(|| digits.parse().ok())?
}

/// What it calls the message to this number.
fn sid(index: usize) -> String {
    format!("SM{index:032x}")
}

impl Ledger {
    /// The first `numbers` numbers expect a message each.
    pub fn new(numbers: usize) -> Self {
        Self {
            taken: (0..numbers).map(|_| None).collect(),
            held: false,
            reached: 0,
            strangers: 0,
            refused: 0,
            questions: 0,
        }
    }

    /// From now on nothing is taken, or all of it again.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// When the first message to this number came.
    pub fn first(&self, index: usize) -> Option<Instant> {
        self.taken.get(index)?.as_ref().map(|taken| taken.at)
    }

    /// Messages that somebody had already.
    pub fn twice(&self) -> u64 {
        let further = self.taken.iter().flatten().map(|taken| taken.count - 1);
        further.map(u64::from).sum()
    }

    /// Status and body of the answer.
    pub fn answer(&mut self, asked: Asked<'_>, now: Instant) -> (u16, String) {
        let path = asked.path.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        match (asked.method, last) {
            ("POST", "Messages.json" | "flow") if self.held => {
                self.refused += 1;
                let body =
                    json!({"type": "error", "code": 20429, "message": "Too Many Requests", "status": 429});
                (429, body.to_string())
            }
            ("POST", "Messages.json") => {
                match self.take(form_value(asked.body, "To").as_deref(), asked.body, now) {
                    Some(index) => (201, json!({"sid": sid(index), "status": "queued"}).to_string()),
                    None => (400, json!({"code": 21211, "status": 400}).to_string()),
                }
            }
            ("POST", "flow") => {
                let json: Value = serde_json::from_slice(asked.body).unwrap_or_default();
                match self.take(json["recipients"][0]["mobiles"].as_str(), asked.body, now) {
                    Some(index) => (200, json!({"type": "success", "message": sid(index)}).to_string()),
                    None => (200, json!({"type": "error", "code": "202"}).to_string()),
                }
            }
            ("GET", "Messages.json") => {
                self.questions += 1;
                let query = asked.path.split_once('?').map_or("", |(_, query)| query);
                let to = form_value(query.as_bytes(), "To");
                let found = to.and_then(|to| self.sent_to(index_of(&to)?));
                (
                    200,
                    json!({"messages": Vec::from_iter(found), "next_page_uri": null}).to_string(),
                )
            }
            ("GET", name) => {
                self.questions += 1;
                let index = name
                    .strip_prefix("SM")
                    .and_then(|name| name.strip_suffix(".json"));
                let index = index.and_then(|index| usize::from_str_radix(index, 16).ok());
                match index.filter(|index| self.first(*index).is_some()) {
                    Some(index) => (200, json!({"sid": sid(index), "status": "delivered"}).to_string()),
                    None => (404, json!({"code": 20404, "status": 404}).to_string()),
                }
            }
            _ => (404, json!({"code": 20404, "status": 404}).to_string()),
        }
    }

    fn take(&mut self, to: Option<&str>, body: &[u8], now: Instant) -> Option<usize> {
        let index = to.and_then(index_of);
        let Some((index, place)) = index.and_then(|index| Some((index, self.taken.get_mut(index)?))) else {
            self.strangers += 1;
            return None;
        };
        match place {
            Some(taken) => taken.count += 1,
            None => {
                self.reached += 1;
                *place = Some(Taken {
                    at: now,
                    since: SystemTime::now(),
                    count: 1,
                    text: body.into(),
                });
            }
        }
        Some(index)
    }

    /// The message to this number, as a list of messages tells it.
    fn sent_to(&self, index: usize) -> Option<Value> {
        let taken = self.taken.get(index)?.as_ref()?;
        Some(json!({
            "sid": sid(index),
            "body": form_value(&taken.text, "Body")?,
            "direction": "outbound-api",
            "status": "sent",
            // The date of RFC 2822 differs in nothing but the zone's name.
            "date_created": httpdate::fmt_http_date(taken.since).replace("GMT", "+0000"),
        }))
    }
}

/// A field of a form or a query.
fn form_value(form: &[u8], name: &str) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let value = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let spaced = value.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}
