//! Why a patch is not applied, or an interrupted one not taken back.

use crate::digest::Sum;
use jlctl_analyzer::addr::FileOffset;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What kind of failure an error is; each has an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The input cannot be opened or read.
    Unreadable,
    /// What was asked for is refused; nothing was written.
    Refused,
    /// The operating system failed, or forbade writing.
    System,
}

/// Bytes of a file that are not those expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteDifference {
    /// Where.
    pub offset: FileOffset,
    /// The bytes that the patch replaces.
    pub expected: Vec<u8>,
    /// The bytes there; fewer where the file ends first.
    pub found: Vec<u8>,
}

impl fmt::Display for ByteDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, expected, found } = self;
        write!(f, "file offset {offset}: expected {}, found {}", Hex(expected), Hex(found))
    }
}

/// Bytes in hexadecimal, in file order; long runs are cut.
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

/// Differences as lines, the first ones written out.
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

/// What is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalDamage {
    /// Not the magic bytes of a journal.
    #[error("it does not begin as a journal does")]
    Magic,
    /// A version that is not known here.
    #[error("it has version {0}, this jlctl reads version 1: use the jlctl that wrote it")]
    Version(u32),
    /// Shorter or longer than it says.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// What the header says, or the smallest possible.
        expected: u64,
        /// What the file has.
        found: u64,
    },
    /// A checksum is wrong.
    #[error("the checksum of its {0} is wrong")]
    Checksum(&'static str),
    /// Checksums are right and yet it makes no sense.
    #[error("{0}")]
    Contents(&'static str),
    /// Longer than any that jlctl writes.
    #[error("it has {0} bytes, more than a journal can have")]
    TooLong(u64),
}

/// Why a patch was not applied, or not taken back.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The image cannot be opened or read.
    #[error("{}: cannot {action}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A path names no regular file where one is needed.
    #[error("{}: expected a regular file, found {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// Whether it is the image, which cannot be read then.
        is_image: bool,
    },
    /// The length differs from the expected one.
    #[error("{}: expected a file of {expected} bytes, found {found}: it is another file or was \
        changed", path.display())]
    Length {
        /// The image.
        path: PathBuf,
        /// Bytes of the file that the patch is for.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// The sum of the file differs from the expected one.
    #[error("{}: expected {expected}, found {found}: it is another file or was changed",
        path.display())]
    Digest {
        /// The image.
        path: PathBuf,
        /// Of the file that the patch is for.
        expected: Sum,
        /// Of the file there.
        found: Sum,
    },
    /// Bytes to be replaced are not there; all places are listed.
    #[error("{}: {} of the bytes to be replaced are not as expected; nothing was written:{}",
        path.display(), differences.len(), Lines(differences))]
    OldBytes {
        /// The image.
        path: PathBuf,
        /// Every place, by offset.
        differences: Vec<ByteDifference>,
    },
    /// The output is the image, by whatever name.
    #[error("{} is {}: to change the image itself, apply in place", out.display(), image.display())]
    SameFile {
        /// The image.
        image: PathBuf,
        /// The output.
        out: PathBuf,
    },
    /// The image has more names, all of which would see the change.
    #[error("{}: the file has {names} names (hard links), and each would be changed; write to \
        another file instead", path.display())]
    HardLinked {
        /// The image.
        path: PathBuf,
        /// Number of names.
        names: u64,
    },
    /// Another process applies or recovers.
    #[error("{}: locked by another process that applies or recovers; nothing was written",
        path.display())]
    Busy {
        /// The image.
        path: PathBuf,
    },
    /// The name came to mean another file while it was opened.
    #[error("{}: replaced by another file meanwhile; nothing was written", path.display())]
    Replaced {
        /// The image.
        path: PathBuf,
    },
    /// An earlier apply did not end.
    #[error("{}: an earlier apply was interrupted and left {}; bring the file back first: jlctl \
        apply --recover {}", image.display(), journal.display(), image.display())]
    JournalExists {
        /// The image.
        image: PathBuf,
        /// Its journal.
        journal: PathBuf,
    },
    /// A journal cannot be used.
    #[error("{}: the journal is damaged ({damage}); restore {} from where it came, then remove the \
        journal", journal.display(), image.display())]
    JournalDamaged {
        /// The image.
        image: PathBuf,
        /// Its journal.
        journal: PathBuf,
        /// What is wrong.
        damage: JournalDamage,
    },
    /// A journal belongs to another file, or the file changed since.
    #[error("{}: not the file that {} was written for, or changed since: {why}; nothing was \
        written", image.display(), journal.display())]
    JournalOfAnotherFile {
        /// The image.
        image: PathBuf,
        /// The journal.
        journal: PathBuf,
        /// What differs.
        why: String,
    },
    /// The target must not be written.
    #[error("{}: read-only: {why}; nothing was written", path.display())]
    ReadOnly {
        /// The target.
        path: PathBuf,
        /// By what.
        why: String,
    },
    /// The operating system failed before the image was touched, and nothing is left behind.
    #[error("{}: cannot {action}: {source}", path.display())]
    System {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A write into the image failed, and its old bytes were written back.
    #[error("{}: cannot {action}: {source}; the old bytes were written back", path.display())]
    TakenBack {
        /// The image.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A write into the image failed, and so did writing the old bytes back.
    #[error("{}: cannot {action}: {source}; the image may be partly patched, and {} brings the \
        old bytes back: jlctl apply --recover {}",
        path.display(), journal.display(), path.display())]
    Interrupted {
        /// The image.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system answered.
        source: io::Error,
        /// The journal.
        journal: PathBuf,
    },
    /// The new file is in place, but may not survive a power failure.
    #[error("{}: patched, but cannot {action}: {source}; after a power failure the name may mean \
        the old file", path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system answered.
        source: io::Error,
    },
}

impl ApplyError {
    /// What kind of failure this is.
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
