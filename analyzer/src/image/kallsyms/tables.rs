//! The symbols of a kernel: all tables of kallsyms, found and read together.

use super::addresses::{AddressEncoding, AddressTable};
use super::base::{self, AddressBase};
use super::bytes::{Bytes, FlatImage, offset};
use super::error::KallsymsError;
use super::markers::{self, Markers};
use super::names::{CompressedNames, ExpandedName};
use super::sequence;
use super::tokens::Tokens;
use crate::addr::{FileOffset, Svma};

/// Most token tables that are tried; a kernel has one.
const MOST_TOKEN_TABLES: usize = 4;
/// Most runs of words that are tried as markers for each token table.
const MOST_MARKERS: usize = 16;
/// Without CONFIG_KALLSYMS_ALL at most `_etext` and `_einittext` have the kind of data, which
/// is that of the section after the code.
const MOST_ENDS_OF_CODE: usize = 2;

/// One symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KallsymsSymbol {
    /// Its address.  If [`Kallsyms::base`] is unknown: its distance from the unknown base or,
    /// with [`AddressEncoding::PlaceRelative`], from the first searched byte.
    pub address: Svma,
    name: ExpandedName,
}

impl KallsymsSymbol {
    /// The kind as `nm` prints it and the kernel stores it: `T` for global code.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.name.kind
    }
}

/// The locations and encodings of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KallsymsLayout {
    /// Offset of `kallsyms_num_syms`.
    pub num_syms: FileOffset,
    /// Offset of `kallsyms_names`.
    pub names: FileOffset,
    /// Offset of `kallsyms_markers`.
    pub markers: FileOffset,
    /// Offset of `kallsyms_token_table`.
    pub token_table: FileOffset,
    /// Offset of `kallsyms_offsets` or `kallsyms_addresses`.
    pub addresses: FileOffset,
    /// Offset of `kallsyms_relative_base`; `None` without one.
    pub relative_base: Option<FileOffset>,
    /// Offset of `kallsyms_seqs_of_names` (Linux 6.2); `None` without one.
    pub seqs_of_names: Option<FileOffset>,
    /// The encoding of the addresses.
    pub encoding: AddressEncoding,
    /// Bytes of a marker: 8 in Linux 4.19, 4 since 4.20.
    pub marker_size: usize,
    /// Whether the addresses follow the tokens (Linux 6.4).
    pub addresses_last: bool,
}

/// The symbols of a kernel.
#[derive(Debug)]
pub struct Kallsyms {
    symbols: Vec<KallsymsSymbol>,
    names: String,
    layout: KallsymsLayout,
    base: AddressBase,
    load_address: Option<Svma>,
}

impl Kallsyms {
    /// Finds and reads the tables in `image`.
    ///
    /// # Errors
    /// If there is no consistent set of tables.  The error concerns the position that passed
    /// the most checks.
    pub fn find(image: FlatImage<'_>) -> Result<Self, KallsymsError> {
        let bytes = Bytes::new(image.bytes, image.big_endian);
        let (tokens, look_alikes) = Tokens::find(bytes);
        let mut nearest = KallsymsError::NoTokenTable { look_alikes };
        let mut budget = bytes.len();
        for tokens in tokens.iter().take(MOST_TOKEN_TABLES) {
            match Tables::find(bytes, tokens, &mut budget) {
                Ok(tables) => return Ok(tables.placed(image, bytes)),
                Err(error) => nearest = nearest.further(error),
            }
        }
        Err(nearest)
    }

    /// All symbols, by address.  Absolute per-CPU symbols come first.
    #[must_use]
    pub fn symbols(&self) -> &[KallsymsSymbol] {
        &self.symbols
    }

    /// The name of a symbol; empty for a symbol of another kernel.
    #[must_use]
    pub fn name(&self, symbol: &KallsymsSymbol) -> &str {
        name(&self.names, symbol.name)
    }

    /// The locations and encodings of the tables.
    #[must_use]
    pub const fn layout(&self) -> &KallsymsLayout {
        &self.layout
    }

    /// The base that the addresses are relative to.
    #[must_use]
    pub const fn base(&self) -> AddressBase {
        self.base
    }

    /// Address of the first byte of the image, if the caller stated it or if it follows from
    /// the relocations or from `linux_banner`.
    #[must_use]
    pub const fn load_address(&self) -> Option<Svma> {
        self.load_address
    }

    /// Whether data have symbols too (CONFIG_KALLSYMS_ALL), not only code.
    #[must_use]
    pub fn has_data_symbols(&self) -> bool {
        let data =
            self.symbols.iter().filter(|symbol| matches!(symbol.kind(), b'b' | b'B' | b'd' | b'D'));
        data.take(MOST_ENDS_OF_CODE + 1).count() > MOST_ENDS_OF_CODE
    }
}

/// The part of the pool that holds a name.
fn name(pool: &str, name: ExpandedName) -> &str {
    let start = name.start as usize;
    pool.get(start..start + usize::from(name.length)).unwrap_or_default()
}

/// A consistent set of tables.
struct Tables {
    names: CompressedNames,
    tokens_at: usize,
    addresses: AddressTable,
    pool: String,
    expanded: Vec<ExpandedName>,
}

impl Tables {
    fn find(
        bytes: Bytes<'_>,
        tokens: &Tokens<'_>,
        budget: &mut usize,
    ) -> Result<Self, KallsymsError> {
        let mut nearest = KallsymsError::NoMarkers {
            token_table: offset(tokens.start),
            expected: markers::FEWEST,
        };
        for markers in Markers::before(bytes, tokens.start).take(MOST_MARKERS) {
            let found = match CompressedNames::find(bytes, markers, budget) {
                Some(names) => Self::around(bytes, tokens, names),
                None => Err(CompressedNames::missing(markers)),
            };
            match found {
                Ok(tables) => return Ok(tables),
                Err(error) => nearest = nearest.further(error),
            }
        }
        Err(nearest)
    }

    fn around(
        bytes: Bytes<'_>,
        tokens: &Tokens<'_>,
        names: CompressedNames,
    ) -> Result<Self, KallsymsError> {
        let candidates = AddressTable::candidates(bytes, &names, tokens)?;
        let (pool, expanded) = names.expand(bytes, tokens)?;
        let at = |index: usize| expanded.get(index).map_or("", |found| name(&pool, *found));
        let mut nearest = CompressedNames::missing(names.markers);
        for addresses in candidates {
            let checked = match addresses.sequence_at {
                Some(start) => sequence::check(bytes, start, names.count, at),
                None => Ok(()),
            };
            match checked {
                Ok(()) => {
                    return Ok(Self { names, tokens_at: tokens.start, addresses, pool, expanded });
                }
                Err(error) => nearest = nearest.further(error),
            }
        }
        Err(nearest)
    }

    /// Resolves the addresses of the symbols, as far as the image determines them.
    fn placed(self, image: FlatImage<'_>, bytes: Bytes<'_>) -> Kallsyms {
        let name = |index: usize| self.expanded.get(index).map_or("", |at| name(&self.pool, *at));
        let placed = base::resolve(image, bytes, self.addresses, &name);
        let symbol = |(address, name)| KallsymsSymbol { address: Svma(address), name };
        let addresses = placed.addresses.into_iter();
        Kallsyms {
            symbols: addresses.zip(self.expanded.iter().copied()).map(symbol).collect(),
            layout: self.layout(),
            names: self.pool,
            base: placed.base,
            load_address: placed.load,
        }
    }

    fn layout(&self) -> KallsymsLayout {
        KallsymsLayout {
            num_syms: offset(self.names.count_at),
            names: offset(self.names.start),
            markers: offset(self.names.markers.start),
            token_table: offset(self.tokens_at),
            addresses: offset(self.addresses.start),
            relative_base: self.addresses.base_at.map(offset),
            seqs_of_names: self.addresses.sequence_at.map(offset),
            encoding: self.addresses.encoding,
            marker_size: self.names.markers.width,
            addresses_last: self.addresses.is_after_tokens,
        }
    }
}
