//! Messages that wait because no vendor takes them, and how soon they are with one when one does.

use std::time::{Duration, Instant};

use crate::Result;
use crate::cli::{Common, Notify};
use crate::crew::{Devices, settle, sos_request};
use crate::crowd::Crowd;
use crate::engine::Engine;
use crate::pool::{Pool, run_all};
use crate::progress::Progress;
use crate::reactor::Reactor;
use crate::report::Outcome;
use crate::stats::Timeline;
use crate::vendor::Vendor;

/// For how long nothing may happen before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Where it happens.
const PLACE: (f64, f64) = (14.6, 121.0);

pub fn run(common: &Common, args: &Notify) -> Result<Outcome> {
    let mut outcome = Outcome::new("notify");
    let crowd = Crowd::new(common, args.jobs, args.contacts)?;
    outcome.ask("messages that wait", crowd.messages());
    outcome.ask("SOS that cause them", crowd.people());
    outcome.ask("the vendor answers after, ms", args.vendor_latency_ms);

    let vendor = Vendor::start(args.jobs, Duration::from_millis(args.vendor_latency_ms))?;
    let engine = Engine::start(common, &vendor.settings())?;
    let mut net = Reactor::new(engine.addrs())?;
    crowd.settle(&mut net)?;
    settle(&mut net)?;
    vendor.ledger().hold(true);
    raise(&mut net, &crowd, args)?;
    let raised = crowd.people() as f64;
    until(|| Ok(engine.metric("mayday_sos_planned_ms_count")? >= raised))?
        .ok_or("the engine does not plan messages for all of these SOS")?;

    let cpu = engine.usage().cpu_seconds;
    vendor.ledger().hold(false);
    let opened = Instant::now();
    let progress = Progress::new("messages", args.jobs as u64);
    let mut reached = 0;
    until_quiet(|| {
        let now = vendor.ledger().reached;
        progress.set(now);
        let news = std::mem::replace(&mut reached, now) != now;
        Ok((now >= args.jobs as u64, news))
    })?;
    // The log says of each message that its vendor has it, and nothing is in anybody's hands any more.
    let settled = until(|| Ok(accepted(&engine)? >= reached as f64))?;
    let server_cpu = engine.usage().cpu_seconds - cpu;
    tell(&mut outcome, &vendor, args, opened, settled);
    if engine.is_measured() {
        outcome.find("server CPU for each", server_cpu * 1e6 / args.jobs as f64, "us");
    }
    drop(net);
    if let Some(why) = engine.stop()? {
        outcome.fail(why);
    }
    Ok(outcome)
}

fn raise(net: &mut Reactor, crowd: &Crowd, args: &Notify) -> Result<()> {
    let (host, devices) = (net.host().to_owned(), Devices::of_this_run());
    let requests = (0..crowd.people()).map(|person| {
        let key = devices.id(person as u64);
        let message = format!("An SOS of the load tester, number {person}");
        sos_request(&host, crowd.header(person), &key, &message, PLACE)
    });
    let mut pool = Pool::open(net, args.connections)?;
    run_all(net, &mut pool, "raising SOS", requests, |_, status, body| {
        if status == 201 {
            return Ok(());
        }
        Err(format!("POST /sos: {status} {}", String::from_utf8_lossy(body)).into())
    })?;
    pool.close(net);
    Ok(())
}

/// Messages of which the log says that a vendor took them, or more than that.
pub fn accepted(engine: &Engine) -> Result<f64> {
    let of = |vendor| {
        engine.metric(&format!(
            "mayday_notifications_total{{vendor=\"{vendor}\",state=\"ACCEPTED\"}}"
        ))
    };
    Ok(of("TWILIO")? + of("MSG91")?)
}

/// Looks until it is so, and says when it was. `None`: it did not come to be.
pub fn until(mut is_so: impl FnMut() -> Result<bool>) -> Result<Option<Instant>> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if is_so()? {
            return Ok(Some(Instant::now()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(None)
}

/// Looks until it is over, or there has been no news for long.
fn until_quiet(mut look: impl FnMut() -> Result<(bool, bool)>) -> Result<()> {
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < PATIENCE {
        let (over, news) = look()?;
        if over {
            return Ok(());
        }
        if news {
            quiet_since = Instant::now();
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn tell(outcome: &mut Outcome, vendor: &Vendor, args: &Notify, opened: Instant, settled: Option<Instant>) {
    let ledger = vendor.ledger();
    let mut arrivals: Vec<Duration> = (0..args.jobs)
        .filter_map(|index| Some(ledger.first(index)?.duration_since(opened)))
        .collect();
    arrivals.sort_unstable();
    let at = |place: Option<&Duration>| place.map_or(0.0, Duration::as_secs_f64);
    let (first, last) = (at(arrivals.first()), at(arrivals.last()));
    outcome.find("with the vendor", arrivals.len() as f64, "");
    outcome.find("the first after the vendor opened", first, "s");
    outcome.find("the last after the vendor opened", last, "s");
    outcome.find(
        "handed over a second, from first to last",
        arrivals.len() as f64 / (last - first).max(1e-3),
        "/s",
    );
    match settled {
        Some(at) => outcome.find(
            "all of it written down",
            at.duration_since(opened).as_secs_f64(),
            "s",
        ),
        None => outcome.fail("the engine does not say of all messages that they were taken"),
    }
    if last > args.within_seconds {
        outcome.fail(format!(
            "the last message took {last:.1} s, the limit {} s",
            args.within_seconds
        ));
    }
    outcome.find("attempts that were turned away before", ledger.refused as f64, "");
    outcome.expect_none("lost", args.jobs as u64 - arrivals.len() as u64);
    outcome.expect_none("handed over twice", ledger.twice());
    outcome.expect_none("to numbers of nobody", ledger.strangers);
    let mut timeline = Timeline::starting(0);
    for arrival in &arrivals {
        timeline.add(u64::try_from(arrival.as_nanos()).unwrap_or(u64::MAX), 1);
    }
    outcome.timeline("handed over", &timeline);
}
