//! The service that keeps incidents: what is asked of it, and how that is counted.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use actix::ArbiterHandle;

use super::{AppError, settings};
use crate::actors::contacts::RemoteContacts;
use crate::actors::feed::{Feed, FeedParts};
use crate::actors::lookup::Lookups;
use crate::actors::node::Node;
use crate::actors::{Clock as _, SystemClock};
use crate::config::{Config, Secrets, SosSecrets, contacts_token};
use crate::domain::breaker::Stand;
use crate::http::auth::Clock;
use crate::http::sister::{ContactsKeeper, Sister, SosEvents};
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

/// Asks the service that keeps contacts, when there is one.
pub(super) fn contacts(
    config: &Config,
    secrets: &Secrets,
    node: &Arc<Node>,
    metrics: &Metrics,
) -> Result<(), AppError> {
    let Some(token) = secrets.contacts.as_ref().filter(|_| config.contacts.is_remote()) else {
        return Ok(());
    };
    let service = ContactsKeeper::new(Sister::of_contacts(&config.contacts, token)?, &config.contacts);
    let remote = RemoteContacts::new(Arc::new(service), settings::remote_contacts(config));
    let remote = Arc::new(remote);
    let _ = node.contacts.set(Arc::clone(&remote));
    metrics.register_source(move |scrape| observe_contacts(scrape, &remote));
    Ok(())
}

fn observe_contacts(scrape: &mut Scrape, remote: &RemoteContacts) {
    let (counts, asking) = (remote.counts(), remote.asking());
    for (outcome, count) in [
        ("answered", &counts.asked),
        ("changed", &counts.changed),
        ("unusable", &counts.unusable),
        ("stale", &counts.stale),
        ("failed", &asking.counts().failed),
        ("refused", &asking.counts().refused),
    ] {
        let help = "Contact lists that the contacts service was to be asked for, and what came of it.";
        let count = count.load(Relaxed);
        scrape.counter(
            "mayday_remote_contacts_total",
            help,
            &[("outcome", outcome)],
            count,
        );
    }
    let help = "Whether the contacts service is asked: 0 yes, 1 no, 2 by one attempt.";
    scrape.gauge(
        "mayday_remote_contacts_breaker",
        help,
        &[],
        number(asking.stand()),
    );
    let help = "Questions to the contacts service on their way.";
    scrape.gauge(
        "mayday_remote_contacts_running",
        help,
        &[],
        asking.on_their_way() as u64,
    );
    let (held, max) = remote.remembered();
    scrape.queue("remote_contacts_cache", held as u64, max as u64);
}

/// Starts telling it what happens, on a thread that runs; `None`: it is told nothing.
pub(super) fn feed(
    config: &Config,
    secrets: &Secrets,
    node: &Arc<Node>,
    metrics: &Metrics,
    on: &ArbiterHandle,
) -> Result<Option<Feed>, AppError> {
    let Some(shared) = &secrets.sos else {
        return Ok(None);
    };
    let Some(signing) = &shared.signing else {
        return Ok(None);
    };
    let sister = Sister::of(&config.services, &shared.token)?;
    let clock: Clock = Arc::new(|| SystemClock.now());
    let timeout = config.services.feed_timeout();
    let parts = FeedParts {
        store: Arc::clone(&node.store),
        service: Arc::new(SosEvents::new(sister, signing.clone(), timeout, clock)),
        clock: Arc::new(SystemClock),
        settings: settings::feed(config),
        dead_letters_max: config.services.dead_letters_max,
    };
    let feed = Feed::launch(parts, on);
    let _ = node.feed.set(feed.clone());
    let observed = feed.clone();
    metrics.register_source(move |scrape| observe_feed(scrape, &observed));
    Ok(Some(feed))
}

fn observe_feed(scrape: &mut Scrape, feed: &Feed) {
    let state = feed.state();
    let (dropped, revived) = feed.ends();
    for (outcome, count) in [
        ("taken", state.tally.sent),
        ("failed", state.tally.failed),
        ("refused", state.tally.refused),
        ("given_up", state.tally.dead),
    ] {
        let help = "Events that the SOS service was told of, and what came of it.";
        scrape.counter("mayday_feed_events_total", help, &[("outcome", outcome)], count);
    }
    let help = "Incidents with events that the SOS service has not taken, on all nodes, as of the last look.";
    scrape.gauge("mayday_outbox_incidents", help, &[], state.depth.incidents);
    let help = "How long ago the oldest of those events happened.";
    let now = SystemClock.now();
    let age = state.depth.oldest.map_or(0, |at| now.since(at).as_secs());
    scrape.gauge("mayday_outbox_age_seconds", help, &[], age);
    let help = "Events that the SOS service refused for good and that are kept.";
    scrape.gauge("mayday_dead_letters", help, &[], state.depth.dead);
    let help = "Dead letters that gave way to newer ones, or were taken when they were sent again.";
    for (what, count) in [("dropped", dropped), ("revived", revived)] {
        scrape.counter("mayday_dead_letters_gone_total", help, &[("what", what)], count);
    }
    let help = "Times that the worker that tells them died and was started anew.";
    scrape.counter("mayday_feed_deaths_total", help, &[], feed.deaths());
    let help = "Incidents that this node tells of now.";
    scrape.gauge("mayday_feed_running", help, &[], state.in_hand as u64);
    let help = "Times that an incident was another node's before all of it was told.";
    scrape.counter("mayday_feed_lost_total", help, &[], state.tally.lost);
    let help = "Whether the SOS service is told: 0 yes, 1 no, 2 by one attempt.";
    scrape.gauge("mayday_feed_breaker", help, &[], number(state.stand));
    let help = "Times that it was left alone because it did not take events.";
    scrape.counter("mayday_feed_breaker_opened_total", help, &[], state.opened);
}

/// Whether the service could be spoken to as the settings say. It is not asked.
pub(super) fn check(config: &Config) -> Result<(), AppError> {
    if let Some(shared) = SosSecrets::load(config)? {
        Sister::of(&config.services, &shared.token)?;
    }
    if let Some(token) = contacts_token(config)? {
        Sister::of_contacts(&config.contacts, &token)?;
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
    let (counts, asking) = (lookups.counts(), lookups.asking());
    for (outcome, count) in [
        ("found", &counts.found),
        ("absent", &counts.absent),
        ("unusable", &counts.unusable),
        ("failed", &asking.counts().failed),
        ("refused", &asking.counts().refused),
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
        asking.counts().troubles.load(Relaxed),
    );
    let help = "Whether the SOS service is asked: 0 yes, 1 no, 2 by one attempt.";
    scrape.gauge("mayday_lookup_breaker", help, &[], number(asking.stand()));
    let help = "Questions to the SOS service on their way.";
    scrape.gauge("mayday_lookups_running", help, &[], asking.on_their_way() as u64);
    let (held, max) = lookups.remembered();
    scrape.queue("lookup_cache", held as u64, max as u64);
}
