//! Forward dataflow over the control flow of a function, and summaries over the call graph.
//!
//! Every computation has a limit: steps of [`solve`], and evaluations of a component in
//! [`summarize`].  A function that reaches a limit gets the summary that promises least
//! ([`Summaries::give_up`]).

mod components;
mod engine;
mod lattice;
mod summary;

pub use components::CallOrder;
pub use engine::{Analysis, StepsExceeded, Successor, at_exits, reverse_post_order, solve};
pub use lattice::{Bits, Lattice};
pub use summary::{Summaries, summarize};
