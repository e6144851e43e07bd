//! A patched copy, which appears under its name complete or not at all.
//!
//! The copy is a new file beside OUT: a reflink where the file system supports reflinks, or else a
//! copy made inside the kernel. The copy has the image's permissions and belongs to the user who
//! runs the command; its modification time is the present, and extended attributes are not copied.
//! Only the changed bytes are written into it.
//!
//! An apply does not wait for the disk unless the caller asks for [`Durability::Disk`]: it renames
//! a complete file into place and leaves writing back to the kernel, as `cp` does. The image still
//! exists, so that nothing is lost. A change in place always waits ([`super::in_place()`]).

use super::disk::{Disk, Real, directory};
use super::error::ApplyError;
use super::report::{ApplyReport, CopyMethod, Durability};
use super::source::{OpenImage, Patch, is_same_file};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes per read and write where the kernel does not copy.
const CHUNK: usize = 1 << 20;

/// Writes the patched image to `out`, in place of an existing file. `also` runs while the bytes are
/// copied; if it fails, no file appears.
///
/// # Errors
/// If the image is not the one that the patch is for, `out` is the image, or the operating system
/// fails. `out` is unchanged then.
pub fn copy<E: From<ApplyError> + Send>(
    patch: &Patch<'_>,
    out: &Path,
    durability: Durability,
    also: impl FnOnce() -> Result<(), E> + Send,
) -> Result<ApplyReport, E> {
    let source = OpenImage::open(patch.image, false)?;
    let target = target(&source, out)?;
    let at = directory(&target);
    let temporary = tempfile::Builder::new()
        .prefix(".jlctl-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(at)
        .map_err(system(at, "create a file in"))?;
    let length = patch.new_length();
    // The kernel does most of the copy, so that the image is verified at the same time.
    let (copied, verified) = rayon::join(
        || clone(&source.file, temporary.as_file(), length),
        || rayon::join(also, || source.verify(patch)),
    );
    // The wrong image is the cause, and what `also` finds follows from it: report the cause.
    verified.1?;
    verified.0?;
    let copied = copied.map_err(system(&target, "write"))?;
    for write in patch.writes.as_slice() {
        let written = Real.write(temporary.as_file(), &write.new, write.offset.0);
        written.map_err(system(&target, "write"))?;
    }
    publish(temporary, &source, &target, at, durability)?;
    let mut report = ApplyReport::of(patch, source.path, target);
    (report.copied, report.durability) = (Some(copied), Some(durability));
    Ok(report)
}

/// The error that the operating system raised on `action` at `path`.
pub(super) fn system(
    path: &Path,
    action: &'static str,
) -> impl FnOnce(io::Error) -> ApplyError + use<> {
    let path = path.to_owned();
    move |source| ApplyError::System { path, action, source }
}

/// Gives `temporary`, a complete file in the directory `at`, the permissions of its source and the
/// name `target`.
///
/// # Errors
/// If the disk fails; the file is removed unless it has its name.
pub(super) fn publish(
    temporary: tempfile::NamedTempFile,
    source: &OpenImage,
    target: &Path,
    at: &Path,
    durability: Durability,
) -> Result<(), ApplyError> {
    let mode = source.metadata.permissions();
    temporary.as_file().set_permissions(mode).map_err(system(target, "set permissions of"))?;
    if durability == Durability::Disk {
        Real.sync(temporary.as_file()).map_err(system(target, "sync"))?;
    }
    let persisted = temporary.persist(target).map_err(|error| error.error);
    persisted.map_err(system(target, "rename a file to"))?;
    if durability == Durability::Disk {
        Real.sync_directory(at).map_err(|source| ApplyError::NotDurable {
            path: target.to_owned(),
            action: "sync its directory",
            source,
        })?;
    }
    Ok(())
}

/// Resolves `out` to the regular file to create or replace, which must not be the image.
pub(super) fn target(source: &OpenImage, out: &Path) -> Result<PathBuf, ApplyError> {
    match std::fs::metadata(out) {
        Ok(metadata) if is_same_file(&metadata, &source.metadata) => {
            Err(ApplyError::SameFile { image: source.path.clone(), out: out.to_owned() })
        }
        Ok(metadata) if !metadata.is_file() => {
            let found = if metadata.is_dir() { "a directory" } else { "a pipe, socket or device" };
            Err(ApplyError::NotAFile { path: out.to_owned(), found, is_image: false })
        }
        Ok(_) => out.canonicalize().map_err(|source| ApplyError::System {
            path: out.to_owned(),
            action: "open",
            source,
        }),
        Err(_) => Ok(out.to_owned()),
    }
}

/// Copies the first `length` bytes of `from` to `to`.
pub(super) fn clone(from: &File, to: &File, length: u64) -> io::Result<CopyMethod> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        to.set_len(length)?;
        return Ok(CopyMethod::Reflink);
    }
    let (mut copied, mut at, mut to_at) = (0u64, 0u64, 0u64);
    while copied < length {
        let rest = usize::try_from(length - copied).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut to_at), rest) {
            Ok(0) => break,
            Ok(count) => copied += count as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) if copied == 0 && is_unsupported(error) => {
                return by_memory(from, to, length).map(|()| CopyMethod::ReadWrite);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if copied < length {
        return by_memory(from, to, length).map(|()| CopyMethod::ReadWrite);
    }
    Ok(CopyMethod::CopyFileRange)
}

fn is_unsupported(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [Errno::XDEV, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL, Errno::PERM].contains(&error)
}

fn by_memory(from: &File, to: &File, length: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    while offset < length {
        let most = usize::try_from(length - offset).unwrap_or(CHUNK).min(CHUNK);
        match from.read_at(&mut buffer[..most], offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                to.write_all_at(&buffer[..count], offset)?;
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
