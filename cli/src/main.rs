//! `jlctl`: inspect, plan, simulate and lint code that is patched while it runs.

mod args;
mod cmd;
mod exit;
mod output;
mod pattern;
mod progress;
mod report;
mod selection;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => exit::conclude(cmd::run(&cli)),
        Err(error) => exit::usage(&error),
    }
}
