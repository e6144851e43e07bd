//! Error numbers of system calls.

#![allow(unsafe_code, reason = "errno of the C library")]

use core::fmt;

/// An error number of the kernel, positive (`errno(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// The numbers that the runtime itself tells apart or gives back.
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

/// The errno of this thread, as it was before the runtime's own system calls: functions
/// of a library that report errors by their result leave it alone.
#[derive(Debug)]
pub(crate) struct Preserved(i32);

impl Preserved {
    /// Keeps the present value until the drop.
    pub(crate) fn new() -> Self {
        Self(last().0)
    }
}

impl Drop for Preserved {
    fn drop(&mut self) {
        // SAFETY: an integer of this thread's that nothing else refers to.
        unsafe { *of_thread() = self.0 };
    }
}

/// The number that the last failed call of this thread left.
pub(crate) fn last() -> Errno {
    // SAFETY: as above.
    Errno(unsafe { *of_thread() })
}

fn of_thread() -> *mut i32 {
    // SAFETY: the C library gives every thread an errno that is valid while it runs.
    unsafe { libc::__errno_location() }
}

/// Turns a result of the C library into ours: -1 says that errno holds the reason.
pub(super) fn checked(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result == -1 { Err(last()) } else { Ok(result) }
}
