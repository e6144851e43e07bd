//! Defects of a jump table, each with a stable code.

use super::key::KeyId;
use super::site::{SiteBytes, SiteId};
use crate::addr::{AddrRange, Svma};
use crate::debug_info::{DebugFault, DebugInfoError};
use crate::image::ImageFault;
use jlctl_shim::insn::EncodeError;

/// The severity of a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Information; nothing need be wrong.
    Note,
    /// Unusual; flips may still work.
    Warning,
    /// A flip of the key would do harm, or the table cannot be trusted.
    Error,
}

impl Severity {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A defect, with the expected and the found values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// JT001
    #[error("site {code}: expected an executable section, found {found}")]
    SiteNotExecutable {
        /// The site.
        code: Svma,
        /// The content of that address.
        found: AddressContent,
    },
    /// JT002
    #[error("site {code}: expected a NOP or a branch to {target}, found {}", FoundBytes(*bytes))]
    NotNopOrJump {
        /// The site.
        code: Svma,
        /// Its entry's target.
        target: Svma,
        /// The bytes there; `None` if the file has none.
        bytes: Option<SiteBytes>,
    },
    /// JT003
    #[error("site {code}: expected a branch to {target}, found one to {found}")]
    JumpElsewhere {
        /// The site.
        code: Svma,
        /// Its entry's target.
        target: Svma,
        /// The branch target found.
        found: Svma,
    },
    /// JT004
    #[error(
        "site {code}: key {key} is {} and the branch {}, which requires a {}; found a {}",
        if *on { "on" } else { "off" },
        if *likely { "likely" } else { "unlikely" },
        if *found_jump { "NOP" } else { "branch" },
        if *found_jump { "branch" } else { "NOP" }
    )]
    ContradictsKey {
        /// The site.
        code: Svma,
        /// Address of its key.
        key: Svma,
        /// Whether the key is on.
        on: bool,
        /// Whether the entry's branch is likely.
        likely: bool,
        /// Whether the site holds a branch.
        found_jump: bool,
    },
    /// JT005
    #[error(
        "site {code}: expected its target inside the same function, found {target} outside of it"
    )]
    TargetOutsideFunction {
        /// The site.
        code: Svma,
        /// Its entry's target.
        target: Svma,
    },
    /// JT006
    #[error("site {code}: {0}", code = Svma(.0.address()))]
    OutOfReach(EncodeError),
    /// JT007
    #[error("site {code}: {0}", code = Svma(.0.address()))]
    Misaligned(EncodeError),
    /// JT008
    #[error("site {code}: expected its key in a data section, found {key} in {found}")]
    KeyNotInData {
        /// The site.
        code: Svma,
        /// Address of its key.
        key: Svma,
        /// The content of that address.
        found: AddressContent,
    },
    /// JT009
    #[error(
        "site {code}: expected one key, found {key} and, at entry {other}, {other_key}: identical code was folded, and flipping either key patches both"
    )]
    TwoKeys {
        /// The site.
        code: Svma,
        /// Address of its key.
        key: Svma,
        /// Table index of the first entry with this code address.
        other: u32,
        /// That entry's key.
        other_key: Svma,
    },
    /// JT010
    #[error(
        "table: expected a multiple of {entry_size} bytes, found {size:#x}: the last {rest} bytes are not an entry"
    )]
    OddSize {
        /// Size of an entry in bytes.
        entry_size: usize,
        /// Size of the table in bytes.
        size: u64,
        /// Number of bytes left over.
        rest: u64,
    },
    /// JT011
    #[error("table: expected {expected:#x} bytes from {start}, found {found:#x}")]
    Truncated {
        /// Address of the first entry.
        start: Svma,
        /// Number of bytes that the image claims.
        expected: u64,
        /// Number of bytes in the file.
        found: u64,
    },
    /// JT012
    #[error("site {code}: overlaps the site {other_code} of entry {other}")]
    Overlap {
        /// The site.
        code: Svma,
        /// Table index of the other entry.
        other: u32,
        /// Address of the other site.
        other_code: Svma,
    },
    /// JT013
    #[error("site {code}: expected its key aligned to {align} bytes, found {key}")]
    KeyMisaligned {
        /// The site.
        code: Svma,
        /// Address of its key.
        key: Svma,
        /// Required alignment in bytes.
        align: usize,
    },
    /// JT014
    #[error(
        "key {key}: defined {}, but `enabled` is {enabled}, and not all of its sites agree",
        if *initially_true { "true" } else { "false" }
    )]
    KeyHalfFlipped {
        /// Address of the key.
        key: Svma,
        /// The initial state, from `type`.
        initially_true: bool,
        /// The value of `enabled`.
        enabled: i32,
    },
    /// JT015
    #[error(
        "table: expected entries that point into code and data, found none among {tried} in either layout; read as {entry_size}-byte entries"
    )]
    LayoutUnclear {
        /// Number of entries tried.
        tried: usize,
        /// The entry size used, in bytes.
        entry_size: usize,
    },
    /// JT016
    #[error("table: {entries} entries are more than jlctl reads; the first {read} were read")]
    TooManyEntries {
        /// Number of entries in the table.
        entries: u64,
        /// Number of entries read.
        read: usize,
    },
    /// JT017
    #[error(
        "table: expected relocations for all fields of its {size:#x} bytes, three in each entry; found {words}"
    )]
    FieldsWithoutRelocation {
        /// Size of the table in bytes.
        size: u64,
        /// Number of fields with a relocation that could be applied.
        words: u64,
    },
    /// JT018
    #[error(
        "table: the kernel's own symbols state {named}; a scan by structure finds {}",
        scanned.map_or_else(|| "nothing".to_owned(), |range| range.to_string())
    )]
    SymbolsDisagree {
        /// The range that the symbols state; it is the one that is read.
        named: AddrRange,
        /// The range found by structure; `None` if the scan found no table.
        scanned: Option<AddrRange>,
    },
    /// JT101: damage to the image.
    #[error("image: {0}")]
    Image(ImageFault),
    /// JT102: debug information that could not be read.
    #[error("{0}")]
    DebugInfo(DebugFault),
    /// JT103: a file of a set could not be read.
    #[error("{error}")]
    FileNotRead {
        /// The error; it names the file.
        error: String,
    },
    /// JT104
    #[error(
        "key object {symbol}: expected one file of the set to define it, found {}{}",
        files.join(" and "),
        if *more == 0 { String::new() } else { format!("; the same holds for {more} more") }
    )]
    DefinedTwice {
        /// The symbol.
        symbol: String,
        /// Paths of the files that define it.
        files: Vec<String>,
        /// Number of other symbols that several files define.
        more: usize,
    },
}

/// The content of an address where something else is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressContent {
    /// No section.
    Nowhere,
    /// A section that holds data.
    Data,
    /// A section that holds code.
    Code,
    /// A data section that ends inside the object.
    EndOfSection,
}

impl std::fmt::Display for AddressContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "no section",
            Self::Data => "a data section",
            Self::Code => "an executable section",
            Self::EndOfSection => "a section that ends inside it",
        })
    }
}

impl Defect {
    /// The defect for debug information that cannot be read at all.
    #[must_use]
    pub fn of_debug_info(error: &DebugInfoError) -> Self {
        Self::DebugInfo(DebugFault { unit: None, error: error.to_string() })
    }

    /// The stable code; the manual page of `jlctl inspect` explains each.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SiteNotExecutable { .. } => "JT001",
            Self::NotNopOrJump { .. } => "JT002",
            Self::JumpElsewhere { .. } => "JT003",
            Self::ContradictsKey { .. } => "JT004",
            Self::TargetOutsideFunction { .. } => "JT005",
            Self::OutOfReach(_) => "JT006",
            Self::Misaligned(_) => "JT007",
            Self::KeyNotInData { .. } => "JT008",
            Self::TwoKeys { .. } => "JT009",
            Self::OddSize { .. } => "JT010",
            Self::Truncated { .. } => "JT011",
            Self::Overlap { .. } => "JT012",
            Self::KeyMisaligned { .. } => "JT013",
            Self::KeyHalfFlipped { .. } => "JT014",
            Self::LayoutUnclear { .. } => "JT015",
            Self::TooManyEntries { .. } => "JT016",
            Self::FieldsWithoutRelocation { .. } => "JT017",
            Self::SymbolsDisagree { .. } => "JT018",
            Self::Image(_) => "JT101",
            Self::DebugInfo(_) => "JT102",
            Self::FileNotRead { .. } => "JT103",
            Self::DefinedTwice { .. } => "JT104",
        }
    }

    /// The severity.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::KeyHalfFlipped { .. } => Severity::Note,
            Self::TargetOutsideFunction { .. }
            | Self::KeyMisaligned { .. }
            | Self::LayoutUnclear { .. }
            | Self::SymbolsDisagree { .. }
            | Self::DebugInfo(_)
            | Self::DefinedTwice { .. }
            | Self::Image(
                ImageFault::SectionsOverlap { .. }
                | ImageFault::SymbolTable { .. }
                | ImageFault::BootHeader { .. }
                | ImageFault::PeHeader { .. }
                | ImageFault::NoLoadAddress { .. },
            ) => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// A defect, and what it concerns: a site, a key, or else the table or the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The defect.
    pub defect: Defect,
    /// The site; `None` if the defect concerns more than one site.
    pub site: Option<SiteId>,
    /// The key, if the defect concerns the key itself.
    pub key: Option<KeyId>,
}

impl Diagnostic {
    /// A defect of one site.
    #[must_use]
    pub const fn of_site(defect: Defect, site: SiteId) -> Self {
        Self { defect, site: Some(site), key: None }
    }

    /// A defect of a key.
    #[must_use]
    pub const fn of_key(defect: Defect, key: KeyId) -> Self {
        Self { defect, site: None, key: Some(key) }
    }

    /// A defect of the whole table or image.
    #[must_use]
    pub const fn of_image(defect: Defect) -> Self {
        Self { defect, site: None, key: None }
    }
}

struct FoundBytes(Option<SiteBytes>);

impl std::fmt::Display for FoundBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "bytes {bytes}"),
            None => f.write_str("no bytes in the file"),
        }
    }
}
