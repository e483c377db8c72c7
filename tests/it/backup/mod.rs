//! Backups are made and brought back while people call for help, and nothing that was acknowledged is lost.

mod offline;
mod online;
mod under_load;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Engine, Person};

/// What a command said and how it ended.
struct Said {
    code: Option<i32>,
    text: String,
}

impl Said {
    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self.text
    }

    #[track_caller]
    fn refused(self, with: &str) {
        assert_ne!(self.code, Some(0), "{}", self.text);
        assert!(self.text.contains(with), "{with:?} is not in: {}", self.text);
    }
}

/// Runs a command of the engine's program; who talks to the engine goes on meanwhile.
async fn run(engine: &Engine, arguments: &[&str]) -> Said {
    let mut command = engine.command(arguments);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: output.status.code(),
        text: text(&output.stdout) + &text(&output.stderr),
    }
}

async fn backs_up(engine: &Engine, to: &Path) -> String {
    run(engine, &["backup", to.to_str().unwrap()]).await.well()
}

async fn restores(engine: &Engine, from: &Path) -> Said {
    run(engine, &["restore", from.to_str().unwrap()]).await
}

fn file(engine: &Engine, name: &str) -> PathBuf {
    engine.data().parent().unwrap().join(name)
}

/// The engine's data are gone, and another one starts with nothing.
fn wipe(engine: &mut Engine) {
    engine.kill9();
    std::fs::remove_dir_all(engine.data()).unwrap();
}

/// A room's whole log, which has no gap.
async fn log_of(staff: &Person, sos: &str) -> Vec<Value> {
    let (mut log, mut since) = (Vec::new(), 0);
    loop {
        let path = format!("/api/v1/sos/{sos}/events?limit=100&since={since}");
        let (page, next) = staff.get(&path).await.page();
        log.extend(page);
        match next {
            Some(next) => since = next.parse().unwrap(),
            None => break,
        }
    }
    for (n, event) in log.iter().enumerate() {
        assert_eq!(event["seq"], json!(n + 1), "a gap in the log of {sos}");
    }
    log
}

/// Every incident, each once.
async fn listed(staff: &Person) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = staff.get(&format!("/api/v1/sos?limit=100{cursor}")).await.page();
        all.extend(page.iter().map(|sos| sos["sosId"].as_str().unwrap().to_owned()));
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b), "an incident is listed twice");
    all
}
