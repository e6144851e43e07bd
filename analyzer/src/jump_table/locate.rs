//! Finds the jump table of an image.
//!
//! A linked kernel has no section for the table: it is inside `.rodata`, between
//! `__start___jump_table` and `__stop___jump_table` (Linux 6.12
//! `include/asm-generic/vmlinux.lds.h`, JUMP_TABLE_DATA).  User programs have the section
//! `__jump_table`, and linkers define the same two symbols for it.  Programs that use the crate
//! static-keys have the section `__static_keys`.  An unnamed table is found by its structure
//! (`scan.rs`).
//!
//! # Recovered symbols are verified
//! The symbols of a symbol table state the location of the jump table.  Symbols recovered from
//! kallsyms were themselves found by a search, so the table is also searched for by structure:
//! the symbols decide, and a disagreement is reported (JT018).  The scan alone decides only in
//! an image without symbols, or with recovered symbols that do not name the table.

use super::diagnostic::Defect;
use super::scan::{self, Confidence, MIN_CHAIN};
use crate::addr::{AddrRange, Svma};
use crate::image::{Image, ImageKind};

/// Symbol at the first entry.
pub const START_SYMBOL: &str = "__start___jump_table";
/// Symbol after the last entry.
pub const STOP_SYMBOL: &str = "__stop___jump_table";
/// Section of the table in modules and user programs.
pub const SECTION: &str = "__jump_table";

/// Section of the table of programs with the crate static-keys.
pub const STATIC_KEYS_SECTION: &str = "__static_keys";

/// The evidence for the location of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocatedBy {
    /// [`START_SYMBOL`] and [`STOP_SYMBOL`].
    Symbols,
    /// A section named [`SECTION`].
    Section,
    /// Its structure alone.
    Scan,
}

/// The location of the table, as the image claims it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLocation {
    /// Addresses from the first entry to the end of the last.
    pub range: AddrRange,
    /// The evidence for the location.
    pub by: LocatedBy,
    /// The result of a scan; `None` if there was none.
    pub confidence: Option<Confidence>,
}

/// Why no table was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// The image has symbols, but none that name a table.
    #[error(
        "no jump table: expected symbols {START_SYMBOL} and {STOP_SYMBOL} or a section {SECTION}, found neither among {symbols} symbols and {sections} sections; the image uses no static keys"
    )]
    NoTable {
        /// Number of symbols in the image.
        symbols: usize,
        /// Number of sections in the image.
        sections: usize,
    },
    /// The image has no symbols that could name a table, and no data that look like one.
    #[error(
        "no jump table found: the image has no symbols {START_SYMBOL} and {STOP_SYMBOL} and no section {SECTION}, and its {searched:#x} bytes of data contain no run of at least {MIN_CHAIN} entries that lead to a NOP or a branch and to a key (the longest run has {longest}); use an image with symbols, such as vmlinux of a debug package"
    )]
    NoChain {
        /// Number of bytes searched.
        searched: u64,
        /// Number of entries in the longest chain.
        longest: usize,
    },
    /// Only one end of the table is named.
    #[error("no jump table: found the symbol {found} but not {missing}")]
    OneEnd {
        /// The symbol that is present.
        found: &'static str,
        /// The symbol that is missing.
        missing: &'static str,
    },
    /// The end lies before the start.
    #[error("no jump table: {STOP_SYMBOL} ({stop}) lies before {START_SYMBOL} ({start})")]
    Reversed {
        /// Value of the start symbol.
        start: Svma,
        /// Value of the stop symbol.
        stop: Svma,
    },
    /// No relocation fills the table of a relocatable file.
    #[error(
        "no jump table: expected relocations for the {size:#x} bytes of {SECTION}, found none; the table of a relocatable file (ET_REL) consists of relocations: were they stripped?"
    )]
    NoRelocations {
        /// Size of the section in bytes.
        size: u64,
    },
}

/// Finds the table by symbols, or else by section, or else by structure.  A location from
/// recovered symbols is compared with the structure.
///
/// # Errors
/// Why no table was found.
pub(super) fn locate(image: &Image<'_>) -> Result<(TableLocation, Option<Defect>), LocateError> {
    let named = match by_name(image) {
        Ok(location) if image.has_recovered_symbols() => return Ok(compared(image, location)),
        Err(error) if may_be_unnamed(image, &error) => None,
        named => Some(named?),
    };
    match named {
        Some(location) => Ok((location, None)),
        None => by_structure(image).map(|location| (location, None)),
    }
}

/// Whether the image may have an unnamed table: its symbols are missing, or are recovered ones
/// of code only.
fn may_be_unnamed(image: &Image<'_>, error: &LocateError) -> bool {
    let is_unnamed = matches!(error, LocateError::NoTable { .. } | LocateError::OneEnd { .. });
    let lacks_symbols = image.symbols().is_empty() || image.has_recovered_symbols();
    is_unnamed && lacks_symbols && image.kind() != ImageKind::Rel
}

fn by_structure(image: &Image<'_>) -> Result<TableLocation, LocateError> {
    let location = |found: scan::FoundTable| TableLocation {
        range: found.range,
        by: LocatedBy::Scan,
        confidence: Some(found.confidence),
    };
    scan::scan(image)
        .map(location)
        .map_err(|none| LocateError::NoChain { searched: none.searched, longest: none.longest })
}

/// The location with the confidence of a scan, and the defect if the two disagree.
fn compared(image: &Image<'_>, location: TableLocation) -> (TableLocation, Option<Defect>) {
    let found = scan::scan(image).ok();
    let scanned = found.map(|found| found.range);
    let disagrees = scanned != Some(location.range) && !location.range.is_empty();
    let defect = disagrees.then_some(Defect::SymbolsDisagree { named: location.range, scanned });
    (TableLocation { confidence: found.map(|found| found.confidence), ..location }, defect)
}

fn by_name(image: &Image<'_>) -> Result<TableLocation, LocateError> {
    let address = |name| image.symbols().named(name).map(|(_, symbol)| symbol.address).next();
    let section = |name| image.section_named(name).filter(|section| section.flags.alloc);
    let by_section = section(SECTION).or_else(|| section(STATIC_KEYS_SECTION)).map(|section| {
        TableLocation { range: section.range, by: LocatedBy::Section, confidence: None }
    });
    if image.kind() == ImageKind::Rel {
        return by_section.ok_or_else(|| no_table(image));
    }
    match (address(START_SYMBOL), address(STOP_SYMBOL)) {
        (Some(start), Some(stop)) => AddrRange::new(start, stop)
            .map(|range| TableLocation { range, by: LocatedBy::Symbols, confidence: None })
            .or(by_section)
            .ok_or(LocateError::Reversed { start, stop }),
        (start, _) => by_section.ok_or_else(|| match (start, address(STOP_SYMBOL)) {
            (Some(_), _) => LocateError::OneEnd { found: START_SYMBOL, missing: STOP_SYMBOL },
            (_, Some(_)) => LocateError::OneEnd { found: STOP_SYMBOL, missing: START_SYMBOL },
            _ => no_table(image),
        }),
    }
}

fn no_table(image: &Image<'_>) -> LocateError {
    LocateError::NoTable { symbols: image.symbols().len(), sections: image.sections().len() }
}
