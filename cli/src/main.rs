//! `jlctl`: inspect, plan, simulate and lint code that is patched while it runs.

mod apply_plan;
mod args;
mod baseline;
mod cmd;
mod control;
mod exit;
mod files;
mod input;
mod interrupt;
mod judge;
mod lint_file;
mod litmus;
mod manual;
mod member;
mod output;
mod plan_input;
mod process_input;
mod progress;
mod read;
mod report;
mod selection;
mod set;
mod source;
mod threads;
mod verdict;

use clap::FromArgMatches as _;
use std::process::ExitCode;

/// A look-up allocates from every thread at once; the system's allocator makes
/// the threads wait for each other while it enlarges their heaps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = manual::command().try_get_matches();
    match matches.and_then(|matches| args::Cli::from_arg_matches(&matches)) {
        Ok(cli) => exit::conclude(cmd::run(&cli)),
        Err(error) => exit::usage(&error),
    }
}
