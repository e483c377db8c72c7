//! The load tester: `cargo bench --bench load -- SCENARIO`. Starts the engine, loads it with an open loop (what
//! is late counts from when it was meant to happen), and counts loss, order and repetition besides time.
//!
//! It shares the machine with the engine, so it is built to be cheap: one thread, epoll, prebuilt frames, no
//! JSON parsed on a hot path. Nothing of the engine's own code is used: what it checks, it has from the wire.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measurements become numbers of another kind on every other line, and none of them decides"
)]

mod cli;
mod cluster;
mod connect;
mod crew;
mod crowd;
mod dialect;
mod engine;
mod errors;
mod fanout;
mod fanout_run;
mod handed;
mod handler;
mod html;
mod http;
mod idle;
mod ledger;
mod locations;
mod notify;
mod pages;
mod pool;
mod progress;
mod reactor;
mod reads;
mod reconnect;
mod replay;
mod report;
mod sampling;
mod scan;
mod scene;
mod search;
mod servers;
mod signal;
mod sos_storm;
mod stats;
mod traces;
mod vendor;
mod walk;
mod ws;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Scenario};
use crate::report::Outcome;

/// A tool's errors are for people to read.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    // `cargo bench` and `cargo test --benches` run every benchmark, some tools ask for a list of tests first:
    // without a scenario there is nothing to do.
    if std::env::args().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let Some(scenario) = &cli.scenario else {
        let _ = Cli::command().print_help();
        return ExitCode::SUCCESS;
    };
    match run(&cli, scenario) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the engine did what it should.
fn run(cli: &Cli, scenario: &Scenario) -> Result<bool> {
    engine::raise_descriptor_limit();
    let common = &cli.common;
    scenario.check(common.dialect)?;
    let outcome: Outcome = match scenario {
        Scenario::Idle(args) => idle::run(common, args)?,
        Scenario::IdleWorker(args) => return idle::work(common, args).map(|()| true),
        Scenario::Connect(args) => connect::run(common, args)?,
        Scenario::Fanout(args) => fanout::run(common, args)?,
        Scenario::Locations(args) => locations::run(common, args)?,
        Scenario::SosStorm(args) => sos_storm::run(common, args)?,
        Scenario::ReconnectStorm(args) => reconnect::run(common, args)?,
        Scenario::Replay(args) => replay::run(common, args)?,
        Scenario::Cluster(args) => cluster::run(common, args)?,
        Scenario::Reads(args) => reads::run(common, args)?,
        Scenario::Notify(args) => notify::run(common, args)?,
    };
    if common.json.as_deref() == Some(Path::new("-")) {
        outcome.write_table(&mut std::io::stderr())?;
    } else {
        outcome.write_table(&mut std::io::stdout())?;
    }
    if let Some(path) = &common.json {
        outcome.write_json(path)?;
    }
    if let Some(path) = &common.report {
        outcome.write_page(path)?;
    }
    Ok(outcome.failures.is_empty())
}
