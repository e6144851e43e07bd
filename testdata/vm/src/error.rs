//! Why programs were not run in the virtual machine, or not to the end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why programs were not run in the virtual machine, or not to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// The kernel was not fetched.
    #[error("{name} is not in the cache: run `cargo run -p jlctl-corpus -- fetch {name}`")]
    NoKernel {
        /// Its name in the corpus.
        name: &'static str,
    },
    /// A command could not be started.
    #[error("cannot run {command}; {hint}")]
    Spawn {
        /// The command.
        command: String,
        /// What to do about it.
        hint: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A command failed.
    #[error("{command} failed ({status}):\n{stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to stderr.
        stderr: String,
    },
    /// cargo did not name what it had built.
    #[error("{command} built no {what}")]
    NotBuilt {
        /// The command line.
        command: String,
        /// What was looked for in its messages.
        what: String,
    },
    /// A file is too large for the initial file system, whose sizes have 32 bits.
    #[error("{path} is too large for the machine's memory")]
    TooLarge {
        /// The path in the guest.
        path: String,
    },
    /// The kernel panicked.
    #[error("the guest's kernel panicked: {message}\n{console}")]
    Panicked {
        /// What it said.
        message: String,
        /// The last lines of the console.
        console: String,
    },
    /// The machine ended before all programs had.
    #[error("the machine ended before its work ({status})\n{emulator}{console}")]
    EndedEarly {
        /// How the emulator ended.
        status: String,
        /// What the emulator wrote to stderr.
        emulator: String,
        /// The last lines of the console.
        console: String,
    },
    /// The machine was killed after its time was over.
    #[error("the machine was not done after {} s, {doing}\n{console}", .limit.as_secs_f32())]
    TimedOut {
        /// How long it may take.
        limit: Duration,
        /// What it was at.
        doing: String,
        /// The last lines of the console.
        console: String,
    },
    /// What came through the port of records is none.
    #[error("the guest sent no record: {line:?}")]
    Protocol {
        /// What it sent.
        line: String,
    },
    /// The guest sent more than is kept.
    #[error("the guest sent more than {} MiB", .limit >> 20)]
    TooMuch {
        /// How much that is, in bytes.
        limit: usize,
    },
    /// The file system refused something.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl VmError {
    /// Wraps an I/O error with what was tried on which path.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
