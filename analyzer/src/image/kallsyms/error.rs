//! Errors of recovering symbols from kallsyms.

use crate::addr::FileOffset;

/// The bytes contain no consistent tables of kallsyms.
///
/// If several positions look like tables, the error concerns the one that passed the most
/// checks. All offsets are into the searched bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KallsymsError {
    /// No token table: the bytes are not a kernel, a compressed one, or one without
    /// CONFIG_KALLSYMS.
    #[error(
        "kallsyms: expected a table of 256 tokens with its index, found none ({look_alikes} look-alikes): is this an uncompressed kernel with CONFIG_KALLSYMS, of the stated byte order?"
    )]
    NoTokenTable {
        /// Positions with the tokens `0` to `9` in a row, but without an index.
        look_alikes: usize,
    },
    /// No markers before the token table.
    #[error(
        "kallsyms: expected at least {expected} ascending markers that start with 0 before the token table at {token_table}, found none"
    )]
    NoMarkers {
        /// Start of the token table.
        token_table: FileOffset,
        /// Fewest markers that are accepted as a table.
        expected: usize,
    },
    /// No names before the markers.
    #[error(
        "kallsyms: expected compressed names, preceded by their number, at the offsets that the {markers} markers at {at} state; found none"
    )]
    NoNames {
        /// Start of the markers.
        at: FileOffset,
        /// Markers found.
        markers: usize,
    },
    /// A name expands to more bytes than a kernel accepts.
    #[error("kallsyms: expected name {index} to expand to {expected}, found {found} bytes")]
    NameExpansion {
        /// Index of the name.
        index: usize,
        /// The bound that the kernel and its build observe.
        expected: &'static str,
        /// Bytes counted so far.
        found: usize,
    },
    /// No addresses in any known order of the tables.
    #[error(
        "kallsyms: expected {count} ascending offsets or addresses before the number of names at {before} or after the token index at {after}, found neither"
    )]
    NoAddresses {
        /// Number of symbols.
        count: usize,
        /// Start of `kallsyms_num_syms`.
        before: FileOffset,
        /// First byte after `kallsyms_token_index`.
        after: FileOffset,
    },
    /// `kallsyms_seqs_of_names` contradicts the names.
    #[error(
        "kallsyms: sequence of names at {at}, element {index}: expected {expected}, found {found}"
    )]
    Sequence {
        /// Start of the table.
        at: FileOffset,
        /// Index of the wrong element.
        index: usize,
        /// The property of a valid table.
        expected: &'static str,
        /// The value of the element.
        found: u32,
    },
    /// The bytes between markers and tokens are neither padding nor a sequence of names.
    #[error(
        "kallsyms: expected the token table or {expected} bytes of kallsyms_seqs_of_names after the markers at {at}, found {found} bytes"
    )]
    Gap {
        /// First byte after the markers.
        at: FileOffset,
        /// Size of the sequence of names, in bytes.
        expected: usize,
        /// Number of bytes before the token table.
        found: usize,
    },
}

impl KallsymsError {
    /// The number of the step that failed, and of the elements that it had accepted.
    const fn progress(&self) -> (u8, usize) {
        match self {
            Self::NoTokenTable { .. } => (0, 0),
            Self::NoMarkers { .. } => (1, 0),
            Self::NoNames { markers, .. } => (2, *markers),
            Self::Gap { .. } => (3, 0),
            Self::NoAddresses { .. } => (4, 0),
            Self::NameExpansion { index, .. } => (5, *index),
            Self::Sequence { index, .. } => (6, *index),
        }
    }

    /// The error of the search that got further.
    pub(in crate::image) fn further(self, other: Self) -> Self {
        if other.progress() > self.progress() { other } else { self }
    }
}
