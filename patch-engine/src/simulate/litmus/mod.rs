//! Litmus tests: the subset of the AArch64 format that the model understands.
//!
//! Every location is a cache line of its own, as in Arm's model; a file says nothing
//! of lines.  What is not understood is an error with its line, never a verdict.

mod assemble;
mod build;
mod condition;
mod error;
mod judge;
mod source;

pub use error::{Fault, LitmusError};
pub use judge::{Answer, Judged, Litmus};
