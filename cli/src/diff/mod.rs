//! `jlctl diff`: compares the jump tables of two images.

mod comparison;
mod family;
mod head;
mod json;
mod page;
mod run;
mod site_changes;
mod text;
mod totals;

pub(crate) use run::run;
