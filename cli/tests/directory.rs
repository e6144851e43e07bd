//! A temporary directory in which jlctl runs.

use crate::command::{Run, jlctl, run};
use std::fs;
use std::path::{Path, PathBuf};

/// A temporary directory, which is removed in the end.
pub(crate) struct Directory(tempfile::TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("the file is written");
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file is readable")
    }

    /// Runs jlctl in the directory.
    pub(crate) fn jlctl(&self, args: &[&str]) -> Run {
        run(jlctl(args).current_dir(self.root()))
    }

    /// The standard output of jlctl in the directory, which must succeed without a warning.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.jlctl(args).ok()
    }
}
