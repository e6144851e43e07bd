//! Why programs did not run to their end in the virtual machine.

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
        /// A hint for the user.
        hint: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A command failed.
    #[error("{command} failed ({status}):\n{stderr}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// What it wrote to stderr.
        stderr: String,
    },
    /// cargo named no executable that it built.
    #[error("{command} built no {what}")]
    NotBuilt {
        /// The command line.
        command: String,
        /// The expected executable.
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
        /// Its message.
        message: String,
        /// The last lines of the console.
        console: String,
    },
    /// The machine ended before all programs.
    #[error("the machine ended before all programs had run ({status})\n{emulator}{console}")]
    EndedEarly {
        /// How the emulator ended.
        status: String,
        /// What the emulator wrote to stderr.
        emulator: String,
        /// The last lines of the console.
        console: String,
    },
    /// The machine reached its time limit and was killed.
    #[error("the machine was not done after {} s, {doing}\n{console}", .limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// The step that it was executing.
        doing: String,
        /// The last lines of the console.
        console: String,
    },
    /// A line on the port of records is not a record.
    #[error("the guest sent a line that is not a record: {line:?}")]
    Protocol {
        /// The line.
        line: String,
    },
    /// The guest sent more than the limit.
    #[error("the guest sent more than {} MiB", .limit >> 20)]
    TooMuch {
        /// The limit in bytes.
        limit: usize,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl VmError {
    /// Wraps an I/O error with the operation and the path.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
