//! The protocol between the virtual machine of the tests and its host.
//!
//! The host writes [`Job`]s into the file [`JOBS`] of the initial file system. The guest's init
//! runs them one after another, and answers with [`Record`]s on a dedicated serial port. Both
//! are lines of words; [`escape`] escapes every other byte, so that a program may print
//! anything.
#![warn(missing_docs)]

pub mod escape;
mod job;
mod record;

pub use job::{JOBS, Job};
pub use record::{Ending, PORT, Record, Stream};
