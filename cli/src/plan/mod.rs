//! `jlctl plan`: which sites to patch, from what to what, in which batches.

mod check;
mod run;
mod text;

pub(crate) use run::run;
