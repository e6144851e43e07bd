//! A copy of a file with other bytes in it and behind it, complete or not there.

use super::copy::{clone, publish, system, target};
use super::disk::{Disk, Real, directory};
use super::error::ApplyError;
use super::report::{CopyMethod, Durability};
use super::source::Source;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What a copy is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rewrite<'a> {
    /// The file; symbolic links are followed.
    pub(crate) image: &'a Path,
    /// Its length in bytes when it was read.
    pub(crate) length: u64,
    /// How many of its bytes the copy begins with.
    pub(crate) keep: u64,
    /// What is written into the copy: file offsets and bytes, also behind its end.
    pub(crate) writes: &'a [(u64, Vec<u8>)],
}

/// Writes the copy to `out`, in place of what is there; it gets the file's permissions.
///
/// # Errors
/// If the file has changed its length, `out` is the file, or the operating system fails; `out`
/// is then as it was.
pub(crate) fn rewrite(
    what: &Rewrite<'_>,
    out: &Path,
    durability: Durability,
) -> Result<CopyMethod, ApplyError> {
    let source = Source::open(what.image, false)?;
    let found = source.metadata.len();
    if found != what.length {
        return Err(ApplyError::Length { path: source.path, expected: what.length, found });
    }
    let target = target(&source, out)?;
    let at = directory(&target);
    let temporary = tempfile::Builder::new()
        .prefix(".jlctl-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(at)
        .map_err(system(at, "create a file in"))?;
    let copied =
        clone(&source.file, temporary.as_file(), what.keep).map_err(system(&target, "write"))?;
    for (offset, bytes) in what.writes {
        let written = Real.write(temporary.as_file(), bytes, *offset);
        written.map_err(system(&target, "write"))?;
    }
    publish(temporary, &source, &target, at, durability)?;
    Ok(copied)
}
