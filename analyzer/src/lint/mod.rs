//! Finds code that patches code and never tells the other CPUs.
//!
//! A [`crate::program::RecoveredProgram`] is recovered from the code; models say by name, and
//! shapes by instructions, which functions patch, maintain caches and synchronise; each
//! rule has a file of its own that says what it finds, how, and what it misses.
//!
//! What this is not for: architectures other than arm64, and sources.

mod address_filter;
mod call_arguments;
mod consumers;
mod executable_memory;
mod finding;
mod model;
mod obligation;
mod path_state;
mod paths;
mod reach;
mod registers;
mod rule;
mod rules;
mod run;
mod subject;
mod syncs;
mod witness;

pub use finding::{Affected, Coverage, Evidence, Finding, LintReport, Phase, Role, WitnessStep};
pub use model::{Config, ConfigError, FunctionModel, FunctionRole, KernelSummary, Suppression};
pub use rule::{Level, RuleDescriptor, without_markup};
pub use rules::{RULES, rules_markdown};
pub use run::{ARCHITECTURE, lint, lint_in};
