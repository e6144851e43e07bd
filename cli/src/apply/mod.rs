//! `jlctl apply`: writes what a plan says into files or a running process.

mod changes;
mod process;
mod report;
mod run;

pub(crate) use run::run;
