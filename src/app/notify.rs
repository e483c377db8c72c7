//! The vendors that carry messages, and the worker that uses them.

use std::sync::Arc;

use actix::ArbiterHandle;

use super::AppError;
use crate::actors::node::Node;
use crate::actors::notify::{
    BOUNDS_MS, LaneSettings, Notifier, NotifyParts, NotifySettings, RetrySettings, Spans,
};
use crate::actors::{Clock as _, SystemClock};
use crate::config::{Config, NotifySecrets, Secrets, notify_callbacks, notify_settings, vendors_on};
use crate::domain::breaker::Stand;
use crate::domain::notify::plan::PlanSettings;
use crate::domain::notify::{Channel, Lane, Vendor};
use crate::http::links::SignedLinks;
use crate::http::routes::VendorCalls;
use crate::notify::Providers;
use crate::telemetry::{Metrics, Scrape};

/// What is wrong with the vendors' settings, files and templates, if anything; else a line about each channel.
pub(super) fn check(config: &Config) -> Result<Vec<String>, AppError> {
    let secrets = NotifySecrets::load(config)?;
    Providers::of(&notify_settings(config, &secrets)?)?;
    notify_callbacks(config, &secrets)?;
    Ok(Channel::ALL
        .iter()
        .map(|channel| line(*channel, vendors_on(&secrets)))
        .collect())
}

fn line(channel: Channel, on: &[Vendor]) -> String {
    let own = on.iter().filter(|vendor| vendor.channel() == channel);
    let names: Vec<_> = own.map(|vendor| vendor.as_str()).collect();
    let by = if names.is_empty() {
        "off".to_owned()
    } else {
        names.join(", then ")
    };
    format!("{}: {by}", channel.as_str())
}

/// By what the links in messages are signed.
pub(super) fn links(config: &Config, secrets: &Secrets) -> SignedLinks {
    SignedLinks::new(&secrets.block, &config.notify.public_url)
}

/// What vendors may call back with.
pub(super) fn callbacks(config: &Config, metrics: &Metrics) -> Result<Arc<VendorCalls>, AppError> {
    let own = NotifySecrets::load(config)?;
    let max_bytes = config.notify.callback_max_bytes;
    let calls = Arc::new(VendorCalls::new(notify_callbacks(config, &own)?, max_bytes));
    let observed = Arc::clone(&calls);
    metrics.register_source(move |scrape| observed.observe(scrape));
    Ok(calls)
}

/// Starts whoever does what is to be done later and tells people who are not connected, on a thread that runs.
pub(super) fn start(
    config: &Config,
    secrets: &Secrets,
    node: &Arc<Node>,
    metrics: &Metrics,
    on: &ArbiterHandle,
) -> Result<Notifier, AppError> {
    let own = NotifySecrets::load(config)?;
    let providers = Providers::of(&notify_settings(config, &own)?)?;
    let parts = NotifyParts {
        providers: providers.all().to_vec(),
        settings: settings(config),
        links: Arc::new(links(config, secrets)),
    };
    let notifier = Notifier::launch(node, parts, on);
    let observed = notifier.clone();
    metrics.register_source(move |scrape| observe(scrape, &observed));
    Ok(notifier)
}

/// What telling people goes by.
fn settings(config: &Config) -> NotifySettings {
    let alerts = &config.alerts;
    let words = alerts
        .acknowledging
        .split(',')
        .map(|word| word.trim().to_uppercase());
    let lane = |at_once, queue_max| LaneSettings { at_once, queue_max };
    NotifySettings {
        plan: PlanSettings {
            steps: alerts.steps.0.clone(),
            channels: alerts.channels.0.clone(),
            channels_at_once: alerts.channels_at_once,
            next_channel_after: alerts.next_channel_after(),
            untouched_after: alerts.untouched_after(),
            cool_down: alerts.cool_down(),
            ttl: alerts.ttl(),
            cancel_window: alerts.cancel_window(),
        },
        retry: RetrySettings {
            tries_max: alerts.tries_max,
            backoff_min: alerts.backoff_min(),
            backoff_max: alerts.backoff_max(),
            patience: alerts.patience(),
            ask_after: alerts.ask_after(),
            watch: alerts.watch(),
        },
        lanes: [
            lane(alerts.sos_at_once, alerts.sos_queue_max),
            lane(alerts.otp_at_once, alerts.otp_queue_max),
            lane(alerts.normal_at_once, alerts.normal_queue_max),
            lane(alerts.low_at_once, alerts.low_queue_max),
        ],
        lease: alerts.lease(),
        timeout: std::time::Duration::from_millis(config.notify.timeout_ms),
        poll: alerts.poll(),
        breaker_failures: alerts.breaker_failures,
        breaker_rest: alerts.breaker_rest(),
        late_after: alerts.late_after(),
        map_url: alerts.map_url.clone(),
        acknowledging: words.filter(|word| !word.is_empty()).collect(),
    }
}

fn observe(scrape: &mut Scrape, notifier: &Notifier) {
    let now = SystemClock.now();
    for depth in notifier.depth() {
        let lane = [("lane", depth.lane.as_str())];
        let help = "Jobs in the store, on all nodes, as of the last look.";
        scrape.gauge("mayday_jobs", help, &lane, depth.jobs);
        let help = "Those of them that are due and wait.";
        scrape.gauge("mayday_jobs_waiting", help, &lane, depth.waiting);
        let help = "For how long the one has been due that waits the longest.";
        let age = depth.oldest.map_or(0, |at| now.since(at).as_secs());
        scrape.gauge("mayday_jobs_age_seconds", help, &lane, age);
    }
    let counted = notifier.tally().counted();
    for lane in Lane::ALL {
        let (claimed, taken_over) = counted.claimed[lane.index()];
        let labels = [("lane", lane.as_str())];
        let help = "Jobs that this node took in hand.";
        scrape.counter("mayday_jobs_claimed_total", help, &labels, claimed);
        let help = "Those of them that somebody had left undone.";
        scrape.counter("mayday_jobs_taken_over_total", help, &labels, taken_over);
        let help = "From a job to the vendor that took its message, in milliseconds.";
        let names = [
            "mayday_handed_ms_bucket",
            "mayday_handed_ms_sum",
            "mayday_handed_ms_count",
        ];
        spans(scrape, names, help, &labels, &counted.handed[lane.index()]);
    }
    for ((vendor, answer), count) in &counted.answers {
        let help = "What vendors answered when they were handed a message.";
        let labels = [("vendor", vendor.as_str()), ("answer", *answer)];
        scrape.counter("mayday_vendor_answers_total", help, &labels, *count);
    }
    for ((vendor, state), count) in &counted.moved {
        let help = "Messages that moved, by whose doing and to where.";
        let vendor = vendor.map_or("none", Vendor::as_str);
        let labels = [("vendor", vendor), ("state", state.as_str())];
        scrape.counter("mayday_notifications_total", help, &labels, *count);
    }
    for (vendor, stand, opened) in notifier.vendors() {
        let labels = [("vendor", vendor.as_str())];
        let help = "Whether a vendor is spoken to: 0 yes, 1 no, 2 by one attempt.";
        let number = match stand {
            Stand::Closed => 0,
            Stand::Open => 1,
            Stand::HalfOpen => 2,
        };
        scrape.gauge("mayday_vendor_breaker", help, &labels, number);
        let help = "Times that it was left alone.";
        scrape.counter("mayday_vendor_breaker_opened_total", help, &labels, opened);
    }
    let help = "From an SOS to its plan of messages, in milliseconds.";
    let names = [
        "mayday_sos_planned_ms_bucket",
        "mayday_sos_planned_ms_sum",
        "mayday_sos_planned_ms_count",
    ];
    spans(scrape, names, help, &[], &counted.planned);
    let help = "From an SOS to the first news of it that a vendor took, in milliseconds.";
    let names = [
        "mayday_sos_handed_ms_bucket",
        "mayday_sos_handed_ms_sum",
        "mayday_sos_handed_ms_count",
    ];
    spans(scrape, names, help, &[], &counted.sos_handed);
    let help = "SOS of which a vendor had news later than alerts.late_after_ms.";
    scrape.counter("mayday_sos_late_total", help, &[], counted.late);
    let help = "Check-ins that nobody confirmed in time: each became an SOS.";
    scrape.counter(
        "mayday_checkins_raised_total",
        help,
        &[],
        counted.check_ins_raised,
    );
    let help = "People who were reached over no channel.";
    scrape.counter("mayday_contacts_unreached_total", help, &[], counted.unreached);
    let help = "Times that the worker that tells people died and was started anew.";
    scrape.counter("mayday_notifier_deaths_total", help, &[], notifier.deaths());
}

/// As Prometheus counts spans: each bound with all that took at most as long.
fn spans(
    scrape: &mut Scrape,
    names: [&'static str; 3],
    help: &'static str,
    labels: &[(&str, &str)],
    spans: &Spans,
) {
    let mut sum = 0;
    for (place, count) in spans.counts.iter().enumerate() {
        sum += count;
        let bound = BOUNDS_MS
            .get(place)
            .map_or_else(|| "+Inf".to_owned(), ToString::to_string);
        let mut labels = labels.to_vec();
        labels.push(("le", &bound));
        scrape.counter(names[0], help, &labels, sum);
    }
    scrape.counter(names[1], help, labels, spans.sum_ms);
    scrape.counter(names[2], help, labels, sum);
}
