//! The immediates of A64 instructions, as relocations of a relocatable file fill them.

use super::relocation::{InsnValue, RelocationError};
use crate::addr::Svma;
use jlctl_shim::insn::aarch64;

/// R_AARCH64_JUMP26.
pub(super) const JUMP26: u32 = 282;
/// R_AARCH64_CALL26.
pub(super) const CALL26: u32 = 283;

/// Log2 of the page size of ADRP (Arm ARM C6.2, ADRP).
const PAGE_SHIFT: u32 = 12;

/// How a relocation type fills an immediate (AAELF64 2024Q3, 5.7.6 to 5.7.9). X is S + A, or
/// S + A − P where the type is relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Immediate {
    /// X / 4 of B and BL.
    Branch,
    /// X / 4 of B.cond, CBZ and CBNZ.
    Conditional,
    /// X / 4 of TBZ and TBNZ.
    TestBit,
    /// X / 4 of LDR (literal).
    Literal,
    /// X of ADR.
    Near,
    /// Page(S + A) − Page(P) of ADRP.
    Page,
    /// The low 12 bits of X of ADD.
    Add,
    /// The low 12 bits of X of a load or store of `1 << scale` bytes.
    Access { scale: u32 },
    /// 16 bits of X, from bit `16 * group` upward, of MOVZ or MOVK.
    Move { group: u32, check: Check, is_relative: bool },
}

/// The check that the bits of X above those of a group are lost deliberately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// They may be lost: other instructions hold them.
    None,
    /// They must be zero.
    Unsigned,
    /// They must be copies of the sign; MOVZ becomes MOVN for a negative X.
    Signed,
}

/// The immediate that relocation type `r_type` fills; `None` for other types.
const fn immediate(r_type: u32) -> Option<Immediate> {
    use Check::{None as Unchecked, Signed, Unsigned};
    Some(match r_type {
        263 => moved(0, Unsigned, false),
        264 => moved(0, Unchecked, false),
        265 => moved(1, Unsigned, false),
        266 => moved(1, Unchecked, false),
        267 => moved(2, Unsigned, false),
        268 => moved(2, Unchecked, false),
        269 => moved(3, Unchecked, false),
        270 => moved(0, Signed, false),
        271 => moved(1, Signed, false),
        272 => moved(2, Signed, false),
        273 => Immediate::Literal,
        274 => Immediate::Near,
        275 | 276 => Immediate::Page,
        277 => Immediate::Add,
        278 => Immediate::Access { scale: 0 },
        279 => Immediate::TestBit,
        280 => Immediate::Conditional,
        JUMP26 | CALL26 => Immediate::Branch,
        284 => Immediate::Access { scale: 1 },
        285 => Immediate::Access { scale: 2 },
        286 => Immediate::Access { scale: 3 },
        287 => moved(0, Signed, true),
        288 => moved(0, Unchecked, true),
        289 => moved(1, Signed, true),
        290 => moved(1, Unchecked, true),
        291 => moved(2, Signed, true),
        292 => moved(2, Unchecked, true),
        293 => moved(3, Unchecked, true),
        299 => Immediate::Access { scale: 4 },
        _ => return None,
    })
}

const fn moved(group: u32, check: Check, is_relative: bool) -> Immediate {
    Immediate::Move { group, check, is_relative }
}

/// Whether `word` is an instruction with this immediate (Arm ARM C4.1).
const fn has(immediate: Immediate, word: u32) -> bool {
    let (mask, value) = match immediate {
        Immediate::Branch => (0x7c00_0000, 0x1400_0000),
        Immediate::Conditional if word >> 24 == 0x54 => return true,
        Immediate::Conditional => (0x7e00_0000, 0x3400_0000),
        Immediate::TestBit => (0x7e00_0000, 0x3600_0000),
        Immediate::Literal => (0x3b00_0000, 0x1800_0000),
        Immediate::Near => (0x9f00_0000, 0x1000_0000),
        Immediate::Page => (0x9f00_0000, 0x9000_0000),
        Immediate::Add => (0x7fc0_0000, 0x1100_0000),
        Immediate::Access { .. } => (0x3b00_0000, 0x3900_0000),
        Immediate::Move { .. } => (0x1f80_0000, 0x1280_0000),
    };
    word & mask == value
}

/// `word`, the instruction at `place`, with the immediate that relocation type `r_type` makes of
/// `value`, which is S + A.
pub(super) fn relocate(
    r_type: u32,
    place: Svma,
    value: Svma,
    word: u32,
) -> Result<u32, RelocationError> {
    let immediate = immediate(r_type).ok_or(RelocationError::NotAWord)?;
    if immediate == Immediate::Branch {
        let branch = aarch64::relocate(word, place.0, value.0);
        return branch.map_err(RelocationError::Branch);
    }
    let refused = RelocationError::Immediate { value: value.0 };
    if !has(immediate, word) {
        return Err(refused);
    }
    let distance = value.0.wrapping_sub(place.0).cast_signed();
    let quarter = |bits| (distance & 3 == 0 && fits(distance >> 2, bits)).then_some(distance >> 2);
    let split = |offset| inserted(inserted(word, offset, 29, 2), offset >> 2, 5, 19);
    let relocated = match immediate {
        Immediate::Branch => None,
        Immediate::Conditional | Immediate::Literal => {
            quarter(19).map(|offset| inserted(word, offset, 5, 19))
        }
        Immediate::TestBit => quarter(14).map(|offset| inserted(word, offset, 5, 14)),
        Immediate::Near => fits(distance, 21).then(|| split(distance)),
        Immediate::Page => {
            let page = |address: u64| address & !((1 << PAGE_SHIFT) - 1);
            let distance = page(value.0).wrapping_sub(page(place.0)).cast_signed() >> PAGE_SHIFT;
            fits(distance, 21).then(|| split(distance))
        }
        Immediate::Add => Some(inserted(word, value.0.cast_signed(), 10, 12)),
        Immediate::Access { scale } => {
            let low = value.0 & ((1 << PAGE_SHIFT) - 1);
            let is_aligned = low.is_multiple_of(1 << scale);
            is_aligned.then(|| inserted(word, (low >> scale).cast_signed(), 10, 12))
        }
        Immediate::Move { group, check, is_relative } => {
            let value = if is_relative { distance } else { value.0.cast_signed() };
            move_wide(word, value, group, check)
        }
    };
    relocated.ok_or(refused)
}

/// MOVZ, MOVN or MOVK with the 16 bits of `value` that belong to `group`.
const fn move_wide(word: u32, value: i64, group: u32, check: Check) -> Option<u32> {
    /// Distinguishes MOVZ from MOVN, and MOVK from both with bit 29.
    const IS_ZEROING: u32 = 1 << 30;
    let shift = 16 * group;
    let rest = value >> shift >> 16;
    match check {
        Check::None => Some(inserted(word, value >> shift, 5, 16)),
        Check::Unsigned if rest != 0 => None,
        Check::Unsigned => Some(inserted(word, value >> shift, 5, 16)),
        Check::Signed if rest != 0 && rest != -1 => None,
        Check::Signed if value < 0 => Some(inserted(word & !IS_ZEROING, !(value >> shift), 5, 16)),
        Check::Signed => Some(inserted(word | IS_ZEROING, value >> shift, 5, 16)),
    }
}

/// The value of an instruction whose immediate cannot hold the value of its relocation.
///
/// An entry of the GOT has no address before a linker lays the GOT out, but its content is
/// known: the value of the symbol (AAELF64, 5.7.10). The offset of a thread-local variable is
/// known to nobody before (5.7.11).
pub(super) const fn value_beyond(r_type: u32, value: Svma) -> InsnValue {
    // GOT_LD_PREL19, LD64_GOTOFF_LO15, LD64_GOT_LO12_NC and LD64_GOTPAGE_LO15.
    if matches!(r_type, 309 | 310 | 312 | 313) {
        return InsnValue::Register(value);
    }
    match immediate(r_type) {
        Some(
            Immediate::Branch | Immediate::Conditional | Immediate::TestBit | Immediate::Literal,
        ) => InsnValue::Target(value),
        Some(Immediate::Near) => InsnValue::Register(value),
        Some(Immediate::Page) => InsnValue::Register(Svma(value.0 & !((1 << PAGE_SHIFT) - 1))),
        _ => InsnValue::Unknown,
    }
}

/// Whether a signed field of `bits` can hold `value`.
const fn fits(value: i64, bits: u32) -> bool {
    let rest = value >> (bits - 1);
    rest == 0 || rest == -1
}

/// `word` with the low `bits` of `value` in the field from bit `low` upward.
#[allow(clippy::cast_possible_truncation, reason = "only the bits of the field are used")]
const fn inserted(word: u32, value: i64, low: u32, bits: u32) -> u32 {
    let mask = (1 << bits) - 1;
    word & !(mask << low) | (value.cast_unsigned() as u32 & mask) << low
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Svma = Svma(0x7000_0000_0000_1008);

    fn relocated(r_type: u32, word: u32, value: u64) -> Result<u32, RelocationError> {
        relocate(r_type, PLACE, Svma(value), word)
    }

    /// Words as GNU ld 2.40 relocates them, with the instruction at 0x1008 of its section.
    #[test]
    fn immediates_are_filled() {
        let at = |offset: i64| PLACE.0.wrapping_add_signed(offset);
        for (r_type, word, value, filled) in [
            (264, 0xd280_0000, 0x1234_5678_9abc_def0, 0xd29b_de00u32),
            (266, 0xf2a0_0000, 0x1234_5678_9abc_def0, 0xf2b3_5780),
            (268, 0xf2c0_0000, 0x1234_5678_9abc_def0, 0xf2ca_cf00),
            (269, 0xf2e0_0000, 0x1234_5678_9abc_def0, 0xf2e2_4680),
            (270, 0xd280_0000, (-2i64).cast_unsigned(), 0x9280_0020),
            (270, 0x9280_0000, 2, 0xd280_0040),
            (273, 0x5800_0001, at(-8), 0x58ff_ffc1),
            (274, 0x1000_0000, at(-3), 0x30ff_ffe0),
            (275, 0x9000_0000, at(0x1000), 0xb000_0000),
            (275, 0x9000_0000, at(-0x1009), 0xd0ff_ffe0),
            (277, 0x9100_0000, 0x7fff_f123, 0x9104_8c00),
            (278, 0x3900_0001, 0x7fff_f123, 0x3904_8c01),
            (284, 0x7900_0001, 0x7fff_f124, 0x7902_4801),
            (285, 0xb900_0001, 0x7fff_f124, 0xb901_2401),
            (286, 0xf940_0001, 0x7fff_f128, 0xf940_9401),
            (299, 0x3dc0_0001, 0x7fff_f120, 0x3dc0_4801),
            (279, 0x3600_0000, at(8), 0x3600_0040),
            (280, 0x5400_0001, at(-4), 0x54ff_ffe1),
            (280, 0xb400_0003, at(4), 0xb400_0023),
            (282, 0x1400_0000, at(8), 0x1400_0002),
            (283, 0x9400_0000, at(-8), 0x97ff_fffe),
        ] {
            assert_eq!(relocated(r_type, word, value), Ok(filled), "{r_type} {word:#x}");
            // What the field held before does not matter: the addend is in the relocation.
            assert_eq!(relocated(r_type, filled, value), Ok(filled), "{r_type} {word:#x}");
        }
    }

    #[test]
    fn values_that_do_not_fit_have_a_value_beyond_the_bits() {
        let far = 1 << 63;
        let (target, register) = (InsnValue::Target(Svma(far)), InsnValue::Register(Svma(far)));
        for (r_type, word, beyond) in [
            (263, 0xd280_0000, InsnValue::Unknown),
            (273, 0x5800_0001, target),
            (274, 0x1000_0000, register),
            (275, 0x9000_0000, register),
            (279, 0x3600_0000, target),
            (280, 0x5400_0001, target),
            (282, 0x1400_0000, target),
            (283, 0x9400_0000, target),
            (311, 0x9000_0000, InsnValue::Unknown),
            (312, 0xf940_0000, register),
            (541, 0x9000_0000, InsnValue::Unknown),
        ] {
            assert!(relocated(r_type, word, far).is_err(), "{r_type}");
            assert_eq!(value_beyond(r_type, Svma(far)), beyond, "{r_type}");
        }
        let page = InsnValue::Register(Svma(far + 0x1000));
        assert_eq!(value_beyond(275, Svma(far + 0x1234)), page);
        assert!(relocated(286, 0xf940_0001, 0x123).is_err(), "not aligned");
    }

    #[test]
    fn other_instructions_are_refused() {
        for r_type in (0..600).filter(|r_type| immediate(*r_type).is_some()) {
            for word in [0, aarch64::NOP, 0xd65f_03c0, u32::MAX] {
                assert!(relocated(r_type, word, PLACE.0).is_err(), "{r_type} {word:#x}");
            }
        }
    }
}
