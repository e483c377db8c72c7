//! Recorded journeys: read from CSV, cut where a vehicle rested.

use crate::sampling::Fix;

/// A longer pause ends a taxi's shift.
const SHIFT_GAP_MS: u64 = 30 * 60 * 1000;

/// One journey of one vehicle or person, in the order of the file.
pub type Journey = Vec<Fix>;

/// Which columns hold what; the header of the file tells.
struct Columns {
    /// Those that together name the subject.
    subject: Vec<usize>,
    time: usize,
    latitude: usize,
    longitude: usize,
}

impl Columns {
    fn of(header: &str) -> Result<Self, String> {
        let names: Vec<&str> = header.trim().split(',').collect();
        let find = |name: &str| {
            names
                .iter()
                .position(|n| *n == name)
                .ok_or(format!("no column {name}"))
        };
        let subject: Vec<usize> = ["vehicle", "person", "trajectory"]
            .iter()
            .filter_map(|name| find(name).ok())
            .collect();
        if subject.is_empty() {
            return Err("no column vehicle or person".into());
        }
        Ok(Self {
            subject,
            time: find("unix_time")?,
            latitude: find("latitude")?,
            longitude: find("longitude")?,
        })
    }
}

/// Reads a file and cuts it into journeys, the longest first.
pub fn journeys(csv: &str) -> Result<Vec<Journey>, String> {
    let mut lines = csv.lines();
    let columns = Columns::of(lines.next().unwrap_or_default())?;
    let mut journeys: Vec<Journey> = Vec::new();
    let mut subject = Vec::new();
    for (line, number) in lines.zip(2..) {
        let fields: Vec<&str> = line.trim().split(',').collect();
        let field = |column: usize| fields.get(column).copied().unwrap_or_default();
        let degrees = |column| {
            field(column)
                .parse::<f64>()
                .map_err(|e| format!("line {number}: {e}"))
        };
        let seconds: u64 = field(columns.time)
            .parse()
            .map_err(|e| format!("line {number}: {e}"))?;
        let fix = Fix {
            unix_ms: seconds * 1000,
            latitude: degrees(columns.latitude)?,
            longitude: degrees(columns.longitude)?,
        };
        let name: Vec<&str> = columns.subject.iter().map(|column| field(*column)).collect();
        match journeys.last_mut() {
            Some(journey) if name == subject && follows(journey, &fix) => journey.push(fix),
            _ => journeys.push(vec![fix]),
        }
        subject = name;
    }
    journeys.sort_by_key(|journey| std::cmp::Reverse(journey.len()));
    Ok(journeys)
}

fn follows(journey: &Journey, fix: &Fix) -> bool {
    journey
        .last()
        .is_none_or(|last| fix.unix_ms.saturating_sub(last.unix_ms) <= SHIFT_GAP_MS)
}
