//! Names in fingerprints that do not depend on addresses.
//!
//! A function without a symbol is called after its address in reports. In a fingerprint it is
//! called after its instructions instead, without the operands that the linker sets, so that a
//! build in which other functions change keeps the fingerprint.

use super::subject::{Subject, UNNAMED};
use crate::addr::Svma;
use crate::program::FuncId;
use crate::semantics::INSN_BYTES;
use twox_hash::XxHash64;

/// The fingerprint with each function without a symbol named after its instructions.
pub(super) fn without_addresses(subject: &Subject<'_, '_>, fingerprint: &str) -> String {
    let mut parts = fingerprint.split(UNNAMED);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(part.len());
        let (address, rest) = part.split_at(digits);
        let function = u64::from_str_radix(address, 16).ok();
        let function = function.and_then(|at| subject.program.starting_at(Svma(at)));
        match function {
            Some(id) => text += &format!("body_{:016x}", body(subject, id)),
            None => text += &format!("{UNNAMED}{address}"),
        }
        text += rest;
    }
    text
}

/// A hash of the instructions of a function, without the operands that the linker sets.
fn body(subject: &Subject<'_, '_>, id: FuncId) -> u64 {
    let range = subject.program.function(id).range;
    let words = (0..range.size() / INSN_BYTES)
        .filter_map(|index| subject.program.word(range.start().wrapping_add(index * INSN_BYTES)));
    let bytes: Vec<u8> = words.flat_map(|word| unlinked(word).to_le_bytes()).collect();
    XxHash64::oneshot(0, &bytes)
}

/// A word without the operand of a relocation (AAELF64, 5.7.6 to 5.7.8): the target of B, BL, ADR
/// and ADRP, and the low bits of an address in ADD and in loads and stores.
const fn unlinked(word: u32) -> u32 {
    match (word >> 25) & 0xf {
        0b1010 | 0b1011 if (word >> 26) & 0x1f == 0b00101 => word & 0xfc00_0000,
        0b1000 | 0b1001 if (word >> 24) & 0x1f == 0b10000 => word & 0x9f00_001f,
        0b1000 | 0b1001 if (word >> 23) & 0x3f == 0b10_0010 => word & 0xffc0_03ff,
        op0 if op0 & 5 == 4 && (word >> 24) & 0x3b == 0x39 => word & 0xffc0_03ff,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_of_the_linker_are_dropped() {
        // llvm-mc -triple=aarch64 -show-encoding
        for (word, other) in [
            (0x9400_0010, 0x9400_0020), // bl #64, bl #128
            (0x9000_0001, 0xb000_0041), // adrp x1, #0, and #0x9000
            (0x9104_0021, 0x9108_0021), // add x1, x1, #0x100, #0x200
            (0xf940_0421, 0xf940_0821), // ldr x1, [x1, #8], #16
        ] {
            assert_eq!(unlinked(word), unlinked(other), "{word:#x}");
        }
        // A local branch, a shift and a move keep their operands.
        for word in [0x5400_0040, 0xd37f_f821, 0xd280_0020_u32] {
            assert_eq!(unlinked(word), word);
        }
    }
}
