//! A patched copy, which appears under its name complete or not at all.
//!
//! The copy is a new file beside OUT: a reflink where the file system has them, else
//! copied inside the kernel.  It gets the image's permissions; its owner is who runs
//! this, its time now, and extended attributes are not copied.  Only the changed
//! bytes are written into it.

use super::disk::{Disk, Real, directory};
use super::error::ApplyError;
use super::report::{ApplyReport, CopyMethod, Durability};
use super::source::{OpenImage, Patch, is_same_file};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes that go through memory at once, where the kernel does not copy.
const CHUNK: usize = 1 << 20;

/// Writes the patched image to `out`, in place of what is there.  `also` runs while
/// the bytes are copied; if it fails, nothing appears.
///
/// # Errors
/// If the image is not the one of the patch, `out` is the image, or the operating
/// system fails; `out` is then as it was.
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
    // The copy is mostly the kernel's work; who the image is can be found out
    // meanwhile.
    let (copied, verified) = rayon::join(
        || clone(&source.file, temporary.as_file(), length),
        || rayon::join(also, || source.verify(patch)),
    );
    // That it is another file says more than what follows from that.
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

/// What the operating system raised on `action` at `path`, as an error.
pub(super) fn system(
    path: &Path,
    action: &'static str,
) -> impl FnOnce(io::Error) -> ApplyError + use<> {
    let path = path.to_owned();
    move |source| ApplyError::System { path, action, source }
}

/// Gives `temporary`, complete in the directory `at`, the permissions of its source and the name
/// `target`.
///
/// # Errors
/// If the disk fails; without its name the file goes.
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

/// Where `out` leads: a regular file to replace or make, and not the image.
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

/// Makes the first `length` bytes of `to` those of `from`.
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
