//! Byte changes of a file: replacements at offsets.

use jlctl_analyzer::addr::FileOffset;
use std::collections::BTreeSet;

/// Bytes of a page in reports; the unit in which Linux caches files by default.
const PAGE: u64 = 4096;

/// Bytes of a file and those that replace them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteWrite {
    /// Offset of the first byte.
    pub offset: FileOffset,
    /// The bytes that must be in the file.
    pub old: Vec<u8>,
    /// The bytes that replace them, as many as `old`.
    pub new: Vec<u8>,
}

impl ByteWrite {
    /// First offset after the bytes; exact for a write of [`ByteWrites`].
    #[must_use]
    pub fn end(&self) -> FileOffset {
        FileOffset(self.offset.0.saturating_add(len(&self.old)))
    }
}

/// Errors of a set of writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WritesError {
    /// A write without bytes.
    #[error("the write at file offset {0} has no bytes")]
    Empty(FileOffset),
    /// Old and new bytes differ in number.
    #[error(
        "the write at file offset {at} replaces {old} bytes by {new}: both must be of one length"
    )]
    Lengths {
        /// Offset of the write.
        at: FileOffset,
        /// Number of old bytes.
        old: usize,
        /// Number of new bytes.
        new: usize,
    },
    /// A write ends after the largest file offset.
    #[error("the write at file offset {0} ends after the largest file offset")]
    End(FileOffset),
    /// Two writes overlap.
    #[error(
        "the writes of {} bytes at file offset {} and of {} bytes at {} overlap",
        .0.old.len(), .0.offset, .1.old.len(), .1.offset
    )]
    Overlap(Box<ByteWrite>, Box<ByteWrite>),
}

/// The number of bytes as a file length.
pub(super) fn len(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

/// Writes in ascending order of offset, none of which is empty or overlaps another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByteWrites(Vec<ByteWrite>);

impl ByteWrites {
    /// Sorts and checks `writes`. An empty set is valid: a patch that changes nothing.
    ///
    /// # Errors
    /// If a write is empty, has unequal lengths or ends after the largest offset of a file
    /// (`i64::MAX`, the range of `off_t`), or two writes overlap.
    pub fn new(mut writes: Vec<ByteWrite>) -> Result<Self, WritesError> {
        for write in &writes {
            let ByteWrite { offset, old, new } = write;
            if old.len() != new.len() {
                let (old, new) = (old.len(), new.len());
                return Err(WritesError::Lengths { at: *offset, old, new });
            }
            if old.is_empty() {
                return Err(WritesError::Empty(*offset));
            }
            let end = offset.0.checked_add(len(old));
            if end.is_none_or(|end| i64::try_from(end).is_err()) {
                return Err(WritesError::End(*offset));
            }
        }
        writes.sort_by_key(|write| write.offset);
        for pair in writes.windows(2) {
            if let [low, high] = pair
                && low.end() > high.offset
            {
                return Err(WritesError::Overlap(Box::new(low.clone()), Box::new(high.clone())));
            }
        }
        Ok(Self(writes))
    }

    /// The writes that restore the old bytes.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let swap = |write: &ByteWrite| {
            let ByteWrite { offset, old, new } = write.clone();
            ByteWrite { offset, old: new, new: old }
        };
        Self(self.0.iter().map(swap).collect())
    }

    /// The writes, in order of offset.
    #[must_use]
    pub fn as_slice(&self) -> &[ByteWrite] {
        &self.0
    }

    /// Whether there are no writes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of bytes that are written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|write| len(&write.old)).sum()
    }

    /// Number of bytes whose value changes: what `cmp -l` counts.
    #[must_use]
    pub fn changed_bytes(&self) -> u64 {
        let changed = |write: &ByteWrite| {
            write.old.iter().zip(&write.new).filter(|(old, new)| old != new).count() as u64
        };
        self.0.iter().map(changed).sum()
    }

    /// Number of 4096-byte pages of the file that contain written bytes.
    #[must_use]
    pub fn pages(&self) -> u64 {
        let pages = |write: &ByteWrite| {
            let last = write.end().0.saturating_sub(1) / PAGE;
            write.offset.0 / PAGE..=last
        };
        self.0.iter().flat_map(pages).collect::<BTreeSet<u64>>().len() as u64
    }
}
