//! Forward dataflow over the control flow of functions.

mod engine;
mod lattice;

pub use engine::{Analysis, StepsExceeded, reverse_post_order, solve};
pub use lattice::{Bits, Lattice};
