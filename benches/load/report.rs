//! What a scenario found, as a table, as JSON and as a page.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Result;
use crate::html;
use crate::stats::{Latency, Timeline};

/// Rows that grow: what was asked, what was found, what was wrong.
#[derive(Default)]
pub struct Outcome {
    pub scenario: String,
    pub asked: Vec<(String, String)>,
    pub found: Vec<Row>,
    pub curves: Vec<Series>,
    pub timelines: Vec<Series>,
    /// Any of these makes the exit code 1.
    pub failures: Vec<String>,
    /// What a reader should know before believing the numbers.
    pub remarks: Vec<String>,
}

pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
}

pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

impl Outcome {
    pub fn new(scenario: &str) -> Self {
        Self {
            scenario: scenario.into(),
            ..Self::default()
        }
    }

    pub fn ask(&mut self, name: &str, value: impl std::fmt::Display) {
        self.asked.push((name.into(), value.to_string()));
    }

    pub fn find(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.found.push(Row {
            name: name.into(),
            value,
            unit,
        });
    }

    pub fn fail(&mut self, why: impl Into<String>) {
        self.failures.push(why.into());
    }

    /// Takes over what a part of the scenario found.
    pub fn take(&mut self, part: &str, other: Self) {
        let named = |name: &str| format!("{part}: {name}");
        for (name, value) in other.asked {
            self.asked.push((named(&name), value));
        }
        for row in other.found {
            self.found.push(Row {
                name: named(&row.name),
                ..row
            });
        }
        for (own, others) in [
            (&mut self.curves, other.curves),
            (&mut self.timelines, other.timelines),
        ] {
            for series in others {
                own.push(Series {
                    name: named(&series.name),
                    ..series
                });
            }
        }
        self.failures
            .extend(other.failures.iter().map(|text| named(text)));
        self.remarks.extend(other.remarks.iter().map(|text| named(text)));
    }

    pub fn remark(&mut self, what: impl Into<String>) {
        self.remarks.push(what.into());
    }

    /// Records a failure when a count that should be zero is not.
    pub fn expect_none(&mut self, name: &str, count: u64) {
        self.find(name, count as f64, "");
        if count > 0 {
            self.fail(format!("{name}: {count}"));
        }
    }

    pub fn latency(&mut self, name: &str, latency: &Latency, p99_limit_ms: Option<f64>) {
        for (label, percentile) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)] {
            self.find(format!("{name} {label}"), latency.millis(percentile), "ms");
        }
        self.find(format!("{name} max"), latency.max_millis(), "ms");
        if let Some(limit) = p99_limit_ms
            && latency.millis(99.0) > limit
        {
            self.fail(format!(
                "{name} p99 is {:.1} ms, the limit {limit} ms",
                latency.millis(99.0)
            ));
        }
        self.curves.push(Series {
            name: name.into(),
            points: latency.curve(),
        });
    }

    /// One of many latencies: what it is mostly, what it is at worst, and whether it is within the limit.
    pub fn brief(&mut self, name: &str, latency: &Latency, p99_limit_ms: f64) {
        for (label, percentile) in [("p50", 50.0), ("p99", 99.0)] {
            self.find(format!("{name} {label}"), latency.millis(percentile), "ms");
        }
        let p99 = latency.millis(99.0);
        if p99 > p99_limit_ms {
            self.fail(format!("{name} p99 is {p99:.1} ms, the limit {p99_limit_ms} ms"));
        }
        self.curves.push(Series {
            name: name.into(),
            points: latency.curve(),
        });
    }

    pub fn timeline(&mut self, name: &str, timeline: &Timeline) {
        self.timelines.push(Series {
            name: name.into(),
            points: timeline.points(),
        });
    }

    pub fn write_table(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "\n{}", self.scenario)?;
        for (name, value) in &self.asked {
            writeln!(out, "  {name:<38} {value:>16}")?;
        }
        writeln!(out, "  {}", "-".repeat(64))?;
        for row in &self.found {
            writeln!(out, "  {:<38} {:>16} {}", row.name, plain(row.value), row.unit)?;
        }
        for remark in &self.remarks {
            writeln!(out, "  note: {remark}")?;
        }
        for failure in &self.failures {
            writeln!(out, "  FAILED: {failure}")?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let asked: Map<String, Value> = self
            .asked
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let found: Map<String, Value> = self
            .found
            .iter()
            .map(|row| (row.name.clone(), json!({"value": row.value, "unit": row.unit})))
            .collect();
        let series = |all: &[Series]| -> Vec<Value> {
            all.iter()
                .map(|s| json!({"name": s.name, "points": s.points}))
                .collect()
        };
        json!({
            "scenario": self.scenario,
            "asked": asked,
            "found": found,
            "latencyPercentiles": series(&self.curves),
            "throughput": series(&self.timelines),
            "remarks": self.remarks,
            "failures": self.failures,
        })
    }

    pub fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.json())?;
        if path == Path::new("-") {
            println!("{text}");
        } else {
            std::fs::write(path, text)?;
        }
        Ok(())
    }

    pub fn write_page(&self, path: &Path) -> Result<()> {
        std::fs::write(path, html::page(self))?;
        Ok(())
    }
}

/// A number for people: thousands apart, no more digits than mean something.
pub fn plain(value: f64) -> String {
    let digits = match value.abs() {
        v if v.fract() == 0.0 || v >= 1000.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0
            && (whole.len() - index).is_multiple_of(3)
            && digit.is_ascii_digit()
            && !grouped.ends_with('-')
        {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() {
        grouped
    } else {
        format!("{grouped}.{fraction}")
    }
}
