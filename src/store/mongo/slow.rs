//! Tells of commands that took long: what they look like and how the server carries them out, never their values.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use parking_lot::Mutex;

use crate::store::meters::bump;

/// Longer shapes are cut.
const SHAPE_MAX_CHARS: usize = 600;
/// Of what is slow in quick succession only the first is told, and how many were not.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// The server is asked for one plan at a time, and not for longer than this.
const EXPLAIN_MAX: Duration = Duration::from_secs(2);

pub(super) struct Slow {
    from: Duration,
    pub seen: AtomicU64,
    /// When one was told last, and how many were not told since.
    told: Mutex<(Option<Instant>, u64)>,
    explaining: Arc<AtomicBool>,
}

impl Slow {
    /// Tells of what takes `from` or longer; zero: of nothing.
    pub fn new(from: Duration) -> Self {
        Self {
            from,
            seen: AtomicU64::new(0),
            told: Mutex::default(),
            explaining: Arc::default(),
        }
    }

    pub fn is_slow(&self, took: Duration) -> bool {
        !self.from.is_zero() && took >= self.from
    }

    /// Tells of one. `command` is what the server can explain; one that it cannot is told without a plan.
    pub fn tell(&self, database: &Database, what: &'static str, command: Document, took: Duration) {
        bump(&self.seen, 1);
        let Some(untold) = self.untold(Instant::now()) else {
            return;
        };
        let shape = shape(&command);
        let explainable = ["find", "aggregate", "update", "delete", "count", "distinct"];
        let named = command
            .keys()
            .next()
            .is_some_and(|key| explainable.contains(&key.as_str()));
        if !named || self.explaining.swap(true, Ordering::AcqRel) {
            tell(what, took, &shape, "", untold);
            return;
        }
        let (database, done) = (database.clone(), Arc::clone(&self.explaining));
        tokio::spawn(async move {
            let explain = doc! { "explain": command, "verbosity": "queryPlanner" };
            let asked = tokio::time::timeout(EXPLAIN_MAX, database.run_command(explain)).await;
            done.store(false, Ordering::Release);
            let plan = match asked {
                Ok(Ok(answer)) => plan(&answer),
                _ => "unknown".to_owned(),
            };
            tell(what, took, &shape, &plan, untold);
        });
    }

    /// How many were not told since the last one that was; `None`: nor is this one.
    fn untold(&self, now: Instant) -> Option<u64> {
        let (last, untold) = &mut *self.told.lock();
        if last.is_some_and(|last| now.duration_since(last) < TELL_EVERY) {
            *untold += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(untold))
    }
}

fn tell(what: &'static str, took: Duration, shape: &str, plan: &str, untold: u64) {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(what, took_ms, shape, plan, untold, "slow command");
}

/// A command's keys, with a question mark for each value.
fn shape(command: &Document) -> String {
    let mut text = String::new();
    write_document(&mut text, command, 0);
    if let Some((end, _)) = text.char_indices().nth(SHAPE_MAX_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn write_document(text: &mut String, document: &Document, depth: usize) {
    text.push('{');
    for (n, (key, value)) in document.iter().enumerate() {
        if n > 0 {
            text.push_str(", ");
        }
        let _ = write!(text, "{key}: ");
        match value {
            // The collection, and which fields in which order.
            Bson::String(name) if depth == 0 && n == 0 => text.push_str(name),
            Bson::Document(sort) if depth == 0 && key == "sort" => {
                let _ = write!(text, "{sort}");
            }
            Bson::String(name) if depth == 0 && key == "hint" => text.push_str(name),
            value => write_value(text, value, depth + 1),
        }
    }
    text.push('}');
}

fn write_value(text: &mut String, value: &Bson, depth: usize) {
    match value {
        Bson::Document(inner) => write_document(text, inner, depth),
        Bson::Array(items) => {
            text.push('[');
            let documents = items.iter().filter_map(Bson::as_document);
            let few = documents.clone().take(4);
            for (n, inner) in few.enumerate() {
                if n > 0 {
                    text.push_str(", ");
                }
                write_document(text, inner, depth);
            }
            match documents.count() {
                0 => text.push('?'),
                1..=4 => {}
                more => {
                    let _ = write!(text, ", {} more", more - 4);
                }
            }
            text.push(']');
        }
        _ => text.push('?'),
    }
}

/// The stages of a plan from the last to the first, with the indexes they use.
fn plan(explained: &Document) -> String {
    let mut stages = Vec::new();
    collect(explained, &mut stages);
    stages.join(" < ")
}

fn collect(document: &Document, stages: &mut Vec<String>) {
    if let Ok(stage) = document.get_str("stage") {
        stages.push(match document.get_str("indexName") {
            Ok(index) => format!("{stage}({index})"),
            Err(_) => stage.to_owned(),
        });
    }
    for (key, value) in document {
        // Neither what was rejected nor the command as it was sent.
        let inner = matches!(
            key.as_str(),
            "queryPlanner"
                | "winningPlan"
                | "queryPlan"
                | "inputStage"
                | "inputStages"
                | "stages"
                | "$cursor"
                | "$geoNearCursor"
                | "shards"
                | "innerStage"
                | "outerStage"
                | "thenStage"
                | "elseStage"
        );
        match value {
            Bson::Document(inner_document) if inner => collect(inner_document, stages),
            Bson::Array(items) if inner => {
                for item in items.iter().filter_map(Bson::as_document) {
                    if let Some(name) = item.keys().next().filter(|name| name.starts_with('$')) {
                        stages.push(name.clone());
                    }
                    collect(item, stages);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_at_once_one_is_told_with_how_many_were_not() {
        let (slow, now) = (Slow::new(Duration::from_millis(100)), Instant::now());
        assert_eq!(slow.untold(now), Some(0));
        for _ in 0..3 {
            assert_eq!(slow.untold(now + TELL_EVERY / 2), None);
        }
        assert_eq!(slow.untold(now + TELL_EVERY), Some(3));
        assert_eq!(slow.untold(now + TELL_EVERY * 2), Some(0));
    }

    #[test]
    fn a_shape_has_the_keys_and_no_value() {
        let command = doc! {
            "find": "participants",
            "filter": { "subject": "u:ana", "seq": { "$gt": 7 }, "$or": [{ "a": "x" }, { "b": 1.5 }] },
            "sort": { "at": -1 },
            "hint": "by_subject",
            "ids": ["secret", "other"],
        };
        assert_eq!(
            shape(&command),
            "{find: participants, filter: {subject: ?, seq: {$gt: ?}, $or: [{a: ?}, {b: ?}]}, sort: { \"at\": -1 }, \
             hint: by_subject, ids: [?]}"
        );
    }

    #[test]
    fn a_plan_is_told_by_its_stages_and_indexes() {
        let explained = doc! {
            "queryPlanner": {
                "winningPlan": { "stage": "LIMIT", "inputStage": {
                    "stage": "FETCH", "filter": { "subject": "u:ana" },
                    "inputStage": { "stage": "IXSCAN", "indexName": "by_subject", "indexBounds": { "subject": ["u:ana"] } }
                } },
                "rejectedPlans": [{ "stage": "COLLSCAN" }],
            },
            "command": { "filter": { "subject": "u:ana" } },
        };
        assert_eq!(plan(&explained), "LIMIT < FETCH < IXSCAN(by_subject)");
    }

    #[test]
    fn what_is_fast_is_not_told_of() {
        assert!(!Slow::new(Duration::from_millis(100)).is_slow(Duration::from_millis(99)));
        assert!(Slow::new(Duration::from_millis(100)).is_slow(Duration::from_millis(100)));
        assert!(!Slow::new(Duration::ZERO).is_slow(Duration::from_secs(100)));
    }
}
