//! The life of the process: probes, the end, the command line, secrets.

mod commands;
mod draining;
mod nodes;
mod operations;
mod secrets;
