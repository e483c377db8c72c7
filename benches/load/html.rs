//! The page: one file, its plots drawn as SVG, nothing fetched.

use std::fmt::Write;

use crate::report::{Outcome, Series, plain};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 36.0;
const COLOURS: [&str; 6] = ["#c0392b", "#2c6fbb", "#2e8b57", "#b8860b", "#6a4c93", "#444444"];
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:800px;margin:2em auto;color:#222}\
    table{border-collapse:collapse;width:100%}td{padding:.15em .5em;border-bottom:1px solid #ddd}\
    td+td{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#c0392b;font-weight:600}\
    svg text{font:11px system-ui,sans-serif;fill:#555}";

/// The whole page.
pub fn page(outcome: &Outcome) -> String {
    let title = escape(&outcome.scenario);
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><title>Mayday under load: {title}</title>\
         <style>{STYLE}</style><h1>Mayday under load: {title}</h1>"
    );
    for failure in &outcome.failures {
        let _ = write!(page, "<p class=bad>Failed: {}</p>", escape(failure));
    }
    for remark in &outcome.remarks {
        let _ = write!(page, "<p>{}</p>", escape(remark));
    }
    page.push_str("<h2>Found</h2><table>");
    for row in &outcome.found {
        let _ = write!(
            page,
            "<tr><td>{}<td>{} {}",
            escape(&row.name),
            plain(row.value),
            row.unit
        );
    }
    page.push_str("</table>");
    if !outcome.curves.is_empty() {
        page.push_str("<h2>Latency by percentile</h2>");
        page.push_str(&latency_plot(&outcome.curves));
    }
    if !outcome.timelines.is_empty() {
        page.push_str("<h2>Throughput over time</h2>");
        page.push_str(&throughput_plot(&outcome.timelines));
    }
    page.push_str("<h2>Asked</h2><table>");
    for (name, value) in &outcome.asked {
        let _ = write!(page, "<tr><td>{}<td>{}", escape(name), escape(value));
    }
    page.push_str("</table>");
    page
}

/// Where values lie on the drawing.
struct Axes {
    x_max: f64,
    y_max: f64,
}

impl Axes {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = LEFT + x / self.x_max * (WIDTH - LEFT - 10.0);
        (
            across,
            HEIGHT - BOTTOM - y / self.y_max * (HEIGHT - BOTTOM - 10.0),
        )
    }
}

fn latency_plot(curves: &[Series]) -> String {
    // Each further nine is one step to the right.
    let nines = |percentile: f64| -((100.0 - percentile).max(1e-5) / 100.0).log10();
    let points = |series: &Series| series.points.iter().map(|(p, ms)| (nines(*p), *ms)).collect();
    let ticks = ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999"];
    let lines: Vec<(&str, Vec<(f64, f64)>)> = curves.iter().map(|s| (&*s.name, points(s))).collect();
    let x_max = lines
        .iter()
        .flat_map(|(_, line)| line)
        .map(|p| p.0)
        .fold(1.0, f64::max)
        .ceil();
    let labels = ticks
        .iter()
        .zip(0_u8..)
        .map(|(text, x)| (f64::from(x), format!("{text}%")));
    plot(&lines, x_max, labels.filter(|(x, _)| *x <= x_max).collect(), "ms")
}

fn throughput_plot(timelines: &[Series]) -> String {
    let lines: Vec<(&str, Vec<(f64, f64)>)> =
        timelines.iter().map(|s| (&*s.name, s.points.clone())).collect();
    let x_max = lines
        .iter()
        .flat_map(|(_, line)| line)
        .map(|p| p.0)
        .fold(0.1, f64::max);
    let labels = (0_u8..=5)
        .map(|n| x_max * f64::from(n) / 5.0)
        .map(|x| (x, format!("{x:.1} s")));
    plot(&lines, x_max, labels.collect(), "/s")
}

fn plot(lines: &[(&str, Vec<(f64, f64)>)], x_max: f64, labels: Vec<(f64, String)>, unit: &str) -> String {
    let highest = lines
        .iter()
        .flat_map(|(_, line)| line)
        .map(|p| p.1)
        .fold(0.0, f64::max);
    let axes = Axes {
        x_max,
        y_max: round_up(highest),
    };
    let mut svg = format!("<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img>");
    for fifth in 0_u8..=5 {
        let value = axes.y_max * f64::from(fifth) / 5.0;
        let (left, y) = axes.at(0.0, value);
        let (right, _) = axes.at(x_max, value);
        let _ = write!(
            svg,
            "<path d='M{left:.1} {y:.1}H{right:.1}' stroke='#e4e4e4'/>\
             <text x='{:.1}' y='{:.1}' text-anchor=end>{} {unit}</text>",
            left - 6.0,
            y + 4.0,
            plain(value)
        );
    }
    for (x, label) in labels {
        let (x, y) = axes.at(x, 0.0);
        let _ = write!(
            svg,
            "<text x='{x:.1}' y='{:.1}' text-anchor=middle>{label}</text>",
            y + 16.0
        );
    }
    for ((index, (name, line)), colour) in lines.iter().enumerate().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        for (x, y) in line {
            let (x, y) = axes.at(*x, *y);
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
        }
        let _ = write!(
            svg,
            "<path d='{path}' fill=none stroke='{colour}' stroke-width=1.8 />\
             <text x='{:.1}' y='{:.1}' style='fill:{colour}'>{}</text>",
            LEFT + 12.0,
            20.0 + 14.0 * index as f64,
            escape(name)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The next 1, 2 or 5 with zeros.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(value)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
