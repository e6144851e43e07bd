//! Finds arm64 code that patches code without making the other CPUs synchronise.
//!
//! [`lint`] recovers a [`crate::program::RecoveredProgram`] from the code. Models decide by name,
//! and patterns of instructions decide by content, which functions patch, maintain caches and
//! synchronise. Each rule is one file in `rules`, with one descriptor: what the rule finds, how,
//! and what it misses.
//!
//! # A lint never passes silently
//! A file that patches no code is not applicable. A file that cannot be read fails the run, while
//! the other files are still analysed. Files that contain only other instruction sets are
//! refused. Modules are analysed after their kernel, whose [`KernelSummary`] tells what its
//! exported functions do. Findings own their strings and addresses, so a file can be dropped
//! before the next one is read.
//!
//! # A limit is an answer of its own
//! A function that reaches a limit gets the summary that promises least: it returns with the
//! obligation, and it does not synchronise. The coverage counts such functions, and a finding
//! that depends on one is a warning.
//!
//! # Not covered
//! Architectures other than arm64, and source code.

mod address_filter;
mod boot;
mod code_stores;
mod consumers;
mod finding;
mod fingerprint;
mod hotplug_states;
mod interrupts;
mod model;
mod obligation;
mod page_pointers;
mod patch_evidence;
mod path_state;
mod paths;
mod primitive;
mod reach;
mod rule;
mod rules;
mod run;
mod stopped;
mod subject;
mod syncs;
mod witness;

pub use finding::{Affected, Coverage, Evidence, Finding, LintReport, Phase, Role, WitnessStep};
pub use model::{Config, ConfigError, FunctionModel, FunctionRole, KernelSummary, Suppression};
pub use rule::{Level, RuleDescriptor, without_markup};
pub use rules::{RULES, rules_markdown};
pub use run::{ARCHITECTURE, lint, lint_in};
