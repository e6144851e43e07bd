//! Explores every behaviour that the architecture allows.

pub mod explore;
mod insn;
pub mod litmus;
pub mod machine;
mod program;
mod rules;
pub mod strategy;
mod word;
