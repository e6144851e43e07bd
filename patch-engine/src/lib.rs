//! Plans, checks, simulates and applies patches of jump-label sites, and links finished programs
//! with the runtime.
//!
//! A [`plan`](mod@plan) lists the sites to patch, in batches, and the sync that must end each
//! batch; [`plan_file`] is its form as JSON. [`check`](mod@check) verifies a plan against its
//! images, [`simulate`] explores what PEs may execute while it is applied, and [`plan_edits`] turns
//! it into edits that [`apply`] writes to files and [`process`] writes to a running process.
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
