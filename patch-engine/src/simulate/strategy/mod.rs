//! Judges strategies: whether another PE can execute an old word after the call that patches has
//! returned.

mod class;
mod judge;
mod programs;
mod scheme;
mod trace;
mod verdict;

pub use class::{BRANCH, Class, MAX_OTHERS, word_name};
pub use judge::{PES, Setting};
pub use scheme::{Maintenance, Scheme, Strategy};
pub use trace::{Mark, Trace, TraceStep};
pub use verdict::{Judgement, Reading, Safety};
