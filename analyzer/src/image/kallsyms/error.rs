//! Why no symbol table could be recovered.

use crate::addr::FileOffset;

/// No table of kallsyms that agrees with itself is in the bytes.
///
/// Where several places look like one, this is about the one that agreed for
/// longest.  All offsets are into the bytes that were searched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KallsymsError {
    /// No token table: either not a kernel, a compressed one, or one without
    /// CONFIG_KALLSYMS.
    #[error(
        "kallsyms: expected a table of 256 tokens with its index, found none ({look_alikes} look-alikes): is this an uncompressed kernel with CONFIG_KALLSYMS, of the stated byte order?"
    )]
    NoTokenTable {
        /// Places that have the tokens `0` to `9` in a row, but no index.
        look_alikes: usize,
    },
    /// No markers before the token table.
    #[error(
        "kallsyms: expected at least {expected} ascending markers that start with 0 before the token table at {token_table}, found none"
    )]
    NoMarkers {
        /// Start of the token table.
        token_table: FileOffset,
        /// Fewest markers that are taken for a table.
        expected: usize,
    },
    /// No names before the markers.
    #[error(
        "kallsyms: expected compressed names, preceded by their number, that lie as the {markers} markers at {at} say; found none"
    )]
    NoNames {
        /// Start of the markers.
        at: FileOffset,
        /// Markers found.
        markers: usize,
    },
    /// A name expands to more than a kernel accepts.
    #[error("kallsyms: expected name {index} to expand to {expected}, found {found} bytes")]
    NameExpansion {
        /// Index of the name.
        index: usize,
        /// What the kernel and its builder keep to.
        expected: &'static str,
        /// Bytes, as far as they were counted.
        found: usize,
    },
    /// No addresses in any known order of the tables.
    #[error(
        "kallsyms: expected {count} ascending offsets or addresses before the number of names at {before} or behind the token index at {behind}, found neither"
    )]
    NoAddresses {
        /// Number of symbols.
        count: usize,
        /// Start of `kallsyms_num_syms`.
        before: FileOffset,
        /// First byte behind `kallsyms_token_index`.
        behind: FileOffset,
    },
    /// `kallsyms_seqs_of_names` contradicts the names.
    #[error(
        "kallsyms: sequence of names at {at}, element {index}: expected {expected}, found {found}"
    )]
    Sequence {
        /// Start of the table.
        at: FileOffset,
        /// Element that is wrong.
        index: usize,
        /// What a sound table has.
        expected: &'static str,
        /// What is there.
        found: u32,
    },
    /// The bytes between markers and tokens are neither padding nor a sequence.
    #[error(
        "kallsyms: expected the token table or {expected} bytes of kallsyms_seqs_of_names behind the markers at {at}, found {found} bytes"
    )]
    Gap {
        /// First byte behind the markers.
        at: FileOffset,
        /// Bytes that the sequence of names takes.
        expected: usize,
        /// Bytes up to the token table.
        found: usize,
    },
}

impl KallsymsError {
    /// How many steps had succeeded before this one, and how many elements.
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

    /// The one that came further.
    pub(in crate::image) fn further(self, other: Self) -> Self {
        if other.progress() > self.progress() { other } else { self }
    }
}
