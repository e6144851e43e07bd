//! `jlctl apply`: applies a plan to files or to a running process.

mod changes;
mod process;
mod report;
mod run;

pub(crate) use run::run;
