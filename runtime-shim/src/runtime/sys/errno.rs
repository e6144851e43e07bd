//! Error numbers of system calls.

#![allow(unsafe_code, reason = "errno of the C library")]

use core::fmt;

/// An error number of the kernel, positive (`errno(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// The numbers that the runtime distinguishes or returns.
const NAMES: [(i32, &str, &str); 14] = [
    (libc::EPERM, "EPERM", "operation not permitted"),
    (libc::ENOENT, "ENOENT", "no such file or directory"),
    (libc::EIO, "EIO", "input/output error"),
    (libc::EAGAIN, "EAGAIN", "resource temporarily unavailable"),
    (libc::ENOMEM, "ENOMEM", "out of memory, or a limit on memory or mappings reached"),
    (libc::EACCES, "EACCES", "permission denied"),
    (libc::EFAULT, "EFAULT", "bad address"),
    (libc::EBUSY, "EBUSY", "busy"),
    (libc::EINVAL, "EINVAL", "invalid argument or unknown command"),
    (libc::EMFILE, "EMFILE", "too many open files"),
    (libc::ERANGE, "ERANGE", "out of range"),
    (libc::ENOSYS, "ENOSYS", "no such system call"),
    (libc::EOVERFLOW, "EOVERFLOW", "value too large"),
    (libc::ENOTSUP, "ENOTSUP", "not supported"),
];

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, ..)| *number == self.0) {
            Some((_, name, meaning)) => write!(f, "{name} ({meaning})"),
            None => write!(f, "errno {}", self.0),
        }
    }
}

/// The errno of this thread before the runtime's system calls, restored on drop: a function
/// that returns its errors leaves errno unchanged.
#[derive(Debug)]
pub(crate) struct Preserved(i32);

impl Preserved {
    /// Saves the present value.
    pub(crate) fn new() -> Self {
        Self(last().0)
    }
}

impl Drop for Preserved {
    fn drop(&mut self) {
        // SAFETY: an integer of this thread, to which no reference exists.
        unsafe { *of_thread() = self.0 };
    }
}

/// The errno of the last failed call of this thread.
pub(crate) fn last() -> Errno {
    // SAFETY: an integer of this thread, to which no reference exists.
    Errno(unsafe { *of_thread() })
}

fn of_thread() -> *mut i32 {
    // SAFETY: no arguments; the result is valid while the thread runs.
    unsafe { libc::__errno_location() }
}

/// Converts the result of a function of the C library: -1 means that errno holds the error.
pub(super) fn checked(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result == -1 { Err(last()) } else { Ok(result) }
}
