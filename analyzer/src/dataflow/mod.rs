//! Forward dataflow over the control flow of functions, and summaries over their calls.

mod components;
mod engine;
mod lattice;
mod summary;

pub use components::CallOrder;
pub use engine::{Analysis, StepsExceeded, Successor, at_exits, reverse_post_order, solve};
pub use lattice::{Bits, Lattice};
pub use summary::{Summaries, summarize};
