//! Dispatches to the command.

use crate::args::{Cli, Command};
use crate::terminal::exit::Outcome;
use crate::{apply, diff, inspect, link, lint, live, manual, plan, simulate};

/// Runs the requested command.
///
/// # Errors
/// Errors of the command.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<Outcome> {
    match &cli.command {
        Command::Inspect(args) => inspect::run(&cli.global, args),
        Command::Diff(args) => diff::run(&cli.global, args),
        Command::Lint(args) => lint::run(&cli.global, args),
        Command::Link(args) => link::run(&cli.global, args),
        Command::Plan(args) => plan::run(&cli.global, args),
        Command::Apply(args) => apply::run(&cli.global, args),
        Command::Ctl(args) => live::ctl(&cli.global, args),
        Command::Audit(args) => live::audit(&cli.global, args),
        Command::Simulate(args) => simulate::run(&cli.global, args),
        Command::Completions(args) => manual::completions(&cli.global, args),
        Command::Man(args) => manual::man(args),
    }
}
