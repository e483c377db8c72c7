//! The metrics that are counted as things happen, all in one place.

use std::fmt;
use std::time::Duration;

use parking_lot::RwLock;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use super::scrape::Scrape;

/// From 1 ms to 10 s, in steps that tell the promised 20, 100 and 500 ms from their neighbours.
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0,
];

type Source = Box<dyn Fn(&mut Scrape) + Send + Sync>;

/// Kinds of routes that are worth telling apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteClass {
    /// Incidents, except uploads of positions.
    Sos,
    /// Uploads and reads of positions.
    Locations,
    /// Circles, contacts, devices, tickets and the like.
    General,
    /// Sister services.
    Internal,
    /// Health, metrics, documents.
    Operations,
    /// Nothing is there.
    Unknown,
}

impl RouteClass {
    /// The class of a route by its pattern (`/api/v1/sos/{id}`).
    pub fn of(pattern: Option<&str>) -> Self {
        let Some(pattern) = pattern else {
            return Self::Unknown;
        };
        let last = pattern
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default();
        if pattern.starts_with("/internal/") {
            Self::Internal
        } else if pattern.starts_with("/api/location") || matches!(last, "location" | "locations") {
            Self::Locations
        } else if pattern.starts_with("/api/v1/sos") {
            Self::Sos
        } else if pattern.starts_with("/api/") {
            Self::General
        } else {
            Self::Operations
        }
    }

    /// Its label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sos => "sos",
            Self::Locations => "locations",
            Self::General => "general",
            Self::Internal => "internal",
            Self::Operations => "operations",
            Self::Unknown => "unknown",
        }
    }
}

/// Every metric of the process. One exists; it is shared by `Arc`.
pub struct Metrics {
    registry: Registry,
    sources: RwLock<Vec<Source>>,
    /// WebSocket connections now.
    pub connections: IntGauge,
    /// Rooms in memory now.
    pub rooms_loaded: IntGauge,
    /// Events made durable, by `kind`.
    pub events_appended: IntCounterVec,
    /// Positions that arrived.
    pub positions_received: IntCounter,
    /// Positions that were broadcast.
    pub positions_broadcast: IntCounter,
    /// Positions that a newer one replaced before they were broadcast.
    pub positions_conflated: IntCounter,
    /// Positions kept in history.
    pub positions_kept: IntCounter,
    /// Positions older than what was known.
    pub positions_stale: IntCounter,
    /// Positions that would mean a speed which nobody has.
    pub positions_doubtful: IntCounter,
    /// Frames handed to outboxes.
    pub deliveries: IntCounter,
    /// What was not delivered or not taken, by `reason`.
    pub drops: IntCounterVec,
    /// Sessions that ended, by `reason`.
    pub sessions_ended: IntCounterVec,
    /// Commands that were refused, by `reason`.
    pub commands_refused: IntCounterVec,
    /// Requests answered, by `route` class and `status`.
    pub http_requests: IntCounterVec,
    /// Credentials that were refused, by `reason`.
    pub auth_refused: IntCounterVec,
    /// Requests over their sender's budget, by `class`.
    pub rate_limited: IntCounterVec,
    /// Requests over their address's budget, by `class`.
    pub address_limited: IntCounterVec,
    /// Incidents taken although their address was over its budget.
    pub sos_over_address: IntCounter,
    /// Reports of misconduct.
    pub reports: IntCounter,
    /// What was refused or cut off to protect the engine and its users, by `reason`.
    pub refused: IntCounterVec,
    /// From the wish to append until it is on disk.
    pub append_seconds: Histogram,
    /// From durable (an event) or due (a signal) until it is in the outboxes of all members.
    pub fanout_seconds: Histogram,
    /// From the receipt of an SOS until it is durable and handed to every channel.
    pub sos_accepted_seconds: Histogram,
    /// From the receipt of a request until its answer, by `route` class.
    pub http_request_seconds: HistogramVec,
    /// From the receipt of an upgrade request until `connected` is queued.
    pub connect_seconds: Histogram,
}

/// Makes metrics and registers them.
struct Builder(Registry);

impl Builder {
    fn add<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("invariant: names and labels are valid");
        self.0
            .register(Box::new(metric.clone()))
            .expect("invariant: every name is used once");
        metric
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn seconds(&self, name: &str, help: &str) -> Histogram {
        self.add(Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(SECONDS.into()),
        ))
    }

    fn seconds_by(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        self.add(HistogramVec::new(
            HistogramOpts::new(name, help).buckets(SECONDS.into()),
            &[label],
        ))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero, in a registry of their own.
    pub fn new() -> Self {
        let make = Builder(Registry::new());
        Self {
            sources: RwLock::default(),
            connections: make.gauge("mayday_connections", "WebSocket connections."),
            rooms_loaded: make.gauge("mayday_rooms_loaded", "Rooms in memory."),
            events_appended: make.counters("mayday_events_appended_total", "Events made durable.", &["kind"]),
            positions_received: make.counter("mayday_positions_received_total", "Positions that arrived."),
            positions_broadcast: make.counter("mayday_positions_broadcast_total", "Positions broadcast."),
            positions_conflated: make.counter(
                "mayday_positions_conflated_total",
                "Positions replaced before they were broadcast.",
            ),
            positions_kept: make.counter("mayday_positions_kept_total", "Positions kept in history."),
            positions_stale: make.counter(
                "mayday_positions_stale_total",
                "Positions older than what was known.",
            ),
            positions_doubtful: make.counter(
                "mayday_positions_doubtful_total",
                "Positions left out until a second one agrees.",
            ),
            deliveries: make.counter("mayday_deliveries_total", "Frames handed to outboxes."),
            drops: make.counters(
                "mayday_drops_total",
                "What was not delivered or not taken.",
                &["reason"],
            ),
            sessions_ended: make.counters("mayday_sessions_ended_total", "Sessions that ended.", &["reason"]),
            commands_refused: make.counters(
                "mayday_commands_refused_total",
                "Commands refused.",
                &["reason"],
            ),
            http_requests: make.counters(
                "mayday_http_requests_total",
                "Requests answered.",
                &["route", "status"],
            ),
            auth_refused: make.counters(
                "mayday_auth_refused_total",
                "Credentials that were refused.",
                &["reason"],
            ),
            rate_limited: make.counters("mayday_rate_limited_total", "Requests over a budget.", &["class"]),
            address_limited: make.counters(
                "mayday_address_limited_total",
                "Requests over the budget of their address.",
                &["class"],
            ),
            sos_over_address: make.counter(
                "mayday_sos_over_address_total",
                "Incidents taken although their address was over its budget.",
            ),
            reports: make.counter("mayday_reports_total", "Reports of misconduct."),
            refused: make.counters(
                "mayday_refused_total",
                "Refused or cut off to protect the engine and its users.",
                &["reason"],
            ),
            append_seconds: make.seconds("mayday_append_seconds", "From the wish to append to on disk."),
            fanout_seconds: make.seconds(
                "mayday_fanout_seconds",
                "From publish to the outboxes of all members.",
            ),
            sos_accepted_seconds: make.seconds(
                "mayday_sos_accepted_seconds",
                "From receipt of an SOS to durable and handed on.",
            ),
            http_request_seconds: make.seconds_by(
                "mayday_http_request_seconds",
                "From receipt of a request to its answer.",
                "route",
            ),
            connect_seconds: make.seconds("mayday_connect_seconds", "From upgrade request to `connected`."),
            registry: make.0,
        }
    }

    /// Asks `source` for its numbers at every scrape. It must be quick and must not wait.
    pub fn register_source(&self, source: impl Fn(&mut Scrape) + Send + Sync + 'static) {
        self.sources.write().push(Box::new(source));
    }

    /// Counts an answered request.
    pub fn http_request(&self, route: RouteClass, status: u16, took: Duration) {
        let mut digits = itoa::Buffer::new();
        self.http_requests
            .with_label_values(&[route.as_str(), digits.format(status)])
            .inc();
        self.http_request_seconds
            .with_label_values(&[route.as_str()])
            .observe(took.as_secs_f64());
    }

    /// Everything, in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut scrape = Scrape::default();
        for source in self.sources.read().iter() {
            source(&mut scrape);
        }
        let mut families = self.registry.gather();
        families.extend(scrape.into_families());
        TextEncoder::new()
            .encode_to_string(&families)
            .unwrap_or_else(|error| {
                // A family without metrics or with a repeated name: a mistake of ours, and no reason to fail.
                tracing::error!(%error, "metrics cannot be rendered");
                String::new()
            })
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_and_what_sources_tell_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.connections.set(3);
        metrics.events_appended.with_label_values(&["created"]).inc_by(2);
        metrics.append_seconds.observe(0.0015);
        metrics.http_request(RouteClass::Sos, 201, Duration::from_millis(3));
        metrics.register_source(|scrape| {
            scrape.queue("store_writer", 5, 100);
            scrape.queue("outboxes", 7, 0);
            scrape.counter("mayday_store_commits_total", "Transactions.", &[], 9);
        });
        let text = metrics.render();
        for line in [
            "mayday_connections 3",
            "mayday_events_appended_total{kind=\"created\"} 2",
            "mayday_append_seconds_bucket{le=\"0.002\"} 1",
            "mayday_http_requests_total{route=\"sos\",status=\"201\"} 1",
            "mayday_queue_depth{queue=\"store_writer\"} 5",
            "mayday_queue_depth{queue=\"outboxes\"} 7",
            "mayday_queue_depth_max{queue=\"store_writer\"} 100",
            "mayday_store_commits_total 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert_eq!(text.matches("# TYPE mayday_queue_depth gauge").count(), 1);
        assert_eq!(metrics.render(), text, "a scrape changes nothing");
    }

    #[test]
    fn routes_fall_into_few_classes() {
        for (pattern, class) in [
            (Some("/api/v1/sos/{id}/status"), RouteClass::Sos),
            (Some("/api/v1/sos/{id}/location"), RouteClass::Locations),
            (Some("/api/location/batch"), RouteClass::Locations),
            (Some("/api/contacts"), RouteClass::General),
            (Some("/internal/realtime/sos/init"), RouteClass::Internal),
            (Some("/ready"), RouteClass::Operations),
            (None, RouteClass::Unknown),
        ] {
            assert_eq!(RouteClass::of(pattern), class, "{pattern:?}");
        }
    }
}
