//! Why an image could not be fetched.

use std::io;
use std::path::PathBuf;

/// Why an image could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No directory for the cache is known.
    #[error("no cache directory: set JLCTL_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The machine does not run Debian.
    #[error("real images come through Debian's apt, but this machine is {found}")]
    NotDebian {
        /// The system that `/etc/os-release` names.
        found: String,
    },
    /// The machine's apt configuration has no source for a suite.
    #[error("no apt source for suite {suite}: cannot determine the archive's URL")]
    NoSource {
        /// The missing suite.
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
        /// Its exit status.
        status: String,
        /// What it wrote to stderr.
        stderr: String,
    },
    /// apt does not know the package.
    #[error("suite {suite} has no package {package}")]
    NoPackage {
        /// The missing package.
        package: String,
        /// The suite.
        suite: String,
    },
    /// Several fetches failed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<FetchError>),
    /// A file differs from the pinned one.
    #[error("{path}: SHA-256 is {found}, expected {expected}")]
    WrongSum {
        /// The file.
        path: PathBuf,
        /// Its sum.
        found: String,
        /// The pinned sum.
        expected: String,
    },
    /// The number of files that match a pattern in a package is not one.
    #[error("the package has {found} files that match {pattern}, expected one")]
    Members {
        /// The pattern.
        pattern: String,
        /// The number of files that match.
        found: usize,
    },
    /// The cache contains a directory that no fetch leaves.
    #[error("{path} exists but is incomplete: remove it and fetch again")]
    Incomplete {
        /// The directory.
        path: PathBuf,
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

impl FetchError {
    /// Wraps an I/O error with the operation and the path.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
