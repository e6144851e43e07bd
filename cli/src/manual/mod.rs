//! `jlctl man` and `jlctl completions`, and the sections of help texts and pages beyond the
//! options.

mod generate;
mod sections;

pub(crate) use generate::{completions, man};
pub(crate) use sections::command;
