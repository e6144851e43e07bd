//! The files of a command line: its arguments, and the files in the directories among them.

use crate::terminal::exit::{Kind, failure};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// Whether the file was found in a directory, where files that are not images are expected,
    /// rather than named.
    pub(crate) is_found: bool,
}

/// The files of `arguments`, directories replaced by the regular files below them in the order of
/// their paths.  Symbolic links are not followed: a tree of modules has links to the kernel's
/// sources.
///
/// # Errors
/// If a directory cannot be read.
pub(crate) fn candidates(arguments: &[PathBuf]) -> anyhow::Result<Vec<Candidate>> {
    let mut all = Vec::new();
    for argument in arguments {
        if !argument.is_dir() {
            all.push(Candidate { path: argument.clone(), is_found: false });
            continue;
        }
        for entry in WalkDir::new(argument).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                failure(Kind::Input, format!("{}: {error}", argument.display()))
            })?;
            if entry.file_type().is_file() {
                all.push(Candidate { path: entry.into_path(), is_found: true });
            }
        }
    }
    Ok(all)
}

/// The images to read: the arguments (or JLCTL_IMAGE), or else `./vmlinux`.
///
/// # Errors
/// A usage error if there is no argument and no `./vmlinux`.
pub(crate) fn images(arguments: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if !arguments.is_empty() {
        return Ok(arguments.to_vec());
    }
    let default = Path::new("./vmlinux");
    if default.exists() {
        return Ok(vec![default.to_owned()]);
    }
    Err(failure(
        Kind::Usage,
        "no IMAGE given, JLCTL_IMAGE is not set and there is no ./vmlinux; see jlctl inspect --help",
    ))
}
