//! The operational machine: the steps of PEs, caches and memory.
//!
//! The model is operational, not axiomatic: each PE has a window of instructions that happen out of
//! order, a fetch queue, and an instruction cache that is a set of writes. `order.rs` decides which
//! of two events happens first, pair by pair; everything else follows from the times of events. An
//! execution that a PE would have restarted (after a wrong prediction, or a load that was too
//! early) is dropped: the execution that is right at once is explored too.

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
