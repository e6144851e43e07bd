//! One module per command.

mod apply;
mod apply_process;
mod audit;
mod completions;
mod ctl;
mod ctl_socket;
mod diff;
mod inspect;
mod link;
mod lint;
mod man;
mod plan;
mod simulate;

use crate::args::{Cli, Command};
use crate::exit::Outcome;

/// Runs the command that was asked for.
///
/// # Errors
/// Whatever kept it from its result.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<Outcome> {
    match &cli.command {
        Command::Inspect(args) => inspect::run(&cli.global, args),
        Command::Diff(args) => diff::run(&cli.global, args),
        Command::Lint(args) => lint::run(&cli.global, args),
        Command::Link(args) => link::run(&cli.global, args),
        Command::Plan(args) => plan::run(&cli.global, args),
        Command::Apply(args) => apply::run(&cli.global, args),
        Command::Ctl(args) => ctl::run(&cli.global, args),
        Command::Audit(args) => audit::run(&cli.global, args),
        Command::Simulate(args) => simulate::run(&cli.global, args),
        Command::Completions(args) => completions::run(&cli.global, args),
        Command::Man(args) => man::run(args),
    }
}
