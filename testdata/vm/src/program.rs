//! Programs to run in the guest, and their results.

use jlctl_guest::{Ending, Stream};
use std::path::PathBuf;
use std::time::Duration;

/// A program to run in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// A static arm64 executable of the host's file system.
    pub path: PathBuf,
    /// Its arguments, without the program's name.
    pub arguments: Vec<String>,
    /// Its environment, in addition to `HOME`, `PATH` and `TMPDIR`.
    pub environment: Vec<(String, String)>,
    /// Files of the host that the guest has under the same absolute paths, readable and
    /// executable for all users.
    pub files: Vec<PathBuf>,
    /// Time limit, in milliseconds.
    pub limit: Duration,
}

impl Program {
    /// The program without arguments, with a limit of a minute.
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

/// The result of a program.
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
    /// Its duration by the guest's clock; zero until it has ended.
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
