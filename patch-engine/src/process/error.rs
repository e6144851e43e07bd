//! Why a process was not read or patched.

use crate::apply::FailureClass;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a process was not read or patched.  Unless it says otherwise, nothing was written and
/// all threads run on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such process.
    #[error("process {pid}: there is none; it has ended, or never was")]
    Gone {
        /// Its id.
        pid: i32,
    },
    /// The kernel does not let this user look at it.
    #[error("process {pid}: not allowed to {what}: {why}")]
    NotAllowed {
        /// Its id.
        pid: i32,
        /// What was tried.
        what: &'static str,
        /// What stands against it, as far as that can be known.
        why: String,
    },
    /// The image is not in the process.
    #[error("process {pid}: {why}")]
    NotMapped {
        /// Its id.
        pid: i32,
        /// What was looked for, and what was found.
        why: String,
    },
    /// Bytes are others than they must be.
    #[error("process {pid}: nothing was written: {}", Listed(.differences))]
    Differs {
        /// Its id.
        pid: i32,
        /// All that differ.
        differences: Vec<MemoryDifference>,
    },
    /// A thread goes on in the middle of an instruction that is to change.
    #[error(
        "process {pid}: nothing was written: thread {thread} is at {pc:#x}, inside the instruction \
         at {site:#x}: try again"
    )]
    InsideSite {
        /// Its id.
        pid: i32,
        /// The thread.
        thread: i32,
        /// Where it goes on, at run time.
        pc: u64,
        /// The instruction, at run time.
        site: u64,
    },
    /// A thread does not stop.
    #[error(
        "process {pid}: nothing was written: thread {thread} did not stop within {seconds} s; it \
         waits in the kernel, as a parent does for its vfork child"
    )]
    StillRuns {
        /// Its id.
        pid: i32,
        /// The thread.
        thread: i32,
        /// How long it was waited for.
        seconds: u64,
    },
    /// It was interrupted.
    #[error("process {pid}: interrupted; what was written was taken back")]
    Interrupted {
        /// Its id.
        pid: i32,
    },
    /// A write failed, and all before it were taken back.
    #[error(
        "process {pid}: cannot write at {address:#x}: {error}; what was written was taken back"
    )]
    TakenBack {
        /// Its id.
        pid: i32,
        /// Where, at run time.
        address: u64,
        /// Why.
        error: io::Error,
    },
    /// A write failed, and so did taking back.
    #[error(
        "process {pid}: cannot write at {address:#x}: {error}; taking back failed too: sites of the \
         key may be of both states until the same command succeeds (jlctl audit lists them)"
    )]
    Torn {
        /// Its id.
        pid: i32,
        /// Where, at run time.
        address: u64,
        /// Why.
        error: io::Error,
    },
    /// Its control socket cannot be used.
    #[error("process {pid}: control socket {}: {why}", path.display())]
    Control {
        /// Its id.
        pid: i32,
        /// The socket.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// It was asked by its control socket, and refuses.
    #[error("process {pid}: nothing was changed: {why}")]
    Refused {
        /// Its id.
        pid: i32,
        /// What it says.
        why: String,
    },
    /// The operating system failed.
    #[error("process {pid}: cannot {what}: {error}")]
    System {
        /// Its id.
        pid: i32,
        /// What was tried.
        what: String,
        /// Why.
        error: io::Error,
    },
}

impl ProcessError {
    /// Of which kind the failure is.
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

/// Bytes that are others than they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryDifference {
    /// Where, at run time.
    pub address: u64,
    /// What should be there.
    pub expected: Vec<u8>,
    /// What is there.
    pub found: Vec<u8>,
}

impl fmt::Display for MemoryDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (expected, found) = (hex(&self.expected), hex(&self.found));
        write!(f, "at {:#x} expected {expected}, found {found}", self.address)
    }
}

/// Differences in one line, the first of many.
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
