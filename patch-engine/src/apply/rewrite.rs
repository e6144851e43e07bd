//! A copy of a file with some bytes changed and others appended, which appears complete or not at
//! all.

use super::copy::{clone, publish, system, target};
use super::disk::{Disk, Real, directory};
use super::error::ApplyError;
use super::report::{CopyMethod, Durability};
use super::source::OpenImage;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A file that is copied; symbolic links are followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original<'a> {
    /// Its path.
    pub(crate) path: &'a Path,
    /// Its length in bytes when it was read.
    pub(crate) length: u64,
}

/// The changes of the copy.
#[derive(Debug)]
pub(crate) struct Rewrite {
    /// How many of the file's first bytes are kept.
    pub(crate) keep: u64,
    /// The writes to the copy, also after its end: file offsets and bytes.
    pub(crate) writes: Vec<(u64, Vec<u8>)>,
}

/// Writes a changed copy to `out`, in place of an existing file, with the permissions of the
/// original. `compose` computes the changes while the bytes are copied; if it fails, no file
/// appears.
///
/// # Errors
/// If the length of the file has changed, `out` is the file itself, or the operating system fails.
/// `out` is unchanged then.
pub(crate) fn rewrite<T: Send, E: From<ApplyError> + Send>(
    original: Original<'_>,
    out: &Path,
    durability: Durability,
    compose: impl FnOnce() -> Result<(Rewrite, T), E> + Send,
) -> Result<(CopyMethod, T), E> {
    let source = OpenImage::open(original.path, false)?;
    let (expected, found) = (original.length, source.metadata.len());
    if found != expected {
        return Err(ApplyError::Length { path: source.path, expected, found }.into());
    }
    let target = target(&source, out)?;
    let at = directory(&target);
    let temporary = tempfile::Builder::new()
        .prefix(".jlctl-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(at)
        .map_err(system(at, "create a file in"))?;
    let (copied, composed) =
        rayon::join(|| clone(&source.file, temporary.as_file(), expected), compose);
    let (change, composed) = composed?;
    let copied = copied.map_err(system(&target, "write"))?;
    if change.keep < expected {
        temporary.as_file().set_len(change.keep).map_err(system(&target, "write"))?;
    }
    for (offset, bytes) in &change.writes {
        let written = Real.write(temporary.as_file(), bytes, *offset);
        written.map_err(system(&target, "write"))?;
    }
    publish(temporary, &source, &target, at, durability)?;
    Ok((copied, composed))
}
