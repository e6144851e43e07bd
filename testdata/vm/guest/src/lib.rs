//! What the virtual machine of the tests and its host tell each other.
//!
//! The host writes [`Job`]s into the file [`JOBS`] of the initial file system. The guest's
//! init runs them one after the other, and answers by [`Record`]s on a serial port that
//! nothing else uses. Both are lines of words, in which [`escape`] escapes every byte
//! that could be taken for something else, so that a program may print what it likes.
#![warn(missing_docs)]

pub mod escape;
mod job;
mod record;

pub use job::{JOBS, Job};
pub use record::{Ending, PORT, Record, Stream};
