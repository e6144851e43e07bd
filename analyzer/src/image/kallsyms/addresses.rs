//! `kallsyms_offsets`, `kallsyms_relative_base` and `kallsyms_addresses`: the addresses of the
//! symbols.
//!
//! | Linux | order of the tables |
//! |---|---|
//! | 4.19 to 6.3 | addresses, number, names, markers, tokens |
//! | 6.2, 6.3, later 6.1.y | the same, with the sequence of names between markers and tokens |
//! | 6.4 to 6.19 | number, names, markers, tokens, addresses, sequence of names |
//! | 7.0 | the same, without a base |
//!
//! The symbols are sorted by address.  The base is the lowest address that is relative to it,
//! so the first such offset is known (scripts/kallsyms.c: `sort_symbols`,
//! `record_relative_base`, `write_src`).

use super::bytes::{Bytes, offset};
use super::error::KallsymsError;
use super::names::CompressedNames;
use super::sequence;
use super::tokens::Tokens;

/// The encoding of the addresses of symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressEncoding {
    /// 32-bit offsets from a base (CONFIG_KALLSYMS_BASE_RELATIVE).
    Offsets,
    /// As `Offsets`, except for per-CPU symbols: a value of 0 or above is absolute, and a value
    /// below 0 stands for base − 1 − value (CONFIG_KALLSYMS_ABSOLUTE_PERCPU, until Linux 6.14).
    OffsetsAbsolutePercpu,
    /// 64-bit addresses (until Linux 6.10).
    Addresses,
    /// 32-bit offsets from the location of the offset itself (Linux 7.0).
    PlaceRelative,
}

/// The location of the addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddressTable {
    pub(super) encoding: AddressEncoding,
    /// Offset of the first address.
    pub(super) start: usize,
    count: usize,
    /// Offset of `kallsyms_relative_base`.
    pub(super) base_at: Option<usize>,
    /// Offset of `kallsyms_seqs_of_names`.
    pub(super) sequence_at: Option<usize>,
    /// Whether the table follows the tokens (Linux 6.4).
    pub(super) is_after_tokens: bool,
}

impl AddressTable {
    /// All tables that are consistent in themselves, in either order.
    pub(super) fn candidates(
        bytes: Bytes<'_>,
        names: &CompressedNames,
        tokens: &Tokens<'_>,
    ) -> Result<Vec<Self>, KallsymsError> {
        let gap = Gap::read(names, tokens)?;
        let mut tables = Self::before(names, gap);
        if gap == Gap::Padding {
            tables.extend(Self::after(names.count, tokens.end));
        }
        tables.retain(|table| table.is_sound(bytes));
        if tables.is_empty() {
            return Err(KallsymsError::NoAddresses {
                count: names.count,
                before: offset(names.count_at),
                after: offset(tokens.end),
            });
        }
        Ok(tables)
    }

    /// The possible locations before the number of names.
    fn before(names: &CompressedNames, gap: Gap) -> Vec<Self> {
        let sequence_at = match gap {
            Gap::Padding => None,
            Gap::Sequence(at) => Some(at),
        };
        let (count, is_after_tokens) = (names.count, false);
        let mut tables = Vec::new();
        let base_at = names.count_at.checked_sub(8);
        let size = count.saturating_mul(4).next_multiple_of(8);
        if let Some(start) = base_at.and_then(|at| at.checked_sub(size)) {
            for encoding in [AddressEncoding::Offsets, AddressEncoding::OffsetsAbsolutePercpu] {
                tables.push(Self { encoding, start, count, base_at, sequence_at, is_after_tokens });
            }
        }
        if let Some(start) = names.count_at.checked_sub(count.saturating_mul(8)) {
            let encoding = AddressEncoding::Addresses;
            let base_at = None;
            tables.push(Self { encoding, start, count, base_at, sequence_at, is_after_tokens });
        }
        tables
    }

    /// The possible locations after the tokens.
    fn after(count: usize, tokens_end: usize) -> Vec<Self> {
        let start = tokens_end;
        let base = start + count.saturating_mul(4).next_multiple_of(8);
        let tables = [
            (AddressEncoding::Offsets, Some(base), base + 8),
            (AddressEncoding::OffsetsAbsolutePercpu, Some(base), base + 8),
            (AddressEncoding::Addresses, None, start + count.saturating_mul(8)),
            (AddressEncoding::PlaceRelative, None, start + count.saturating_mul(4)),
        ];
        let table = |(encoding, base_at, sequence)| Self {
            encoding,
            start,
            count,
            base_at,
            sequence_at: Some(sequence),
            is_after_tokens: true,
        };
        tables.map(table).into()
    }

    /// The addresses.  `base` is the value of the base or, for place-relative addresses, the
    /// address of the first searched byte.
    pub(super) fn addresses(self, bytes: Bytes<'_>, base: u64) -> Vec<u64> {
        let words = bytes.u32s(self.start, self.count);
        let offsets = words.into_iter().flatten();
        match self.encoding {
            AddressEncoding::Offsets => {
                offsets.map(|offset| base.wrapping_add(offset.into())).collect()
            }
            AddressEncoding::OffsetsAbsolutePercpu => {
                offsets.map(|offset| absolute_percpu(offset.cast_signed(), base)).collect()
            }
            AddressEncoding::Addresses => {
                bytes.u64s(self.start, self.count).into_iter().flatten().collect()
            }
            AddressEncoding::PlaceRelative => {
                let first = base.wrapping_add(self.start as u64);
                let locations = (0u64..).map(|index| first.wrapping_add(index * 4));
                let relative = |(offset, location): (u32, u64)| {
                    location.wrapping_add_signed(offset.cast_signed().into())
                };
                offsets.zip(locations).map(relative).collect()
            }
        }
    }

    /// Whether the values ascend from the required start and span more than one byte per
    /// symbol.
    fn is_sound(self, bytes: Bytes<'_>) -> bool {
        let starts = match self.encoding {
            AddressEncoding::Offsets => bytes.u32(self.start) == Some(0),
            AddressEncoding::OffsetsAbsolutePercpu => self.has_percpu_form(bytes),
            AddressEncoding::Addresses | AddressEncoding::PlaceRelative => true,
        };
        // A place-relative address may be lower than that of the first searched byte.
        starts && self.ascends(bytes, 1 << 62)
    }

    fn ascends(self, bytes: Bytes<'_>, base: u64) -> bool {
        let all = self.addresses(bytes, base);
        let span = match (all.first(), all.last()) {
            (Some(first), Some(last)) => last.saturating_sub(*first),
            _ => 0,
        };
        all.len() == self.count && span >= self.count as u64 && all.is_sorted()
    }

    /// Values of 0 and above come first; the first value below 0 is −1, the base itself.
    fn has_percpu_form(self, bytes: Bytes<'_>) -> bool {
        let Some(offsets) = bytes.u32s(self.start, self.count) else { return false };
        let mut relative = offsets.map(u32::cast_signed).skip_while(|offset| *offset >= 0);
        relative.next() == Some(-1) && relative.all(|offset| offset < 0)
    }
}

/// `kallsyms_sym_address` with CONFIG_KALLSYMS_ABSOLUTE_PERCPU.
fn absolute_percpu(offset: i32, base: u64) -> u64 {
    match u64::try_from(offset) {
        Ok(absolute) => absolute,
        // −1 − offset is the offset with all bits inverted.
        Err(_) => base.wrapping_add((!offset).cast_unsigned().into()),
    }
}

/// The bytes between markers and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// Fewer bytes than the alignment of a table.
    Padding,
    /// `kallsyms_seqs_of_names` at this offset.
    Sequence(usize),
}

impl Gap {
    fn read(names: &CompressedNames, tokens: &Tokens<'_>) -> Result<Self, KallsymsError> {
        let end = names.markers.end();
        let sequence = end.next_multiple_of(8);
        let size = sequence::size(names.count);
        if tokens.start.checked_sub(end).is_some_and(|gap| gap < 8) {
            Ok(Self::Padding)
        } else if sequence.saturating_add(size).next_multiple_of(8) == tokens.start {
            Ok(Self::Sequence(sequence))
        } else {
            let found = tokens.start.saturating_sub(end);
            Err(KallsymsError::Gap { at: offset(end), expected: size, found })
        }
    }
}
