//! Relocations that fill words of the image when it is loaded: RELA and RELR.
//!
//! Only what a jump table can hold is applied: whole 64-bit words
//! (R_AARCH64_ABS64, R_AARCH64_RELATIVE; AAELF64 5.7.5 and 5.7.16), at load bias
//! zero, since every address here is a stated one.

use super::error::ImageFault;
use crate::addr::{AddrRange, Svma};
use std::borrow::Cow;

/// R_AARCH64_ABS64: symbol plus addend.
const ABS64: u32 = 257;
/// R_AARCH64_RELATIVE: load bias plus addend.
const RELATIVE: u32 = 1027;

/// One RELA relocation with its symbol resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rela {
    pub(super) at: Svma,
    pub(super) kind: u32,
    /// Value of the symbol; 0 where there is none.
    pub(super) symbol: u64,
    pub(super) addend: i64,
}

/// Bytes of a range with its relocations applied.
#[derive(Debug)]
pub struct Relocated<'data> {
    /// The bytes; borrowed where no relocation changes them.
    pub bytes: Cow<'data, [u8]>,
    /// How many words of the range are relocated, in place ones included.
    pub words: usize,
    /// Relocations that could not be applied.
    pub faults: Vec<ImageFault>,
}

/// Applies those of `relocations` that fall into `range`, whose bytes are `bytes`.
pub(super) fn apply<'data>(
    range: AddrRange,
    bytes: &'data [u8],
    big_endian: bool,
    relocations: impl Iterator<Item = Rela>,
) -> Relocated<'data> {
    let mut relocated = Relocated { bytes: Cow::Borrowed(bytes), words: 0, faults: Vec::new() };
    for rela in relocations {
        if !range.contains_bytes(rela.at, 8) {
            continue;
        }
        let value = match rela.kind {
            ABS64 | RELATIVE => rela.symbol.wrapping_add_signed(rela.addend),
            kind => {
                relocated.faults.push(ImageFault::Relocation { at: rela.at, kind });
                continue;
            }
        };
        let word = if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let at = usize::try_from(rela.at.0 - range.start().0).unwrap_or(usize::MAX);
        if let Some(place) = relocated.bytes.to_mut().get_mut(at..at.saturating_add(8)) {
            place.copy_from_slice(&word);
            relocated.words += 1;
        }
    }
    relocated
}

/// Walks RELR words (gABI, "Relative relocation table"): an even word is the
/// address of a relocated word, an odd one a bitmap of the 63 words behind the
/// last.  At load bias zero the relocated words already hold their values.
pub(super) fn relr_addresses(words: impl Iterator<Item = u64>) -> impl Iterator<Item = Svma> {
    let mut next = 0u64;
    words.flat_map(move |word| {
        let (base, bits) = if word & 1 == 0 {
            next = word.wrapping_add(8);
            (word, 1)
        } else {
            let base = next;
            next = next.wrapping_add(63 * 8);
            (base, word >> 1)
        };
        (0..63)
            .filter(move |bit| bits >> bit & 1 == 1)
            .map(move |bit| Svma(base.wrapping_add(8 * bit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relr_is_decoded() {
        // The example of the gABI proposal: one address, then a bitmap.
        let words = [0x1000, 0b1011, 0x8000_0000_0000_0001, 0x4000];
        let all: Vec<u64> = relr_addresses(words.into_iter()).map(|at| at.0).collect();
        let second_base = 0x1008 + 63 * 8;
        assert_eq!(all, [0x1000, 0x1008, 0x1018, second_base + 62 * 8, 0x4000]);
    }

    #[test]
    fn words_are_filled_and_odd_types_reported() {
        let range = AddrRange::sized(Svma(0x100), 16);
        let rela = |at, kind, symbol, addend| Rela { at: Svma(at), kind, symbol, addend };
        let all = [
            rela(0x0f8, RELATIVE, 0, 1),
            rela(0x100, RELATIVE, 0, 0x4010),
            rela(0x108, 1026, 0, 5),
            rela(0x10c, RELATIVE, 0, 6),
        ];
        let relocated = apply(range, &[0; 16], true, all.into_iter());
        assert_eq!(relocated.bytes[..8], 0x4010u64.to_be_bytes());
        assert_eq!(relocated.bytes[8..], [0; 8]);
        assert_eq!(relocated.words, 1);
        assert_eq!(relocated.faults, [ImageFault::Relocation { at: Svma(0x108), kind: 1026 }]);
    }
}
