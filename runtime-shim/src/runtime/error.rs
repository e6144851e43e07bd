//! The reasons why a flip is refused or rolled back.

use crate::insn::{EncodeError, InsnBytes};
use crate::runtime::sync::Refusal;
use crate::runtime::sys::errno::Errno;
use core::fmt;

/// The reason why nothing was flipped.  Counts and code are unchanged, unless a variant states
/// otherwise.
///
/// Addresses are addresses of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The code at a site is not the instruction that the state of its key demands.
    UnexpectedCode {
        /// Address of the site.
        site: usize,
        /// Address of its key.
        key: usize,
        /// The bytes found.
        found: InsnBytes,
        /// The instruction expected.
        expected: InsnBytes,
    },
    /// Two entries demand different code at one site.
    Conflict {
        /// Address of the site.
        site: usize,
        /// Address of the key of one entry.
        key: usize,
        /// Address of the key of the other entry.
        other: usize,
    },
    /// A branch has no encoding.
    Encode(EncodeError),
    /// A site crosses a boundary of the unit that one store writes.
    Alignment {
        /// Address of the site.
        site: usize,
        /// Address of its key.
        key: usize,
        /// The unit in bytes.
        unit: usize,
    },
    /// A site is not in code: its page is not mapped, not executable or not readable.
    NotCode {
        /// Address of the site.
        site: usize,
        /// Address of its key.
        key: usize,
    },
    /// The count of a key cannot be written.
    KeyNotWritable {
        /// Address of the key.
        key: usize,
        /// The error of the kernel.
        errno: Errno,
    },
    /// A key is enabled several times, so that one disable cannot turn it off.
    Counted {
        /// Address of the key.
        key: usize,
        /// Number of enables.
        count: i32,
    },
    /// A key is off and cannot be decremented.
    Underflow {
        /// Address of the key.
        key: usize,
    },
    /// The count of a key has its maximum and cannot be incremented.
    Overflow {
        /// Address of the key.
        key: usize,
    },
    /// Pages could not be made writable.
    Protect {
        /// Address of the first site on these pages.
        site: usize,
        /// Address of the first page.
        start: usize,
        /// Length of the pages in bytes.
        len: usize,
        /// The error of the kernel.
        errno: Errno,
        /// The policy that forbids it, if known.
        policy: Option<WritePolicy>,
    },
    /// A site could not be written.
    Write {
        /// Address of the site.
        site: usize,
        /// The error of the kernel.
        errno: Errno,
    },
    /// Something else changed the code at a site while the batch patched it.
    Changed {
        /// Address of the site.
        site: usize,
    },
    /// No permitted method can synchronise the other threads.  No code was written.
    NoSync(Refusal),
    /// The synchronisation failed after the code was written.  The old code was written back,
    /// but other threads may have executed the new code, and may still do so.
    SyncFailed(Errno),
    /// The runtime is in use by another thread, or by the code that a signal handler has
    /// interrupted.
    Busy,
    /// The process was created by `vfork` or by a `clone` that ran no fork handlers, so that it
    /// may share its code with another process.
    ForeignProcess {
        /// The id of the process in which the runtime was started.
        started_in: u32,
    },
    /// Not enough memory for the batch.
    NoMemory(Errno),
    /// The mappings of the process could not be read.
    Mappings(Errno),
    /// The given range is not a jump table.
    NotATable {
        /// Address of its first byte.
        start: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// An entry is not part of a registered table.
    NotAnEntry {
        /// Address of the entry.
        entry: usize,
    },
}

/// A policy that prevents writing code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WritePolicy {
    /// prctl(2) PR_SET_MDWE, which systemd sets for `MemoryDenyWriteExecute=`.
    Mdwe,
    /// SELinux in enforcing mode; the permission is `execmod`.
    Selinux,
    /// Sealed memory, mseal(2), or a filter of system calls.
    Sealed,
    /// A limit on mappings (`vm.max_map_count`) or data (RLIMIT_DATA, RLIMIT_AS).
    Limit,
}

impl fmt::Display for WritePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mdwe => {
                "memory-deny-write-execute (PR_SET_MDWE; systemd: MemoryDenyWriteExecute=)"
            }
            Self::Selinux => "SELinux (permission execmod)",
            Self::Sealed => "sealed memory (mseal) or a filter of system calls (seccomp)",
            Self::Limit => "a limit: RLIMIT_DATA, RLIMIT_AS or vm.max_map_count",
        })
    }
}

impl Error {
    /// The errno for this error.  C functions return its negative.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        Errno(match self {
            Self::UnexpectedCode { .. } | Self::Conflict { .. } | Self::Changed { .. } => {
                libc::EILSEQ
            }
            Self::Encode(_) | Self::Overflow { .. } => libc::ERANGE,
            Self::Alignment { .. } | Self::NotATable { .. } | Self::NotAnEntry { .. } => {
                libc::EINVAL
            }
            Self::NotCode { .. } => libc::EFAULT,
            Self::Counted { .. } => libc::EBUSY,
            Self::Underflow { .. } => libc::EALREADY,
            Self::NoSync(_) => libc::ENOTSUP,
            Self::Busy => libc::EAGAIN,
            Self::ForeignProcess { .. } => libc::ECHILD,
            Self::KeyNotWritable { errno, .. }
            | Self::Protect { errno, .. }
            | Self::Write { errno, .. }
            | Self::SyncFailed(errno)
            | Self::NoMemory(errno)
            | Self::Mappings(errno) => errno.0,
        })
    }

    /// Address of the site that the error is about.
    #[must_use]
    pub const fn site(&self) -> Option<usize> {
        match self {
            Self::UnexpectedCode { site, .. }
            | Self::Conflict { site, .. }
            | Self::Alignment { site, .. }
            | Self::NotCode { site, .. }
            | Self::Protect { site, .. }
            | Self::Write { site, .. }
            | Self::Changed { site } => Some(*site),
            #[allow(clippy::cast_possible_truncation, reason = "an address of this process")]
            Self::Encode(error) => Some(error.address() as usize),
            _ => None,
        }
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedCode { site, key, found, expected } => write!(
                f,
                "the site {site:#x} of the key {key:#x} must hold {expected} in the current state \
                 of the key; found {found}: is a breakpoint set there, or did something else patch it?"
            ),
            Self::Conflict { site, key, other } => write!(
                f,
                "the site {site:#x} belongs to the keys {key:#x} and {other:#x}: \
                 was the program linked with --icf=all and without the macros' guard?"
            ),
            Self::Encode(error) => error.fmt(f),
            Self::Alignment { site, key, unit } => write!(
                f,
                "the site {site:#x} of the key {key:#x} crosses a boundary of {unit} bytes, \
                 so that one store cannot write it: align the site as the macros do"
            ),
            Self::NotCode { site, key } => write!(
                f,
                "the site {site:#x} of the key {key:#x} must lie in a mapping that is readable \
                 and executable; found no such mapping"
            ),
            Self::KeyNotWritable { key, errno } => {
                write!(f, "the count of the key {key:#x} must be writable: {errno}")
            }
            Self::Counted { key, count } => write!(
                f,
                "the key {key:#x} is enabled {count} times, and one disable cannot turn it off: \
                 decrement it as often as it was incremented"
            ),
            Self::Underflow { key } => {
                write!(f, "the key {key:#x} is off and cannot be decremented")
            }
            Self::Overflow { key } => {
                write!(f, "the key {key:#x} is enabled {} times, the maximum", i32::MAX)
            }
            Self::Protect { site, start, len, errno, policy } => {
                write!(
                    f,
                    "the pages of {len} bytes at {start:#x}, with {site:#x} as their first site, \
                     could not be made writable: {errno}"
                )?;
                match policy {
                    Some(policy) => write!(f, "; policy: {policy}"),
                    None => Ok(()),
                }
            }
            Self::Write { site, errno } => {
                write!(f, "the site {site:#x} could not be written through /proc/self/mem: {errno}")
            }
            Self::Changed { site } => {
                write!(f, "something else changed the site {site:#x} during the batch")
            }
            Self::NoSync(refusal) => write!(f, "nothing was patched: {refusal}"),
            Self::SyncFailed(errno) => write!(
                f,
                "the final synchronisation failed: {errno}; the old code was written back, but \
                 other threads may have executed the new code"
            ),
            Self::Busy => f.write_str("another batch is in progress; try again"),
            Self::ForeignProcess { started_in } => write!(
                f,
                "the code may be shared with the process {started_in}, which created this process \
                 without running fork handlers (vfork, clone)"
            ),
            Self::NoMemory(errno) => write!(f, "not enough memory for the batch: {errno}"),
            Self::Mappings(errno) => {
                write!(
                    f,
                    "the protections of code pages could not be read from /proc/self: {errno}"
                )
            }
            Self::NotATable { start, len } => write!(
                f,
                "the {len} bytes at {start:#x} are not a jump table: a table is aligned to 8 bytes \
                 and consists of entries of 16 bytes"
            ),
            Self::NotAnEntry { entry } => {
                write!(f, "{entry:#x} is not an entry of a registered jump table")
            }
        }
    }
}

impl core::error::Error for Error {}
