//! Plans, checks, simulates and applies patches of jump-label sites.
#![warn(missing_docs)]

pub mod apply;
pub mod check;
pub mod digest;
pub mod images;
pub mod key_set;
pub mod link;
pub mod plan;
pub mod plan_edits;
pub mod plan_file;
pub mod process;
pub mod reason;
pub mod simulate;
pub mod sync;
pub mod target;
pub mod wish;
