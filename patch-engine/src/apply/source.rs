//! The image to patch: opened, locked and verified.

use super::error::{ApplyError, ByteDifference};
use super::writes::{ByteWrite, ByteWrites};
use crate::digest::{Sum, sum_of_file};
use jlctl_analyzer::addr::FileOffset;
use rustix::fs::FlockOperation;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// A change of an image, and the image that it is for.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    /// The image; symbolic links are followed.
    pub image: &'a Path,
    /// Length of the whole file in bytes, before the plan is applied.
    pub length: u64,
    /// Checksum of the whole file, before the plan is applied.
    pub sum: Sum,
    /// The bytes that change.
    pub writes: &'a ByteWrites,
    /// Whether the writes are the reverse edits; then the checksum is that of the file after the
    /// writes.
    pub is_reverse: bool,
    /// Length of the file after the writes, if bytes at its end are cut off.
    pub cut_to: Option<u64>,
}

impl Patch<'_> {
    /// Length of the file after the writes.
    pub(super) fn new_length(&self) -> u64 {
        self.cut_to.unwrap_or(self.length).min(self.length)
    }
}

/// An open image.
#[derive(Debug)]
pub(super) struct OpenImage {
    /// Path with symbolic links resolved.
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) metadata: Metadata,
}

impl OpenImage {
    /// Opens the regular file at `path`, also for writing if `writable`.
    pub(super) fn open(path: &Path, writable: bool) -> Result<Self, ApplyError> {
        let unreadable =
            |action| move |source| ApplyError::Unreadable { path: path.to_owned(), action, source };
        let real = path.canonicalize().map_err(unreadable("open"))?;
        // Checked before opening: opening a FIFO would wait for a writer.
        let metadata = std::fs::metadata(&real).map_err(unreadable("open"))?;
        if !metadata.is_file() {
            let found = if metadata.is_dir() { "a directory" } else { "a pipe, socket or device" };
            return Err(ApplyError::NotAFile { path: real, found, is_image: true });
        }
        let file = File::options().read(true).write(writable).open(&real);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if writable => {
                ApplyError::ReadOnly { path: real.clone(), why: source.to_string() }
            }
            _ => ApplyError::Unreadable { path: real.clone(), action: "open", source },
        })?;
        let metadata = file.metadata().map_err(unreadable("read the metadata"))?;
        Ok(Self { path: real, file, metadata })
    }

    /// Takes the lock that excludes other applies. The lock belongs to the open file (flock(2)), so
    /// that it ends with the process.
    pub(super) fn lock(&self) -> Result<(), ApplyError> {
        let path = || self.path.clone();
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(ApplyError::Busy { path: path() }),
            Err(error) => {
                let (action, source) = ("lock", error.into());
                return Err(ApplyError::System { path: path(), action, source });
            }
        }
        // The path may have been replaced before the lock was taken.
        let now = std::fs::metadata(&self.path);
        let is_same = now.is_ok_and(|now| is_same_file(&now, &self.metadata));
        if is_same { Ok(()) } else { Err(ApplyError::Replaced { path: path() }) }
    }

    /// Verifies that the file is the image of `patch`: its length, every old byte, and its
    /// checksum, which in reverse is that of the file after the writes.
    pub(super) fn verify(&self, patch: &Patch<'_>) -> Result<(), ApplyError> {
        let (path, found) = (|| self.path.clone(), self.metadata.len());
        if found != patch.length {
            return Err(ApplyError::Length { path: path(), expected: patch.length, found });
        }
        let differences = self.differences(patch.writes)?;
        if !differences.is_empty() {
            return Err(ApplyError::OldBytes { path: path(), differences });
        }
        let edits: Vec<(FileOffset, &[u8])> = match patch.is_reverse {
            true => patch.writes.as_slice().iter().map(|edit| (edit.offset, &*edit.new)).collect(),
            false => Vec::new(),
        };
        let found = sum_of_file(&self.file, &edits, &patch.sum)
            .map_err(|source| self.unreadable(source))?;
        if found != patch.sum {
            return Err(ApplyError::Digest { path: path(), expected: patch.sum, found });
        }
        Ok(())
    }

    /// Every write whose old bytes are not in the file.
    fn differences(&self, writes: &ByteWrites) -> Result<Vec<ByteDifference>, ApplyError> {
        let mut differences = Vec::new();
        for ByteWrite { offset, old, .. } in writes.as_slice() {
            let found = self.read(offset.0, old.len())?;
            if found != *old {
                let expected = old.clone();
                differences.push(ByteDifference { offset: *offset, expected, found });
            }
        }
        Ok(differences)
    }

    /// Reads up to `len` bytes at `offset`; fewer where the file ends first.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, ApplyError> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.unreadable(source)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(super) fn unreadable(&self, source: io::Error) -> ApplyError {
        ApplyError::Unreadable { path: self.path.clone(), action: "read", source }
    }
}

/// Whether two names mean the same file.
pub(super) fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
