//! The `mayday` binary.

use std::process::ExitCode;

use clap::Parser;

/// Many small frames and boxes are made on one thread and dropped on another, which the system's allocator pays
/// for with locks and fragmentation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mayday::cli::Cli::parse().run()
}
