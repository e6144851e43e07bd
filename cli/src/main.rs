//! `jlctl`: inspect, plan, simulate and lint code that is patched while it runs.

mod apply;
mod args;
mod diff;
mod inspect;
mod link;
mod lint;
mod live;
mod manual;
mod open;
mod plan;
mod run;
mod schema;
mod simulate;
mod terminal;

use clap::FromArgMatches as _;
use std::process::ExitCode;
use terminal::exit;

/// Source lookups allocate from all threads at once; with the system's allocator the threads wait
/// for each other while it grows their heaps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = manual::command().try_get_matches();
    match matches.and_then(|matches| args::Cli::from_arg_matches(&matches)) {
        Ok(cli) => exit::conclude(run::run(&cli)),
        Err(error) => exit::usage(&error),
    }
}
