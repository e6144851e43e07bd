//! `jlctl man` and `jlctl completions`, and what help texts say beyond the options.

mod generate;
mod sections;

pub(crate) use generate::{completions, man};
pub(crate) use sections::command;
