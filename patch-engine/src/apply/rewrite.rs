//! A copy of a file with other bytes in it and behind it, complete or not there.

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

/// What becomes of the copy.
#[derive(Debug)]
pub(crate) struct Rewrite {
    /// How many of the file's bytes it begins with.
    pub(crate) keep: u64,
    /// What is written into it: file offsets and bytes, also behind its end.
    pub(crate) writes: Vec<(u64, Vec<u8>)>,
}

/// Writes a changed copy to `out`, in place of what is there; it gets the file's permissions.
/// `compose` finds out how it is changed while the bytes are copied; if it fails, nothing appears.
///
/// # Errors
/// If the file has changed its length, `out` is the file, or the operating system fails; `out`
/// is then as it was.
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
