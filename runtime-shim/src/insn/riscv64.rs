//! RV64: NOP and JAL with x0, both of four bytes.  RISC-V unprivileged ISA, 2.5
//! ("Unconditional Jumps") and 2.4 ("NOP Instruction").
//!
//! Linux 6.12 `arch/riscv/include/asm/jump_label.h` aligns sites to four bytes and keeps them
//! uncompressed.  Targets are aligned to two bytes, since they may be compressed code.

use super::encoding::EncodeError;

/// Bytes of a site.
pub const INSN_BYTES: u64 = 4;
/// Alignment of the target of a jump, in bytes.
pub const TARGET_ALIGN: u64 = 2;

/// The word of NOP: `addi x0, x0, 0`.
pub const NOP: u32 = 0x0000_0013;

/// Lowest displacement of JAL, in bytes (−1 MiB).
pub const JAL_MIN: i64 = -(1 << 20);
/// Highest displacement of JAL, in bytes (1 MiB − 2).
pub const JAL_MAX: i64 = (1 << 20) - 2;

/// Lowest displacement of a site, in bytes: half of the range of JAL.  Beyond it Linux 6.12
/// `arch/riscv/kernel/jump_label.c` warns and leaves the site as it is, so that code and key
/// disagree from then on.
pub const SITE_MIN: i64 = -(1 << 19);
/// Highest displacement of a site, in bytes; see [`SITE_MIN`].
pub const SITE_MAX: i64 = (1 << 19) - 2;

const JAL_OPCODE: u32 = 0x6f;
const OPCODE: u32 = 0x7f;
/// Opcode and destination register of a J-type word.
const OPCODE_AND_RD: u32 = 0xfff;

/// The word of the jump of a site at `from` to `to`: JAL x0.
///
/// # Errors
/// [`EncodeError::MisalignedSite`] if `from` is not a multiple of four,
/// [`EncodeError::Misaligned`] if `to` is not a multiple of two,
/// [`EncodeError::OutOfRange`] if the distance is outside [`SITE_MIN`]..=[`SITE_MAX`].
pub const fn jump(from: u64, to: u64) -> Result<u32, EncodeError> {
    if !from.is_multiple_of(INSN_BYTES) {
        return Err(EncodeError::MisalignedSite { from, align: INSN_BYTES });
    }
    fill(JAL_OPCODE, from, to, SITE_MIN, SITE_MAX)
}

/// `word`, a JAL at `from`, with the displacement of `to`: the effect of the relocation
/// R_RISCV_JAL (RISC-V ELF psABI, "Relocations").  It has the whole range of the instruction.
///
/// # Errors
/// [`EncodeError::NotABranch`] if `word` is not a JAL, [`EncodeError::Misaligned`] if an address
/// is odd, [`EncodeError::OutOfRange`] if the distance is outside [`JAL_MIN`]..=[`JAL_MAX`].
pub const fn relocate(word: u32, from: u64, to: u64) -> Result<u32, EncodeError> {
    if word & OPCODE != JAL_OPCODE {
        return Err(EncodeError::NotABranch { from });
    }
    fill(word, from, to, JAL_MIN, JAL_MAX)
}

const fn fill(word: u32, from: u64, to: u64, min: i64, max: i64) -> Result<u32, EncodeError> {
    if !(from | to).is_multiple_of(TARGET_ALIGN) {
        return Err(EncodeError::Misaligned { from, to, align: TARGET_ALIGN });
    }
    // Addresses wrap at 2^64, as the pc of the hart does; the difference is signed.
    let displacement = to.wrapping_sub(from).cast_signed();
    if displacement < min || displacement > max {
        return Err(EncodeError::OutOfRange { from, to, min, max });
    }
    Ok((word & OPCODE_AND_RD) | scramble(displacement))
}

/// The J-type immediate, imm\[20|10:1|11|19:12\] from bit 31 down.
const fn scramble(displacement: i64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "bits 20 to 1 are extracted below")]
    let imm = displacement.cast_unsigned() as u32;
    ((imm >> 20 & 0x1) << 31)
        | ((imm >> 1 & 0x3ff) << 21)
        | ((imm >> 11 & 0x1) << 20)
        | ((imm >> 12 & 0xff) << 12)
}

/// The displacement in bytes of `word`, if it is JAL with x0 (the pseudoinstruction `j`).
#[must_use]
pub const fn displacement_of_jump(word: u32) -> Option<i64> {
    if word & OPCODE_AND_RD == JAL_OPCODE { Some(displacement_of_jal(word)) } else { None }
}

/// The displacement in bytes that the J-type immediate of `word` holds.
#[must_use]
pub const fn displacement_of_jal(word: u32) -> i64 {
    // An arithmetic shift copies the sign, bit 31, into bits 63 to 20.
    let sign = ((word.cast_signed() as i64) >> 31) << 20;
    let middle = (word >> 12 & 0xff) << 12 | (word >> 20 & 0x1) << 11 | (word >> 21 & 0x3ff) << 1;
    sign | middle as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FROM: u64 = 0xffff_ffff_8000_1000;

    /// Words as `llvm-mc -triple=riscv64 -show-encoding` prints them for `j N`.
    #[test]
    fn jump_encodes_the_words_of_an_assembler() {
        for (displacement, word) in [
            (0i64, 0x0000_006fu32),
            (2, 0x0020_006f),
            (4, 0x0040_006f),
            (-4, 0xffdf_f06f),
            (0x800, 0x0010_006f),
            (-0x802, 0xffef_f06f),
            (524_286, 0x7ff7_f06f),
            (-524_288, 0x8008_006f),
        ] {
            let to = FROM.wrapping_add_signed(displacement);
            assert_eq!(jump(FROM, to), Ok(word), "{displacement}");
            assert_eq!(displacement_of_jump(word), Some(displacement));
        }
        for (displacement, word) in [(JAL_MAX, 0x7fff_f06f), (JAL_MIN, 0x8000_006f)] {
            let to = FROM.wrapping_add_signed(displacement);
            assert_eq!(relocate(JAL_OPCODE, FROM, to), Ok(word), "{displacement}");
        }
        assert_eq!(relocate(0xffff_f0ef, FROM, FROM + 4), Ok(0x0040_00ef), "jal ra, refilled");
    }

    #[test]
    fn distances_out_of_range_and_misaligned_addresses_are_refused() {
        for displacement in [SITE_MAX + 2, SITE_MIN - 2, JAL_MAX, 1 << 40] {
            let to = FROM.wrapping_add_signed(displacement);
            let refused = EncodeError::OutOfRange { from: FROM, to, min: -524_288, max: 524_286 };
            assert_eq!(jump(FROM, to), Err(refused), "{displacement}");
        }
        let beyond = relocate(JAL_OPCODE, FROM, FROM + (1 << 20));
        assert!(matches!(beyond, Err(EncodeError::OutOfRange { .. })));
        let site = Err(EncodeError::MisalignedSite { from: FROM + 2, align: 4 });
        assert_eq!(jump(FROM + 2, FROM), site);
        assert!(matches!(jump(FROM, FROM + 1), Err(EncodeError::Misaligned { align: 2, .. })));
        assert_eq!(relocate(NOP, FROM, FROM), Err(EncodeError::NotABranch { from: FROM }));
        assert_eq!(displacement_of_jump(0x0040_00ef), None, "it links");
    }

    /// Decodes the immediate bit by bit, from the figure in the manual.
    fn by_the_figure(word: u32) -> i64 {
        let order = [20, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 19, 18, 17, 16, 15, 14, 13, 12];
        let value: i64 = (0u32..)
            .zip(order)
            .map(|(from_top, bit)| i64::from(word >> (31 - from_top) & 1) << bit)
            .sum();
        if value >= 1 << 20 { value - (1 << 21) } else { value }
    }

    proptest! {
        #[test]
        fn jump_decodes_to_its_target(from in any::<u64>(), halves in -(1i64 << 18)..(1i64 << 18)) {
            let from = from & !3;
            let to = from.wrapping_add_signed(halves * 2);
            let word = jump(from, to).unwrap();
            prop_assert_eq!(word & 0xfff, 0x6f);
            prop_assert_eq!(by_the_figure(word), halves * 2);
        }

        #[test]
        fn any_word_decodes_as_in_the_figure(word in any::<u32>()) {
            prop_assert_eq!(displacement_of_jal(word), by_the_figure(word));
        }

        #[test]
        fn an_encoded_word_is_never_wrong(word in any::<u32>(), from in any::<u64>(), to in any::<u64>()) {
            if let Ok(filled) = relocate(word & !0x7f | 0x6f, from, to) {
                prop_assert_eq!(from.wrapping_add_signed(by_the_figure(filled)), to);
                prop_assert_eq!(filled & 0xf80, word & 0xf80, "the register stays");
            }
        }
    }
}
