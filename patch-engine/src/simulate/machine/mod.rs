//! The operational machine: what PEs, caches and memory can do, step by step.

mod event;
mod order;
mod settle;
mod setup;
mod state;
mod step;

pub use super::rules::{CacheType, Rule, RuleSet};
pub(crate) use event::{Event, Step, Stop};
pub(crate) use setup::Machine;
pub(crate) use state::State;
