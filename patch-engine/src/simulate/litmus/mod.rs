//! Litmus tests: the subset of the AArch64 format that the model supports.
//!
//! Every location is a cache line of its own, as in Arm's model; the format has no lines.
//! Unsupported text is an error with its line, and never a verdict.

mod assemble;
mod build;
mod condition;
mod error;
mod judge;
mod source;

pub use error::{Fault, LitmusError};
pub use judge::{Answer, Judged, Litmus};
