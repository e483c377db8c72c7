//! The `mayday` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    mayday::cli::Cli::parse().run()
}
