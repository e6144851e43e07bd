//! `jlctl link`: adds the runtime that flips keys to a finished program.

mod report;
mod run;

pub(crate) use run::run;
