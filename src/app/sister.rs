//! The service that keeps incidents: what is asked of it, and how that is counted.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{AppError, settings};
use crate::actors::lookup::Lookups;
use crate::config::{Config, Secrets, SosSecrets};
use crate::domain::breaker::Stand;
use crate::http::sister::Sister;
use crate::telemetry::{Metrics, Scrape};

/// Who is asked for incidents that are not known here; `None`: nobody.
pub(super) fn lookups(
    config: &Config,
    secrets: &Secrets,
    metrics: &Metrics,
) -> Result<Option<Arc<Lookups>>, AppError> {
    let Some(shared) = secrets.sos.as_ref().filter(|_| config.services.looks_up()) else {
        return Ok(None);
    };
    let service = Arc::new(Sister::of(&config.services, &shared.token)?);
    let lookups = Arc::new(Lookups::new(service, settings::lookups(config)));
    let observed = Arc::clone(&lookups);
    metrics.register_source(move |scrape| observe(scrape, &observed));
    Ok(Some(lookups))
}

/// Whether the service could be spoken to as the settings say. It is not asked.
pub(super) fn check(config: &Config) -> Result<(), AppError> {
    if let Some(shared) = SosSecrets::load(config)? {
        Sister::of(&config.services, &shared.token)?;
    }
    Ok(())
}

/// How a breaker stands, as a number.
fn number(stand: Stand) -> u64 {
    match stand {
        Stand::Closed => 0,
        Stand::Open => 1,
        Stand::HalfOpen => 2,
    }
}

fn observe(scrape: &mut Scrape, lookups: &Lookups) {
    let counts = lookups.counts();
    for (outcome, count) in [
        ("found", &counts.found),
        ("absent", &counts.absent),
        ("unusable", &counts.unusable),
        ("failed", &counts.failed),
        ("refused", &counts.refused),
        ("remembered", &counts.remembered),
    ] {
        let help = "Incidents that the SOS service was to be asked for, and what came of it.";
        let labels = [("outcome", outcome)];
        scrape.counter("mayday_lookups_total", help, &labels, count.load(Relaxed));
    }
    let help = "Attempts to ask the SOS service that failed.";
    scrape.counter(
        "mayday_lookup_failures_total",
        help,
        &[],
        counts.troubles.load(Relaxed),
    );
    let help = "Whether the SOS service is asked: 0 yes, 1 no, 2 by one attempt.";
    scrape.gauge("mayday_lookup_breaker", help, &[], number(lookups.stand()));
    let help = "Questions to the SOS service on their way.";
    scrape.gauge("mayday_lookups_running", help, &[], lookups.on_their_way() as u64);
    let (held, max) = lookups.remembered();
    scrape.queue("lookup_cache", held as u64, max as u64);
}
