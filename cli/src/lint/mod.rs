//! `jlctl lint`: finds code that patches instructions without synchronising the other CPUs.

mod baseline;
mod explain;
mod file;
mod json;
mod records;
mod report;
mod run;
#[cfg(test)]
mod samples;
mod sarif;
mod sarif_model;
mod suppression;
#[cfg(test)]
mod tests;
mod text;
mod uri;

pub(crate) use run::run;
