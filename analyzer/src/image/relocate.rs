//! Applies the relocations that fill words of an image when it is loaded: RELA and RELR.
//!
//! Only relocations that fill a word with an address or a distance are applied, at load bias
//! zero, because every address here is a stated one.  The architecture determines the effect of
//! each type.

use super::error::ImageFault;
use crate::addr::{AddrRange, Svma};
use crate::arch::{Architecture, InsnValue, Relocation, RelocationError};
use std::borrow::Cow;

/// Size of an address in bytes; assumed for a field of unknown length.
const ADDRESS: usize = 8;

/// One RELA relocation with its symbol resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rela {
    pub(super) at: Svma,
    pub(super) kind: u32,
    /// Value of the symbol, 0 without one; or the index of a symbol that does not exist.
    pub(super) symbol: Result<u64, usize>,
    pub(super) addend: i64,
}

/// Bytes of a range with its relocations applied.
#[derive(Debug)]
pub struct Relocated<'data> {
    /// The bytes; borrowed if no relocation changes them.
    pub bytes: Cow<'data, [u8]>,
    /// Number of relocated words in the range, including those that already hold their value.
    pub words: usize,
    /// Relocations that could not be applied.
    pub faults: Vec<ImageFault>,
    /// For code of a relocatable file: the instructions whose value their bits cannot hold.
    pub beyond: Vec<(Svma, InsnValue)>,
}

impl<'data> Relocated<'data> {
    /// Bytes without relocations.
    #[must_use]
    pub const fn unchanged(bytes: &'data [u8]) -> Self {
        let bytes = Cow::Borrowed(bytes);
        Self { bytes, words: 0, faults: Vec::new(), beyond: Vec::new() }
    }
}

/// Applies those of `relocations` that lie in `range`, whose bytes are `bytes`.
pub(super) fn apply<'data>(
    range: AddrRange,
    bytes: &'data [u8],
    big_endian: bool,
    is_relocatable: bool,
    arch: &dyn Architecture,
    relocations: impl Iterator<Item = Rela>,
) -> Relocated<'data> {
    let mut relocated = Relocated::unchanged(bytes);
    // A difference takes two relocations of one field (RISC-V).
    let mut last = None;
    for rela in relocations {
        let relocation = arch.relocation(rela.kind);
        let length = relocation.bytes().unwrap_or(ADDRESS);
        if relocation == Relocation::Ignore || !range.contains_bytes(rela.at, length as u64) {
            continue;
        }
        let at = usize::try_from(rela.at.0 - range.start().0).unwrap_or(usize::MAX);
        let fault = |error| ImageFault::Relocation {
            at: rela.at,
            kind: rela.kind,
            name: arch.relocation_name(rela.kind),
            error,
        };
        let value = match rela.symbol {
            Ok(symbol) => symbol.wrapping_add_signed(rela.addend),
            Err(index) => {
                relocated.faults.push(fault(RelocationError::NoSymbol { index }));
                relocated.beyond.push((rela.at, InsnValue::Unknown));
                continue;
            }
        };
        // The bytes are copied only when there is something to write.
        if !is_relocatable && !is_of_load_time(relocation) {
            relocated.faults.push(fault(RelocationError::NotAWord));
        } else if let Some(field) = relocated.bytes.to_mut().get_mut(at..at.saturating_add(length))
        {
            let done = match relocation {
                Relocation::Insn { .. } => {
                    arch.relocate_insn(rela.kind, rela.at, Svma(value), field)
                }
                _ => relocation.apply(field, big_endian, rela.at, value),
            };
            match done {
                Ok(()) => relocated.words += usize::from(last != Some(rela.at)),
                Err(error) => {
                    relocated.faults.push(fault(error));
                    relocated.beyond.push((rela.at, arch.value_beyond(rela.kind, Svma(value))));
                }
            }
            last = Some(rela.at);
        }
    }
    relocated
}

/// Whether a relocation of a linked image fills a word; the linker resolves sums and
/// differences.
fn is_of_load_time(relocation: Relocation) -> bool {
    match relocation {
        Relocation::Absolute { .. } | Relocation::Relative { .. } | Relocation::LoadBias { .. } => {
            true
        }
        Relocation::Ignore
        | Relocation::Add { .. }
        | Relocation::Sub { .. }
        | Relocation::Set { .. }
        | Relocation::Set6
        | Relocation::Sub6
        | Relocation::SetUleb128
        | Relocation::SubUleb128
        | Relocation::Insn { .. }
        | Relocation::Unknown => false,
    }
}

/// Walks RELR words (gABI, "Relative relocation table"): an even word is the address of a
/// relocated word, an odd one is a bitmap of the 63 words after the last.  At load bias zero
/// the relocated words already hold their values.
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
    use crate::arch;

    #[test]
    fn relr_is_decoded() {
        // The example of the gABI proposal: one address, then a bitmap.
        let words = [0x1000, 0b1011, 0x8000_0000_0000_0001, 0x4000];
        let all: Vec<u64> = relr_addresses(words.into_iter()).map(|at| at.0).collect();
        let second_base = 0x1008 + 63 * 8;
        assert_eq!(all, [0x1000, 0x1008, 0x1018, second_base + 62 * 8, 0x4000]);
    }

    #[test]
    fn words_are_filled_and_other_types_reported() {
        let range = AddrRange::sized(Svma(0x100), 16);
        let rela =
            |at, kind, symbol, addend| Rela { at: Svma(at), kind, symbol: Ok(symbol), addend };
        // (ELF machine, its RELATIVE, its JUMP_SLOT)
        for (machine, relative, jump_slot) in [(183, 1027, 1026), (62, 8, 7), (243, 3, 5)] {
            let arch = arch::of_elf_machine(machine).unwrap();
            let all = [
                rela(0x0f8, relative, 0, 1),
                rela(0x100, relative, 0, 0x4010),
                rela(0x108, jump_slot, 0, 5),
                rela(0x108, 0, 0, 5),
                rela(0x10c, relative, 0, 6),
            ];
            let relocated = apply(range, &[0; 16], true, false, arch, all.into_iter());
            assert_eq!(relocated.bytes[..8], 0x4010u64.to_be_bytes());
            assert_eq!(relocated.bytes[8..], [0; 8]);
            assert_eq!(relocated.words, 1);
            let fault = ImageFault::Relocation {
                at: Svma(0x108),
                kind: jump_slot,
                name: arch.relocation_name(jump_slot),
                error: RelocationError::NotAWord,
            };
            assert_eq!(relocated.faults, [fault]);
        }
    }

    #[test]
    fn shorter_words_and_distances_are_filled() {
        let range = AddrRange::sized(Svma(0x100), 8);
        let arch = arch::of_elf_machine(183).unwrap();
        let rela = |at, kind, symbol| Rela { at: Svma(at), kind, symbol: Ok(symbol), addend: 0 };
        let (abs32, prel32, prel16) = (258, 261, 262);
        let all = [
            rela(0x100, abs32, 0x1234_5678),
            rela(0x104, prel32, 0xf4),
            rela(0x106, prel16, 0x10_0000),
        ];
        let relocated = apply(range, &[0; 8], false, false, arch, all.into_iter());
        assert_eq!(*relocated.bytes, [0x78, 0x56, 0x34, 0x12, 0xf0, 0xff, 0xff, 0xff]);
        assert_eq!(relocated.words, 2);
        assert_eq!(
            relocated.faults[0].to_string(),
            "relocation R_AARCH64_PREL16 (type 262) at 0x106: expected a value that fits 2 bytes, found 0xffefa"
        );
    }
}
