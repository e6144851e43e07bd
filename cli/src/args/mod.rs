//! The command line as the user wrote it; each command makes its own validated
//! configuration from it.

mod apply;
mod diff;
mod global;
mod inspect;
mod link;
mod lint;
mod live;
mod manual;
mod plan;
mod simulate;

pub(crate) use apply::{Apply, ApplyFormat};
pub(crate) use diff::{Diff, DiffFormat};
pub(crate) use global::{Color, Global};
pub(crate) use inspect::{Inspect, InspectFormat};
pub(crate) use link::{Link, LinkFormat};
pub(crate) use lint::{Lint, LintFormat};
pub(crate) use live::{Action, Audit, Common, Ctl, LiveFormat, ReachOptions};
pub(crate) use manual::{Completions, Man};
pub(crate) use plan::{Plan, PlanFormat};
pub(crate) use simulate::{Cache, Simulate, SimulateFormat};

use clap::{Parser, Subcommand};

/// Inspect, plan, simulate and lint code that is patched while it runs.
///
/// jlctl reads the jump table of static keys in kernels and user programs for
/// arm64, x86_64 and riscv64: every site, its key, the instruction at the site,
/// and any defect of these.
#[derive(Debug, Parser)]
#[command(name = "jlctl", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(Inspect),
    Diff(Diff),
    Plan(Plan),
    Apply(Apply),
    Simulate(Simulate),
    Ctl(Ctl),
    Audit(Audit),
    Lint(Lint),
    Link(Link),
    Completions(Completions),
    Man(Man),
}
