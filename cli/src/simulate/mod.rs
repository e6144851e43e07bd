//! `jlctl simulate`: finds the old instructions that another CPU can execute after a flip returned.

mod json;
mod litmus;
mod run;
mod svg;
mod text;
mod verdicts;

pub(crate) use run::run;
