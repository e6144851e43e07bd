//! The files of a command line: its arguments, and the files in the directories among them.

use crate::terminal::exit::{Kind, failure};
use jlctl_analyzer::image::{
    ArchiveMember, ArchiveMembers, MappedFile, archive_members, is_archive,
};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// Whether the file was found in a directory, where files that are not images are expected,
    /// rather than named.
    pub(crate) is_found: bool,
    /// The member, if the file is an archive.
    pub(crate) member: Option<Member>,
}

/// A member of an archive, or what is wrong with the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member {
    /// A member.
    Sound(ArchiveMember),
    /// The archive cannot be read to its end.
    Damaged(String),
}

impl Candidate {
    fn new(path: PathBuf, is_found: bool) -> Self {
        Self { path, is_found, member: None }
    }

    /// The name of the file in reports: the path, and the member of an archive in parentheses.
    pub(crate) fn name(&self) -> String {
        let path = self.path.to_string_lossy();
        match &self.member {
            Some(Member::Sound(member)) => format!("{path}({})", member.name),
            Some(Member::Damaged(_)) | None => path.into_owned(),
        }
    }

    /// The members, if the file is an archive; else the file itself.
    fn members(self) -> Vec<Self> {
        let is_file = std::fs::metadata(&self.path).is_ok_and(|found| found.is_file());
        // What cannot be mapped is reported when it is opened.
        let Some(file) = is_file.then(|| MappedFile::open(&self.path).ok()).flatten() else {
            return vec![self];
        };
        if !is_archive(file.bytes()) {
            return vec![self];
        }
        let ArchiveMembers { members, fault } = archive_members(file.bytes(), &self.path);
        let members = members.into_iter().map(Member::Sound);
        // A member that is no image is expected, as in a directory.
        let of = |member| {
            let is_found = matches!(member, Member::Sound(_));
            Self { path: self.path.clone(), is_found, member: Some(member) }
        };
        members.chain(fault.map(Member::Damaged)).map(of).collect()
    }
}

/// As [`candidates`], archives replaced by their members.
///
/// # Errors
/// As [`candidates`].
pub(crate) fn candidates_and_members(arguments: &[PathBuf]) -> anyhow::Result<Vec<Candidate>> {
    let candidates = candidates(arguments)?;
    Ok(candidates.into_iter().flat_map(Candidate::members).collect())
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
            all.push(Candidate::new(argument.clone(), false));
            continue;
        }
        for entry in WalkDir::new(argument).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                failure(Kind::Input, format!("{}: {error}", argument.display()))
            })?;
            if entry.file_type().is_file() {
                all.push(Candidate::new(entry.into_path(), true));
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
