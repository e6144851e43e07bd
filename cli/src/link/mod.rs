//! `jlctl link`: gives a finished program the runtime that flips its keys.

mod report;
mod run;

pub(crate) use run::run;
