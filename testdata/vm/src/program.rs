//! Programs that are to be run in the guest, and what became of them.

use jlctl_guest::{Ending, Stream};
use std::path::PathBuf;
use std::time::Duration;

/// A program to run in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// A static arm64 executable of the host's file system.
    pub path: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// Its environment by name, beside `HOME`, `PATH` and `TMPDIR`.
    pub environment: Vec<(String, String)>,
    /// Files of the host that it finds in the guest, under the same absolute paths; anybody may
    /// read and execute them there.
    pub files: Vec<PathBuf>,
    /// How long it may take, to the millisecond.
    pub limit: Duration,
}

impl Program {
    /// The program without arguments, and with a minute.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            files: Vec::new(),
            limit: Duration::from_secs(60),
        }
    }

    /// The program with these arguments.
    #[must_use]
    pub fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The program with this limit.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// What became of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Whether it was started.
    pub started: bool,
    /// How it ended; `None` if the machine ended first.
    pub ending: Option<Ending>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// How long it took by the guest's clock; zero while it has not ended.
    pub duration: Duration,
}

impl Run {
    pub(super) fn stream(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}
