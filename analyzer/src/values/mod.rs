//! What is known about the values in registers and memory at each instruction of a function.
//!
//! The analysis is forward, over one function, with a state per basic block. A [`Value`] is a
//! number, a set of signs, or a path: an argument, the result of a call, a word of data or the
//! stack pointer, from which at most two further words were loaded. The domain has finite height:
//! a number becomes a set of signs where two numbers meet, an exact offset becomes an inexact one,
//! and both become unknown. So a function is solved in a number of steps that is linear in its
//! blocks, without recursion over paths.
//!
//! # Assumptions
//! Two paths that differ may name the same memory. A store through one forgets what is known about
//! the memory of others, but not about the stack of the function, unless its address was passed on.

mod function;
mod memory;
mod state;
mod value;

pub use function::{FunctionBody, FunctionValues, ValueAnalysis};
pub use memory::Location;
pub use state::ValueState;
pub use value::{Distance, Origin, Path, Value};
