//! Why an image could not be fetched.

use std::io;
use std::path::PathBuf;

/// Why an image could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is nowhere to keep the image.
    #[error("no cache directory: set JLCTL_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The machine is no Debian.
    #[error("real images come through Debian's apt, but this machine is {found}")]
    NotDebian {
        /// What `/etc/os-release` says.
        found: String,
    },
    /// The machine's apt configuration names no archive for a suite.
    #[error(
        "the machine's apt configuration has no source of suite {suite} to take the archive's address from"
    )]
    NoSource {
        /// The suite looked for.
        suite: String,
    },
    /// A command could not be started.
    #[error("cannot run {command}")]
    Spawn {
        /// The command line.
        command: String,
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
    /// apt knows no such package.
    #[error("suite {suite} has no package {package}")]
    NoPackage {
        /// The package looked for.
        package: String,
        /// The suite.
        suite: String,
    },
    /// Several things failed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<FetchError>),
    /// A file is not the pinned one.
    #[error("{path}: SHA-256 is {found}, expected {expected}")]
    WrongSum {
        /// The file.
        path: PathBuf,
        /// Its sum.
        found: String,
        /// The pinned sum.
        expected: String,
    },
    /// A package has not exactly one file of a pattern.
    #[error("the package has {found} files {pattern}, expected one")]
    Members {
        /// What was unpacked.
        pattern: String,
        /// How many files that were.
        found: usize,
    },
    /// The cache holds a directory that no fetch can have left.
    #[error("{path} exists but is incomplete: remove it and fetch again")]
    Incomplete {
        /// The directory.
        path: PathBuf,
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

impl FetchError {
    /// Wraps an I/O error with what was tried on which path.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
