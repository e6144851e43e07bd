//! `jlctl plan`: the sites to patch, their old and new bytes, and the batches.

mod check;
mod run;
mod text;

pub(crate) use run::run;
