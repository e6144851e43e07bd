//! Why a flip was refused or taken back.

use crate::insn::{EncodeError, InsnBytes};
use crate::sync::Refusal;
use crate::sys::errno::Errno;
use core::fmt;

/// Why nothing was flipped.  Every count is as it was and so is the code, but where a variant
/// says otherwise.
///
/// Addresses are those of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Code at a site is not what the key's state demands.
    UnexpectedCode {
        /// Address of the site.
        site: usize,
        /// Address of its key.
        key: usize,
        /// What is there.
        found: InsnBytes,
        /// What has to be there.
        expected: InsnBytes,
    },
    /// Two entries of a table want different code at one site.
    Conflict {
        /// Address of the site.
        site: usize,
        /// Address of the key of one.
        key: usize,
        /// Address of the key of the other.
        other: usize,
    },
    /// A branch has no encoding.
    Encode(EncodeError),
    /// A site crosses the unit that can be written at once.
    Alignment {
        /// Address of the site.
        site: usize,
        /// Address of its key.
        key: usize,
        /// The unit in bytes.
        unit: usize,
    },
    /// There is no code at a site: the page is not mapped, not executable or not readable.
    NotCode {
        /// Address of the site.
        site: usize,
        /// Address of its key.
        key: usize,
    },
    /// A key's count cannot be written.
    KeyNotWritable {
        /// Address of the key.
        key: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// A key that is enabled several times cannot be disabled at once.
    Counted {
        /// Address of the key.
        key: usize,
        /// How often it is enabled.
        count: i32,
    },
    /// A key that is off cannot be decremented.
    Underflow {
        /// Address of the key.
        key: usize,
    },
    /// A key cannot be incremented any more.
    Overflow {
        /// Address of the key.
        key: usize,
    },
    /// Pages could not be made writable.
    Protect {
        /// Address of the first site on them.
        site: usize,
        /// Address of the first page.
        start: usize,
        /// Bytes of the pages.
        len: usize,
        /// What the kernel said.
        errno: Errno,
        /// The policy that forbids it, if that is known.
        policy: Option<WritePolicy>,
    },
    /// A site was not written.
    Write {
        /// Address of the site.
        site: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// Code at a site changed while it was patched.
    Changed {
        /// Address of the site.
        site: usize,
    },
    /// Nothing that other threads could be synchronised by; no code was written.
    NoSync(Refusal),
    /// The synchronisation failed after the code was written.  The code was taken back, but
    /// other threads may have executed the new code, and may do so still.
    SyncFailed(Errno),
    /// Another thread, or the code that a signal handler has interrupted, holds the runtime.
    Busy,
    /// The process was made by `vfork` or a `clone` that did not run fork handlers, so that
    /// its code may be another process's too.
    ForeignProcess {
        /// The process that the runtime was started in.
        started_in: u32,
    },
    /// There is no memory for the batch.
    NoMemory(Errno),
    /// The mappings of the process could not be read.
    Mappings(Errno),
    /// A table is none.
    NotATable {
        /// Its address.
        start: usize,
        /// Its bytes.
        len: usize,
    },
    /// An entry is in no table that is registered.
    NotAnEntry {
        /// Its address.
        entry: usize,
    },
}

/// A policy that keeps code from being written.
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
            Self::Mdwe => "memory-deny-write-execute (PR_SET_MDWE; systemd: MemoryDenyWriteExecute=)",
            Self::Selinux => "SELinux (permission execmod)",
            Self::Sealed => "sealed memory (mseal) or a filter of system calls (seccomp)",
            Self::Limit => "a limit: RLIMIT_DATA, RLIMIT_AS or vm.max_map_count",
        })
    }
}

impl Error {
    /// The number that C callers get, negated: an errno.
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

    /// Address of the site that it is about.
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
                "the site {site:#x} of the key {key:#x} must hold {expected} for the state of \
                 the key; found {found}: is a breakpoint set there, or has something else patched it?"
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
                 so that it cannot be written at once: align it as the macros do"
            ),
            Self::NotCode { site, key } => write!(
                f,
                "the site {site:#x} of the key {key:#x} must lie in a mapping that can be read \
                 and executed; there is none"
            ),
            Self::KeyNotWritable { key, errno } => {
                write!(f, "the count of the key {key:#x} must be writable: {errno}")
            }
            Self::Counted { key, count } => write!(
                f,
                "the key {key:#x} is enabled {count} times and cannot be disabled at once: \
                 decrement it as often as it was incremented"
            ),
            Self::Underflow { key } => write!(f, "the key {key:#x} is off and cannot be decremented"),
            Self::Overflow { key } => {
                write!(f, "the key {key:#x} is enabled {} times, which is the most", i32::MAX)
            }
            Self::Protect { site, start, len, errno, policy } => {
                write!(
                    f,
                    "the {len} bytes of pages from {start:#x} on, first site {site:#x}, could not \
                     be made writable: {errno}"
                )?;
                match policy {
                    Some(policy) => write!(f, "; policy: {policy}"),
                    None => Ok(()),
                }
            }
            Self::Write { site, errno } => {
                write!(f, "the site {site:#x} was not written by /proc/self/mem: {errno}")
            }
            Self::Changed { site } => {
                write!(f, "something else changed the site {site:#x} at the same time")
            }
            Self::NoSync(refusal) => write!(f, "nothing was patched: {refusal}"),
            Self::SyncFailed(errno) => write!(
                f,
                "the final synchronisation failed: {errno}; the code was taken back, but other \
                 threads may have seen it"
            ),
            Self::Busy => f.write_str("a batch is under way; try again"),
            Self::ForeignProcess { started_in } => write!(
                f,
                "the code may be shared with the process {started_in}, which this one was made \
                 from without fork handlers (vfork, clone)"
            ),
            Self::NoMemory(errno) => write!(f, "there is no memory for the batch: {errno}"),
            Self::Mappings(errno) => {
                write!(f, "the protections of code could not be read from /proc/self: {errno}")
            }
            Self::NotATable { start, len } => write!(
                f,
                "the {len} bytes at {start:#x} are no jump table: it must be aligned and made \
                 of entries of 16 bytes"
            ),
            Self::NotAnEntry { entry } => {
                write!(f, "{entry:#x} is no entry of a jump table that is registered")
            }
        }
    }
}

impl core::error::Error for Error {}
