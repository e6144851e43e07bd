//! The system calls that the runtime makes, each with a typed result, and the substitutes for an
//! allocator and a mutex.
//!
//! All system calls go through the C library's `syscall` or a wrapper that does nothing else.
//! None of them is a cancellation point, takes a lock or allocates, so that the runtime works in
//! signal handlers and between fork and exec.

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
