//! Errors of applying a patch and of recovering an image.

use crate::digest::Sum;
use jlctl_analyzer::addr::FileOffset;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// The kind of a failure; each kind has an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The input cannot be opened or read.
    Unreadable,
    /// The request is refused; nothing was written.
    Refused,
    /// The operating system failed, or forbids writing.
    System,
}

/// Bytes of a file that differ from the expected ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteDifference {
    /// Offset of the first byte.
    pub offset: FileOffset,
    /// The bytes that the patch replaces.
    pub expected: Vec<u8>,
    /// The bytes in the file; fewer where the file ends first.
    pub found: Vec<u8>,
}

impl fmt::Display for ByteDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, expected, found } = self;
        write!(f, "file offset {offset}: expected {}, found {}", Hex(expected), Hex(found))
    }
}

/// Bytes in hexadecimal, in file order; a long run is cut.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        if self.0.is_empty() {
            return f.write_str("the end of the file");
        }
        for byte in self.0.iter().take(SHOWN) {
            write!(f, "{byte:02x}")?;
        }
        if self.0.len() > SHOWN {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

/// Differences, one a line; only the first ones are listed.
struct Lines<'a>(&'a [ByteDifference]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        for difference in self.0.iter().take(SHOWN) {
            write!(f, "\n  {difference}")?;
        }
        if self.0.len() > SHOWN {
            write!(f, "\n  and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}

/// Damage of a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalDamage {
    /// The file does not begin with the magic bytes of a journal.
    #[error("it does not begin with a journal's magic bytes")]
    Magic,
    /// The version is unknown.
    #[error("expected version 1, found {0}: use the jlctl that wrote it")]
    Version(u32),
    /// The file is shorter or longer than its header states.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes by the header, or the least possible number.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// A checksum differs.
    #[error("the checksum of its {0} is wrong")]
    Checksum(&'static str),
    /// The checksums are right, but the contents are inconsistent.
    #[error("{0}")]
    Contents(&'static str),
    /// The file is longer than any journal that jlctl writes.
    #[error("it has {0} bytes, more than a journal can have")]
    TooLong(u64),
}

/// Why a patch was not applied, or an image not recovered.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The image cannot be opened or read.
    #[error("{}: cannot {action}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The path names no regular file.
    #[error("{}: expected a regular file, found {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The kind of file that the path names.
        found: &'static str,
        /// Whether the path is the image, which cannot be read then.
        is_image: bool,
    },
    /// The length of the file differs from the expected one.
    #[error("{}: expected a file of {expected} bytes, found {found}: it is another file or was \
        changed", path.display())]
    Length {
        /// The image.
        path: PathBuf,
        /// Bytes of the file that the patch is for.
        expected: u64,
        /// Bytes of this file.
        found: u64,
    },
    /// The checksum of the file differs from the expected one.
    #[error("{}: expected {expected}, found {found}: it is another file or was changed",
        path.display())]
    Digest {
        /// The image.
        path: PathBuf,
        /// Checksum of the file that the patch is for.
        expected: Sum,
        /// Checksum of this file.
        found: Sum,
    },
    /// Bytes to be replaced differ from the expected ones; all differences are listed.
    #[error("{}: {} of the bytes to be replaced are not as expected; nothing was written:{}",
        path.display(), differences.len(), Lines(differences))]
    OldBytes {
        /// The image.
        path: PathBuf,
        /// Every difference, by offset.
        differences: Vec<ByteDifference>,
    },
    /// The output is the image itself, perhaps by another name.
    #[error("{} is {}: to change the image itself, apply in place", out.display(), image.display())]
    SameFile {
        /// The image.
        image: PathBuf,
        /// The output.
        out: PathBuf,
    },
    /// The image has further names (hard links), under which the change would be seen too.
    #[error("{}: the file has {names} names (hard links), and each would be changed; write to \
        another file instead", path.display())]
    HardLinked {
        /// The image.
        path: PathBuf,
        /// Number of names.
        names: u64,
    },
    /// Another process applies a patch to the image or recovers it.
    #[error("{}: locked by another process that applies or recovers; nothing was written",
        path.display())]
    Busy {
        /// The image.
        path: PathBuf,
    },
    /// The path was replaced by another file while the image was opened.
    #[error("{}: replaced by another file meanwhile; nothing was written", path.display())]
    Replaced {
        /// The image.
        path: PathBuf,
    },
    /// An earlier apply was interrupted.
    #[error("{}: an earlier apply was interrupted and left {}; bring the file back first: jlctl \
        apply --recover {}", image.display(), journal.display(), image.display())]
    JournalExists {
        /// The image.
        image: PathBuf,
        /// The image's journal.
        journal: PathBuf,
    },
    /// The journal cannot be used.
    #[error("{}: the journal is damaged ({damage}); restore {} from where it came, then remove the \
        journal", journal.display(), image.display())]
    JournalDamaged {
        /// The image.
        image: PathBuf,
        /// The image's journal.
        journal: PathBuf,
        /// The damage.
        damage: JournalDamage,
    },
    /// The journal belongs to another file, or the file changed since the journal was written.
    #[error("{}: not the file that {} was written for, or changed since: {why}; nothing was \
        written", image.display(), journal.display())]
    JournalOfAnotherFile {
        /// The image.
        image: PathBuf,
        /// The journal.
        journal: PathBuf,
        /// The difference.
        why: String,
    },
    /// The target is read-only.
    #[error("{}: read-only: {why}; nothing was written", path.display())]
    ReadOnly {
        /// The target.
        path: PathBuf,
        /// The operating system's answer.
        why: String,
    },
    /// The operating system failed before the image was changed; no file is left over.
    #[error("{}: cannot {action}: {source}", path.display())]
    System {
        /// The file or directory.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A write to the image failed, and its old bytes were restored.
    #[error("{}: cannot {action}: {source}; the old bytes were written back", path.display())]
    TakenBack {
        /// The image.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A write to the image failed, and restoring its old bytes failed too.
    #[error("{}: cannot {action}: {source}; the image may be partly patched, and {} brings the \
        old bytes back: jlctl apply --recover {}",
        path.display(), journal.display(), path.display())]
    Interrupted {
        /// The image.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
        /// The journal that restores the image.
        journal: PathBuf,
    },
    /// The new file is in place, but may be lost in a power failure.
    #[error("{}: patched, but cannot {action}: {source}; after a power failure the name may mean \
        the old file", path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl ApplyError {
    /// The kind of this failure.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Unreadable { .. } | Self::NotAFile { is_image: true, .. } => {
                FailureClass::Unreadable
            }
            Self::NotAFile { .. }
            | Self::Length { .. }
            | Self::Digest { .. }
            | Self::OldBytes { .. }
            | Self::SameFile { .. }
            | Self::HardLinked { .. }
            | Self::Busy { .. }
            | Self::Replaced { .. }
            | Self::JournalExists { .. }
            | Self::JournalDamaged { .. }
            | Self::JournalOfAnotherFile { .. } => FailureClass::Refused,
            Self::ReadOnly { .. }
            | Self::System { .. }
            | Self::TakenBack { .. }
            | Self::Interrupted { .. }
            | Self::NotDurable { .. } => FailureClass::System,
        }
    }
}
