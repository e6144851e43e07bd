//! What was done.

use super::source::Patch;
use std::path::PathBuf;

/// How the bytes of an image came into the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMethod {
    /// Both files share their blocks until one is written (`FICLONE`).
    Reflink,
    /// The kernel copied them (`copy_file_range`).
    CopyFileRange,
    /// They went through memory (`pread`, `pwrite`).
    ReadWrite,
}

/// What survives a power failure once an apply returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The new bytes are on the disk, and so is the name that means them.
    Disk,
    /// The kernel has the bytes, and writes them when it pleases, as with `cp`.
    /// The name appears when all bytes are with the kernel: a killed process
    /// leaves no partial file, a power failure can.
    Cache,
}

/// What an apply or a dry run did or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyReport {
    /// The image, behind symbolic links.
    pub image: PathBuf,
    /// The file that has the new bytes, behind symbolic links.
    pub target: PathBuf,
    /// Number of writes.
    pub writes: u64,
    /// Bytes written over others.
    pub bytes_written: u64,
    /// Bytes whose value changed, without those cut off or added: what `cmp -l`
    /// counts.
    pub bytes_changed: u64,
    /// Pages of 4096 bytes that hold written bytes.
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
    /// What `patch` changes of `image`; nothing is done yet.
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

/// What a recovery found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// There is no journal: no apply was interrupted.
    NoJournal,
    /// The old bytes are back, and the journal is gone.
    Restored {
        /// Number of writes of the interrupted apply.
        writes: u64,
        /// How many of them were found done, at least partly.
        undone: u64,
        /// Length that the file has again, in bytes.
        length: u64,
    },
}
