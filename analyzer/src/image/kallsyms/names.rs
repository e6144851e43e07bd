//! `kallsyms_num_syms` and `kallsyms_names`: the number of symbols, and their names.
//!
//! Each name is a length and as many bytes that stand for tokens; the first character is the
//! kind, as `nm` prints it.  The length is one byte, or two as ULEB128 since Linux 6.1.  The
//! number is a 64-bit word in Linux 4.19 and a 32-bit word since 4.20.  The names start at the
//! next multiple of 8 bytes after it, since Linux 7.0 of 4 bytes.

use super::bytes::{Bytes, offset};
use super::error::KallsymsError;
use super::markers::{LONGEST_NAME, LONGEST_STRIDE, Markers, STRIDE};
use super::tokens::Tokens;

/// Most expanded bytes per compressed byte; real kernels have two to three.
const MOST_EXPANSION: usize = 16;

/// The compressed names, confirmed by all markers.
#[derive(Debug, Clone, Copy)]
pub(super) struct CompressedNames {
    /// Number of symbols.
    pub(super) count: usize,
    /// Offset of `kallsyms_num_syms`.
    pub(super) count_at: usize,
    /// Offset of `kallsyms_names`.
    pub(super) start: usize,
    /// First byte after the last name.
    pub(super) end: usize,
    /// The markers that confirm them.
    pub(super) markers: Markers,
    lengths: Lengths,
}

/// The encoding of the length of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    /// Two bytes for lengths above 127 (Linux 6.1).
    Uleb128,
    /// Always one byte, so that 128 is a length.
    Byte,
}

/// One name expanded into the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExpandedName {
    pub(super) kind: u8,
    pub(super) start: u32,
    pub(super) length: u16,
}

impl CompressedNames {
    /// The names that the markers describe.  `budget` is the number of names that may still be
    /// skipped: crafted bytes can agree with markers from many starts.
    pub(super) fn find(bytes: Bytes<'_>, markers: Markers, budget: &mut usize) -> Option<Self> {
        let mut below = |markers| Self::below(bytes, markers, budget);
        below(markers).or_else(|| below(markers.shortened()))
    }

    fn below(bytes: Bytes<'_>, markers: Markers, budget: &mut usize) -> Option<Self> {
        let last = markers.last(bytes)?;
        // The last stride has at least one name of two bytes, and at most a full number of
        // names.
        let highest = markers.start.checked_sub(last)?.checked_sub(2)?;
        let lowest = highest.saturating_sub(LONGEST_STRIDE + 8);
        (lowest / 4..=highest / 4).rev().map(|word| word * 4).find_map(|start| {
            let (count, count_at, alignment) = number_before(bytes, start)?;
            if count.div_ceil(STRIDE) != markers.count {
                return None;
            }
            [Lengths::Uleb128, Lengths::Byte].into_iter().find_map(|lengths| {
                let names = Self { count, count_at, start, end: start, markers, lengths };
                names.confirmed(bytes, alignment, budget)
            })
        })
    }

    /// Sets the end, if every marker and the end of the table agree.
    fn confirmed(self, bytes: Bytes<'_>, alignment: usize, budget: &mut usize) -> Option<Self> {
        let mut at = self.start;
        for index in 0..self.count {
            *budget = budget.checked_sub(1)?;
            if index % STRIDE == 0 && self.markers.get(bytes, index / STRIDE)? != at - self.start {
                return None;
            }
            let (length, first) = self.lengths.read(bytes, at)?;
            at = first + length;
            if length == 0 || at > self.markers.start {
                return None;
            }
        }
        let padding = bytes.slice(at, self.markers.start - at)?;
        let padded = padding.len() < alignment && padding.iter().all(|byte| *byte == 0);
        padded.then_some(Self { end: at, ..self })
    }

    /// Expands all names into one pool.
    pub(super) fn expand(
        self,
        bytes: Bytes<'_>,
        tokens: &Tokens<'_>,
    ) -> Result<(String, Vec<ExpandedName>), KallsymsError> {
        let most = (self.end - self.start).saturating_mul(MOST_EXPANSION);
        let mut pool = Vec::with_capacity((self.end - self.start) * 2);
        let mut names = Vec::with_capacity(self.count);
        let mut at = self.start;
        for index in 0..self.count {
            let error = |expected, found| KallsymsError::NameExpansion { index, expected, found };
            let Some((length, first)) = self.lengths.read(bytes, at) else { break };
            at = first + length;
            let start = pool.len();
            let kind =
                expand_one(bytes.slice(first, length).unwrap_or_default(), tokens, &mut pool);
            let size = pool.len() - start;
            let (Some(kind), Ok(length)) = (kind, u16::try_from(size)) else {
                return Err(error("a kind and at most 512 bytes", size));
            };
            if size == 0 || size >= LONGEST_NAME || pool.len() > most {
                return Err(error(
                    "a kind and 1 to 511 bytes, at most 16 for each compressed byte",
                    size,
                ));
            }
            let start = u32::try_from(start).map_err(|_| error("below 4 GiB", start))?;
            names.push(ExpandedName { kind, start, length });
        }
        // Tokens are ASCII.
        let pool = String::from_utf8(pool).map_err(|found| KallsymsError::NameExpansion {
            index: 0,
            expected: "ASCII",
            found: found.as_bytes().len(),
        })?;
        Ok((pool, names))
    }

    /// The error if the names cannot be found.
    pub(super) const fn missing(markers: Markers) -> KallsymsError {
        KallsymsError::NoNames { at: offset(markers.start), markers: markers.count }
    }
}

impl Lengths {
    /// Length of the name at `at`, and the offset of its bytes.
    fn read(self, bytes: Bytes<'_>, at: usize) -> Option<(usize, usize)> {
        let low = bytes.u8(at)?;
        if self == Self::Byte || low < 0x80 {
            return Some((low.into(), at + 1));
        }
        let high = usize::from(bytes.u8(at + 1)?);
        // Two bytes hold 14 bits; the kernel's build never writes a third.
        (1..0x80).contains(&high).then_some((usize::from(low & 0x7f) | high << 7, at + 2))
    }
}

/// The number of symbols before names at `names`, its offset, and the alignment of tables that
/// follows.
fn number_before(bytes: Bytes<'_>, names: usize) -> Option<(usize, usize, usize)> {
    let (low, high) = (names.checked_sub(8)?, names.checked_sub(4)?);
    let (first, second) = (bytes.u32(low)?, bytes.u32(high)?);
    let (count, at, alignment) = match (names.is_multiple_of(8), first, second) {
        // A 32-bit word and padding; a 64-bit word looks the same.
        (true, count, 0) => (count, low, 8),
        // A big-endian 64-bit word.  A 32-bit word after padding would look the same, and
        // differ only in the layout of the other tables.
        (true, 0, count) if bytes.is_big_endian() => (count, low, 8),
        (_, _, count) => (count, high, 4),
    };
    Some((usize::try_from(count).ok()?, at, alignment))
}

/// Appends the expansion of `compressed` without the kind, and returns the kind.
fn expand_one(compressed: &[u8], tokens: &Tokens<'_>, pool: &mut Vec<u8>) -> Option<u8> {
    let mut rest = compressed.iter();
    let first = rest.by_ref().map(|byte| tokens.string(*byte)).find(|token| !token.is_empty())?;
    let (kind, first) = first.split_first()?;
    let start = pool.len();
    pool.extend_from_slice(first);
    for byte in rest {
        pool.extend_from_slice(tokens.string(*byte));
        if pool.len() - start > LONGEST_NAME {
            break;
        }
    }
    Some(*kind)
}
