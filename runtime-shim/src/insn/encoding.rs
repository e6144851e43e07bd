//! The bytes of one instruction, and the reasons why a branch has no encoding.

use core::fmt;

/// The bytes of one instruction, lowest address first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InsnBytes {
    // Bytes after `len` are zero, so that equal instructions compare equal.
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl InsnBytes {
    /// The longest instruction that a site of any architecture holds.
    const CAPACITY: usize = 5;

    /// An instruction of four bytes, little-endian.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        let [a, b, c, d] = word.to_le_bytes();
        Self { bytes: [a, b, c, d, 0], len: 4 }
    }

    /// An instruction of two bytes.
    #[must_use]
    pub const fn from_two([a, b]: [u8; 2]) -> Self {
        Self { bytes: [a, b, 0, 0, 0], len: 2 }
    }

    /// An instruction of five bytes.
    #[must_use]
    pub const fn from_five(bytes: [u8; 5]) -> Self {
        Self { bytes, len: 5 }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_slice(&self) -> &[u8] {
        // The constructors above set `len` to at most the capacity.
        self.bytes.split_at(self.len as usize).0
    }
}

/// Hexadecimal, lowest address first.
impl fmt::Display for InsnBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a branch from `from` to `to` has no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The displacement does not fit the instruction.
    OutOfRange {
        /// Address of the branch.
        from: u64,
        /// Address of the intended target.
        to: u64,
        /// Lowest displacement that fits, in bytes.
        min: i64,
        /// Highest displacement that fits, in bytes.
        max: i64,
    },
    /// The branch or its target is not aligned to an instruction.
    Misaligned {
        /// Address of the branch.
        from: u64,
        /// Address of the intended target.
        to: u64,
        /// Alignment that both need, in bytes.
        align: u64,
    },
    /// The site lacks the alignment that patching needs.
    MisalignedSite {
        /// Address of the site.
        from: u64,
        /// Alignment that the site needs, in bytes.
        align: u64,
    },
    /// A site holds no instruction of this length.
    Length {
        /// Address of the site.
        from: u64,
        /// The length, in bytes.
        len: usize,
    },
    /// The instruction to be relocated is not a branch that holds the displacement.
    NotABranch {
        /// Address of the instruction.
        from: u64,
    },
}

impl EncodeError {
    /// Address of the branch or site.
    #[must_use]
    pub const fn address(&self) -> u64 {
        match *self {
            Self::OutOfRange { from, .. }
            | Self::Misaligned { from, .. }
            | Self::MisalignedSite { from, .. }
            | Self::Length { from, .. }
            | Self::NotABranch { from } => from,
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { from, to, min, max } => write!(
                f,
                "a branch at {from:#x} cannot reach {to:#x}: the displacement {} is outside {min}..={max} bytes",
                i128::from(*to) - i128::from(*from)
            ),
            Self::Misaligned { from, to, align } => {
                write!(
                    f,
                    "a branch from {from:#x} to {to:#x} needs both addresses aligned to {align} bytes"
                )
            }
            Self::MisalignedSite { from, align } => {
                write!(f, "the site {from:#x} must be aligned to {align} bytes to be patched")
            }
            Self::Length { from, len } => {
                write!(f, "the site {from:#x} cannot hold a NOP or branch of {len} bytes")
            }
            Self::NotABranch { from } => {
                write!(f, "the instruction at {from:#x} is not a branch that a relocation can fill")
            }
        }
    }
}

impl core::error::Error for EncodeError {}
