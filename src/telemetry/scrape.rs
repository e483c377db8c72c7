//! Numbers that other modules keep themselves and that are read when somebody scrapes.

use std::collections::BTreeMap;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// Takes the numbers of one scrape. Names begin with `mayday_` and end in their unit.
#[derive(Debug, Default)]
pub struct Scrape {
    families: BTreeMap<&'static str, (MetricType, &'static str, Vec<Metric>)>,
}

impl Scrape {
    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: u64) {
        let mut gauge = Gauge::default();
        gauge.set_value(float(value));
        let mut metric = labelled(labels);
        metric.set_gauge(gauge);
        self.add(name, help, MetricType::GAUGE, metric);
    }

    /// A number that only goes up.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: u64) {
        let mut counter = Counter::default();
        counter.set_value(float(value));
        let mut metric = labelled(labels);
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    /// How much waits in a queue, and how much may (0: not known).
    pub fn queue(&mut self, queue: &str, depth: u64, max: u64) {
        let labels = [("queue", queue)];
        self.gauge("mayday_queue_depth", "What waits in a queue.", &labels, depth);
        if max > 0 {
            self.gauge(
                "mayday_queue_depth_max",
                "The most that may wait in a queue.",
                &labels,
                max,
            );
        }
    }

    fn add(&mut self, name: &'static str, help: &'static str, kind: MetricType, metric: Metric) {
        self.families
            .entry(name)
            .or_insert_with(|| (kind, help, Vec::new()))
            .2
            .push(metric);
    }

    pub(super) fn into_families(self) -> impl Iterator<Item = MetricFamily> {
        self.families.into_iter().map(|(name, (kind, help, metrics))| {
            let mut family = MetricFamily::default();
            family.set_name(name.into());
            family.set_help(help.into());
            family.set_field_type(kind);
            family.set_metric(metrics);
            family
        })
    }
}

/// Prometheus has floats only; a count loses its last digits beyond 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(value: u64) -> f64 {
    value as f64
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.into());
        pair.set_value(value.into());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}
