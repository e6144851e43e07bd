//! A64: NOP and B.  Arm ARM (DDI 0487) C6.2 "NOP" and "B"; B2.2.5 lists both
//! among the instructions that may be modified while other PEs execute them.

use super::encoding::EncodeError;

/// Bytes of an A64 instruction, and so of a site.
pub const INSN_BYTES: u64 = 4;

/// The word of NOP.
pub const NOP: u32 = 0xd503_201f;

/// Lowest displacement of B, in bytes (−128 MiB).
pub const B_MIN: i64 = -(1 << 27);
/// Highest displacement of B, in bytes (128 MiB − 4).
pub const B_MAX: i64 = (1 << 27) - 4;

const B_OPCODE: u32 = 0x1400_0000;
const IMM26: u32 = 0x03ff_ffff;
/// Bits that distinguish B and BL from all other instructions; bit 31 is set in BL.
const B_OR_BL: u32 = 0x7c00_0000;

/// Whether an instruction may be modified while other PEs execute it, provided that its
/// replacement is such an instruction too: B, BL, BRK, HVC, ISB, NOP, SMC and SVC, and in later
/// issues of the manual B.cond, CBZ, CBNZ, TBZ and TBNZ (Arm ARM DDI 0487, B2.2.5 "Concurrent
/// modification and execution of instructions").
#[must_use]
pub const fn is_concurrently_modifiable(word: u32) -> bool {
    // SVC, HVC and SMC differ in their two lowest bits, which must not both be clear.
    let is_call = word & 0xffe0_001c == 0xd400_0000 && word & 3 != 0;
    let is_brk = word & 0xffe0_001f == 0xd420_0000;
    let is_isb = word & 0xffff_f0ff == 0xd503_30df;
    let is_conditional = word & 0xff00_0010 == 0x5400_0000
        || word & 0x7e00_0000 == 0x3400_0000
        || word & 0x7e00_0000 == 0x3600_0000;
    word == NOP || word & B_OR_BL == B_OPCODE || is_call || is_brk || is_isb || is_conditional
}

/// The displacement in bytes from `from` to `to` that B would encode.
///
/// # Errors
/// [`EncodeError::Misaligned`] if either address is not a multiple of four,
/// [`EncodeError::OutOfRange`] if the distance is outside [`B_MIN`]..=[`B_MAX`].
pub const fn displacement(from: u64, to: u64) -> Result<i64, EncodeError> {
    if !(from | to).is_multiple_of(INSN_BYTES) {
        return Err(EncodeError::Misaligned { from, to, align: INSN_BYTES });
    }
    // Addresses wrap at 2^64, as the PC of the PE does; the difference is signed.
    let displacement = to.wrapping_sub(from).cast_signed();
    if displacement < B_MIN || displacement > B_MAX {
        return Err(EncodeError::OutOfRange { from, to, min: B_MIN, max: B_MAX });
    }
    Ok(displacement)
}

/// The word of a B at `from` that branches to `to`.
///
/// # Errors
/// As [`displacement`].
pub const fn jump(from: u64, to: u64) -> Result<u32, EncodeError> {
    relocate(B_OPCODE, from, to)
}

/// `word`, a B or BL at `from`, with the displacement of `to`: the effect of the relocations
/// R_AARCH64_JUMP26 and R_AARCH64_CALL26 (AAELF64, "Relocations for control-flow
/// instructions").
///
/// # Errors
/// As [`displacement`], and [`EncodeError::NotABranch`] for any other word.
pub const fn relocate(word: u32, from: u64, to: u64) -> Result<u32, EncodeError> {
    if word & B_OR_BL != B_OPCODE {
        return Err(EncodeError::NotABranch { from });
    }
    match displacement(from, to) {
        // The shift keeps the sign; the mask keeps the opcode intact in backward branches.
        #[allow(clippy::cast_possible_truncation, reason = "the range of imm26 is checked above")]
        Ok(bytes) => Ok((word & !IMM26) | (((bytes >> 2).cast_unsigned() as u32) & IMM26)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words as `llvm-mc -triple=aarch64 -show-encoding` prints them.
    #[test]
    fn jump_encodes_the_words_of_an_assembler() {
        for (displacement, word) in [
            (0i64, 0x1400_0000),
            (4, 0x1400_0001),
            (-4, 0x17ff_ffff),
            (-16, 0x17ff_fffc),
            (0x24, 0x1400_0009),
            (B_MAX, 0x15ff_ffff),
            (B_MIN, 0x1600_0000),
        ] {
            let from = 0xffff_8000_1001_0000u64;
            assert_eq!(
                jump(from, from.wrapping_add_signed(displacement)),
                Ok(word),
                "{displacement}"
            );
        }
    }

    /// Words as `llvm-mc -triple=aarch64 -show-encoding` prints them.
    #[test]
    fn concurrently_modifiable_instructions() {
        let may = [
            NOP,
            0x1400_0000,
            0x97ff_ffff,
            0xd420_0000,
            0xd420_8000,
            0xd400_0001,
            0xd400_0002,
            0xd400_0003,
            0xd503_3fdf,
            0x5400_0041,
            0xb400_0000,
            0x3600_0040,
        ];
        assert!(may.into_iter().all(is_concurrently_modifiable));
        let may_not = [
            0x9000_0000,
            0x9100_0400,
            0xd65f_03c0,
            0xd61f_0000,
            0xd503_3b9f,
            0xd503_203f,
            0xd440_0000,
            0xd400_0000,
            0,
        ];
        assert!(!may_not.into_iter().any(is_concurrently_modifiable));
    }

    #[test]
    fn distances_out_of_range_and_misaligned_addresses_are_refused() {
        let from = 0x4000_0000;
        for to in [from + (1 << 27), from - (1 << 27) - 4, 0, u64::MAX - 3] {
            assert!(matches!(jump(from, to), Err(EncodeError::OutOfRange { .. })), "{to:#x}");
        }
        for (from, to) in [(2, 8), (8, 9), (1, 1)] {
            assert!(matches!(jump(from, to), Err(EncodeError::Misaligned { .. })), "{from} {to}");
        }
    }

    /// Words as `llvm-mc -triple=aarch64 -show-encoding` prints them.
    #[test]
    fn only_branches_are_relocated() {
        let from = 0x1_0000;
        assert_eq!(relocate(0x1400_0000, from, from - 4), Ok(0x17ff_ffff));
        assert_eq!(relocate(0x97ff_ffff, from, from + 8), Ok(0x9400_0002), "bl, refilled");
        for word in [NOP, 0] {
            assert_eq!(relocate(word, from, from), Err(EncodeError::NotABranch { from }));
        }
    }

    proptest! {
        /// The manual's pseudocode decodes imm26 to the target.
        #[test]
        fn jump_decodes_to_its_target(from in any::<u64>(), words in -(1i64 << 25)..(1i64 << 25)) {
            let from = from & !3;
            let to = from.wrapping_add_signed(words * 4);
            let word = jump(from, to).unwrap();
            prop_assert_eq!(word >> 26, 0b000101);
            let imm26 = i64::from(word << 6).wrapping_shl(32) >> 38;
            prop_assert_eq!(from.wrapping_add_signed(imm26 * 4), to);
        }

        #[test]
        fn an_encoded_word_is_never_wrong(from in any::<u64>(), to in any::<u64>()) {
            if let Ok(word) = jump(from, to) {
                let imm26 = (i64::from(word & IMM26) << 38) >> 38;
                prop_assert_eq!(from.wrapping_add_signed(imm26 * 4), to);
            }
        }
    }
}
