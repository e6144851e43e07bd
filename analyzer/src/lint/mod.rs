//! Finds code that patches code and never tells the other CPUs.

mod finding;
mod rule;

pub use finding::{Affected, Coverage, Evidence, Finding, LintReport, Role, Step};
pub use rule::{Level, RuleDescriptor};
