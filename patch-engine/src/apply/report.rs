//! Reports of an apply and of a recovery.

use super::source::Patch;
use std::path::PathBuf;

/// How the bytes of the image were copied to the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMethod {
    /// Both files share their blocks until one is written (`FICLONE`).
    Reflink,
    /// The kernel copied them (`copy_file_range`).
    CopyFileRange,
    /// The bytes went through this process (`pread`, `pwrite`).
    ReadWrite,
}

/// What survives a power failure once an apply has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The new bytes are on the disk, and so is the name of the file.
    Disk,
    /// The kernel has the bytes and writes them back in its own time, as with `cp`. The name
    /// appears once the kernel has all bytes: a killed process leaves no partial file, but a power
    /// failure can.
    Cache,
}

/// The changes that an apply made, or a dry run would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyReport {
    /// The image, with symbolic links resolved.
    pub image: PathBuf,
    /// The file with the new bytes, with symbolic links resolved.
    pub target: PathBuf,
    /// Number of writes.
    pub writes: u64,
    /// Number of bytes that were overwritten.
    pub bytes_written: u64,
    /// Number of bytes whose value changed, without bytes that were cut off: what `cmp -l` counts.
    pub bytes_changed: u64,
    /// Number of 4096-byte pages that contain overwritten bytes.
    pub pages: u64,
    /// Length before, in bytes.
    pub old_length: u64,
    /// Length after, in bytes.
    pub new_length: u64,
    /// How the file was copied; `None` in place and in a dry run.
    pub copied: Option<CopyMethod>,
    /// What survives a power failure; `None` in a dry run.
    pub durability: Option<Durability>,
}

impl ApplyReport {
    /// The report of a patch that is not applied yet.
    pub(super) fn of(patch: &Patch<'_>, image: PathBuf, target: PathBuf) -> Self {
        Self {
            image,
            target,
            writes: patch.writes.as_slice().len() as u64,
            bytes_written: patch.writes.bytes(),
            bytes_changed: patch.writes.changed_bytes(),
            pages: patch.writes.pages(),
            old_length: patch.length,
            new_length: patch.new_length(),
            copied: None,
            durability: None,
        }
    }
}

/// The result of a recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// There is no journal: no apply was interrupted.
    NoJournal,
    /// The old bytes are restored, and the journal is removed.
    Restored {
        /// Number of writes of the interrupted apply.
        writes: u64,
        /// Number of those writes that were made, at least in part.
        undone: u64,
        /// Length of the restored file, in bytes.
        length: u64,
    },
}
