//! Errors of reading and patching a process.

use crate::apply::FailureClass;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a process was not read or patched. Unless the variant says otherwise, nothing was written
/// and all threads run on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such process.
    #[error("process {pid}: no such process; it has ended, or the number is wrong")]
    Gone {
        /// Process id.
        pid: i32,
    },
    /// The kernel denies this user access to the process.
    #[error("process {pid}: not allowed to {what}: {why}")]
    NotAllowed {
        /// Process id.
        pid: i32,
        /// The operation that was denied.
        what: &'static str,
        /// The reason, as far as it is known.
        why: String,
    },
    /// The image is not mapped in the process.
    #[error("process {pid}: {why}")]
    NotMapped {
        /// Process id.
        pid: i32,
        /// The image that was looked for, and the mapping that was found.
        why: String,
    },
    /// Bytes differ from the expected ones.
    #[error("process {pid}: nothing was written: {}", Listed(.differences))]
    Differs {
        /// Process id.
        pid: i32,
        /// Every difference.
        differences: Vec<MemoryDifference>,
    },
    /// A thread would resume inside an instruction that is to change.
    #[error(
        "process {pid}: nothing was written: thread {thread} is at {pc:#x}, inside the instruction \
         at {site:#x}: try again"
    )]
    InsideSite {
        /// Process id.
        pid: i32,
        /// Thread id.
        thread: i32,
        /// The thread's program counter.
        pc: u64,
        /// Address of the instruction, at run time.
        site: u64,
    },
    /// A thread does not stop.
    #[error(
        "process {pid}: nothing was written: thread {thread} did not stop within {seconds} s; it \
         waits in the kernel, as a parent does for its vfork child"
    )]
    StillRuns {
        /// Process id.
        pid: i32,
        /// Thread id.
        thread: i32,
        /// The time limit.
        seconds: u64,
    },
    /// The user interrupted the command.
    #[error("process {pid}: interrupted; all writes were undone")]
    Interrupted {
        /// Process id.
        pid: i32,
    },
    /// A write failed, and all earlier writes were undone.
    #[error("process {pid}: cannot write at {address:#x}: {error}; all writes were undone")]
    TakenBack {
        /// Process id.
        pid: i32,
        /// Address of the write, at run time.
        address: u64,
        /// The operating system's answer.
        error: io::Error,
    },
    /// A write failed, and undoing the earlier writes failed too.
    #[error(
        "process {pid}: cannot write at {address:#x}: {error}; undoing failed too: sites of the \
         key may be of both states until the same command succeeds (jlctl audit lists them)"
    )]
    Torn {
        /// Process id.
        pid: i32,
        /// Address of the write, at run time.
        address: u64,
        /// The operating system's answer.
        error: io::Error,
    },
    /// The control socket cannot be used.
    #[error("process {pid}: control socket {}: {why}", path.display())]
    Control {
        /// Process id.
        pid: i32,
        /// Path of the socket.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The process refuses a request by its control socket.
    #[error("process {pid}: nothing was changed: {why}")]
    Refused {
        /// Process id.
        pid: i32,
        /// The reason that the process gives.
        why: String,
    },
    /// The operating system failed.
    #[error("process {pid}: cannot {what}: {error}")]
    System {
        /// Process id.
        pid: i32,
        /// The operation that failed.
        what: String,
        /// The operating system's answer.
        error: io::Error,
    },
}

impl ProcessError {
    /// The kind of this failure.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Gone { .. } => FailureClass::Unreadable,
            Self::NotMapped { .. }
            | Self::Differs { .. }
            | Self::InsideSite { .. }
            | Self::Refused { .. } => FailureClass::Refused,
            Self::NotAllowed { .. }
            | Self::StillRuns { .. }
            | Self::Interrupted { .. }
            | Self::TakenBack { .. }
            | Self::Torn { .. }
            | Self::Control { .. }
            | Self::System { .. } => FailureClass::System,
        }
    }
}

/// Bytes of memory that differ from the expected ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryDifference {
    /// Address of the first byte, at run time.
    pub address: u64,
    /// The expected bytes.
    pub expected: Vec<u8>,
    /// The bytes in memory.
    pub found: Vec<u8>,
}

impl fmt::Display for MemoryDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (expected, found) = (hex(&self.expected), hex(&self.found));
        write!(f, "at {:#x} expected {expected}, found {found}", self.address)
    }
}

/// Differences in one line; only the first ones are listed.
struct Listed<'a>(&'a [MemoryDifference]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        for (index, difference) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{difference}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
