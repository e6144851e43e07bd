//! The system calls that the runtime makes, each with its result as a type, and what the
//! runtime has instead of an allocator.
//!
//! All go through the C library's `syscall` or a wrapper that is no more than that: none
//! is a cancellation point, takes a lock or allocates, so that the runtime works in signal
//! handlers and between fork and exec.

pub(crate) mod errno;
pub(crate) mod file;
mod futex;
pub(crate) mod loaded;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod page_vec;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod text;
pub(crate) mod thread;
