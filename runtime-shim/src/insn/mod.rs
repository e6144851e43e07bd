//! Encoders of the two instructions that a site may hold, one module per
//! architecture.  Each refuses what it cannot encode; none truncates.

pub mod aarch64;

use core::fmt;

/// Why a branch from `from` to `to` has no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The displacement does not fit the instruction.
    OutOfRange {
        /// Address of the branch.
        from: u64,
        /// Address it should go to.
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
        /// Address it should go to.
        to: u64,
        /// Alignment that both need, in bytes.
        align: u64,
    },
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
                write!(f, "a branch from {from:#x} to {to:#x} needs both aligned to {align} bytes")
            }
        }
    }
}

impl core::error::Error for EncodeError {}
