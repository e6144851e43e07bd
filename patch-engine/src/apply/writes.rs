//! What to change in a file: bytes at offsets, and bytes at its end.

use jlctl_analyzer::addr::FileOffset;
use std::collections::BTreeSet;

/// Bytes of a page as they are counted in reports; the unit in which Linux
/// caches files where nothing else is configured.
const PAGE: u64 = 4096;

/// Bytes that replace as many others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteWrite {
    /// Where in the file.
    pub offset: FileOffset,
    /// The bytes that must be there.
    pub old: Vec<u8>,
    /// The bytes that take their place; as many as `old`.
    pub new: Vec<u8>,
}

impl ByteWrite {
    /// First offset behind the bytes; exact for a write out of [`ByteWrites`].
    #[must_use]
    pub fn end(&self) -> FileOffset {
        FileOffset(self.offset.0.saturating_add(len(&self.old)))
    }
}

/// Writes that are no set of byte changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WritesError {
    /// A write changes nothing.
    #[error("the write at file offset {0} has no bytes")]
    Empty(FileOffset),
    /// Old and new bytes differ in number.
    #[error(
        "the write at file offset {at} replaces {old} bytes by {new}; both must be equally many"
    )]
    Lengths {
        /// Where.
        at: FileOffset,
        /// Number of old bytes.
        old: usize,
        /// Number of new bytes.
        new: usize,
    },
    /// The end of a write is no file offset.
    #[error("the write at file offset {0} ends behind the largest file offset")]
    End(FileOffset),
    /// Two writes have bytes in common.
    #[error(
        "the writes of {} bytes at file offset {} and of {} bytes at {} overlap",
        .0.old.len(), .0.offset, .1.old.len(), .1.offset
    )]
    Overlap(Box<ByteWrite>, Box<ByteWrite>),
}

/// A number of bytes as a file counts them.
pub(super) fn len(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

/// Writes in ascending order of offset, none of which overlap or are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByteWrites(Vec<ByteWrite>);

impl ByteWrites {
    /// Sorts `writes` and checks them.  No writes at all are a valid set: a
    /// patch of nothing.
    ///
    /// # Errors
    /// If a write is empty, has unequal lengths or ends behind the largest
    /// offset of a file (`i64::MAX`, as `off_t` has it), or two overlap.
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

    /// The writes that take these back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let swap = |write: &ByteWrite| {
            let ByteWrite { offset, old, new } = write.clone();
            ByteWrite { offset, old: new, new: old }
        };
        Self(self.0.iter().map(swap).collect())
    }

    /// The writes, by offset.
    #[must_use]
    pub fn as_slice(&self) -> &[ByteWrite] {
        &self.0
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of bytes written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|write| len(&write.old)).sum()
    }

    /// Number of bytes whose value changes: what `cmp -l` lists.
    #[must_use]
    pub fn changed_bytes(&self) -> u64 {
        let changed = |write: &ByteWrite| {
            write.old.iter().zip(&write.new).filter(|(old, new)| old != new).count() as u64
        };
        self.0.iter().map(changed).sum()
    }

    /// Number of 4096-byte pages of the file that hold written bytes.
    #[must_use]
    pub fn pages(&self) -> u64 {
        let pages = |write: &ByteWrite| {
            let last = write.end().0.saturating_sub(1) / PAGE;
            write.offset.0 / PAGE..=last
        };
        self.0.iter().flat_map(pages).collect::<BTreeSet<u64>>().len() as u64
    }
}
