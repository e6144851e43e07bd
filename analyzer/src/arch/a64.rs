//! A64 (arm64), decoded by yaxpeax-arm. [`crate::semantics`] states what an instruction does.
//!
//! A64 instructions are little-endian regardless of the byte order of data (Arm ARM DDI 0487,
//! B2.6.2), so this file never needs the image's byte order.

use super::a64_immediate::{self, CALL26, JUMP26};
use super::architecture::{
    Architecture, InitBitOnDisk, SiteDecode, SiteInsn, is_mapping_symbol_or_label,
};
use super::relocation::{InsnValue, Relocation, RelocationError, Row, find};
use crate::addr::Svma;
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::{EncodeError, InsnBytes, aarch64};
use std::fmt::Write as _;
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction, Opcode, Operand};

/// The A64 instruction set.
#[derive(Debug)]
pub(super) struct A64;

/// [`aarch64::INSN_BYTES`] as a length.
const SITE_BYTES: usize = aarch64::NOP.to_le_bytes().len();

/// An instruction whose immediate holds the value.
const INSN: Relocation = Relocation::Insn { bytes: SITE_BYTES };

/// Relocations by number (AAELF64 2024Q3, 5.7). Those of the GOT and of thread-local variables
/// fill immediates with what only a linker knows.
const RELOCATIONS: &[Row] = &[
    (0, "R_AARCH64_NONE", Relocation::Ignore),
    // An older number for NONE.
    (256, "R_AARCH64_NONE", Relocation::Ignore),
    (257, "R_AARCH64_ABS64", Relocation::Absolute { bytes: 8 }),
    (258, "R_AARCH64_ABS32", Relocation::Absolute { bytes: 4 }),
    (259, "R_AARCH64_ABS16", Relocation::Absolute { bytes: 2 }),
    (260, "R_AARCH64_PREL64", Relocation::Relative { bytes: 8 }),
    (261, "R_AARCH64_PREL32", Relocation::Relative { bytes: 4 }),
    (262, "R_AARCH64_PREL16", Relocation::Relative { bytes: 2 }),
    (263, "R_AARCH64_MOVW_UABS_G0", INSN),
    (264, "R_AARCH64_MOVW_UABS_G0_NC", INSN),
    (265, "R_AARCH64_MOVW_UABS_G1", INSN),
    (266, "R_AARCH64_MOVW_UABS_G1_NC", INSN),
    (267, "R_AARCH64_MOVW_UABS_G2", INSN),
    (268, "R_AARCH64_MOVW_UABS_G2_NC", INSN),
    (269, "R_AARCH64_MOVW_UABS_G3", INSN),
    (270, "R_AARCH64_MOVW_SABS_G0", INSN),
    (271, "R_AARCH64_MOVW_SABS_G1", INSN),
    (272, "R_AARCH64_MOVW_SABS_G2", INSN),
    (273, "R_AARCH64_LD_PREL_LO19", INSN),
    (274, "R_AARCH64_ADR_PREL_LO21", INSN),
    (275, "R_AARCH64_ADR_PREL_PG_HI21", INSN),
    (276, "R_AARCH64_ADR_PREL_PG_HI21_NC", INSN),
    (277, "R_AARCH64_ADD_ABS_LO12_NC", INSN),
    (278, "R_AARCH64_LDST8_ABS_LO12_NC", INSN),
    (279, "R_AARCH64_TSTBR14", INSN),
    (280, "R_AARCH64_CONDBR19", INSN),
    (JUMP26, "R_AARCH64_JUMP26", INSN),
    (CALL26, "R_AARCH64_CALL26", INSN),
    (284, "R_AARCH64_LDST16_ABS_LO12_NC", INSN),
    (285, "R_AARCH64_LDST32_ABS_LO12_NC", INSN),
    (286, "R_AARCH64_LDST64_ABS_LO12_NC", INSN),
    (287, "R_AARCH64_MOVW_PREL_G0", INSN),
    (288, "R_AARCH64_MOVW_PREL_G0_NC", INSN),
    (289, "R_AARCH64_MOVW_PREL_G1", INSN),
    (290, "R_AARCH64_MOVW_PREL_G1_NC", INSN),
    (291, "R_AARCH64_MOVW_PREL_G2", INSN),
    (292, "R_AARCH64_MOVW_PREL_G2_NC", INSN),
    (293, "R_AARCH64_MOVW_PREL_G3", INSN),
    (299, "R_AARCH64_LDST128_ABS_LO12_NC", INSN),
    (309, "R_AARCH64_GOT_LD_PREL19", Relocation::Unknown),
    (310, "R_AARCH64_LD64_GOTOFF_LO15", Relocation::Unknown),
    (311, "R_AARCH64_ADR_GOT_PAGE", Relocation::Unknown),
    (312, "R_AARCH64_LD64_GOT_LO12_NC", Relocation::Unknown),
    (313, "R_AARCH64_LD64_GOTPAGE_LO15", Relocation::Unknown),
    (314, "R_AARCH64_PLT32", Relocation::Relative { bytes: 4 }),
    (1024, "R_AARCH64_COPY", Relocation::Unknown),
    (1025, "R_AARCH64_GLOB_DAT", Relocation::Unknown),
    (1026, "R_AARCH64_JUMP_SLOT", Relocation::Unknown),
    (1027, "R_AARCH64_RELATIVE", Relocation::LoadBias { bytes: 8 }),
    (1032, "R_AARCH64_IRELATIVE", Relocation::Unknown),
];

impl Architecture for A64 {
    fn name(&self) -> &'static str {
        "arm64"
    }

    fn elf_machine(&self) -> u16 {
        183
    }

    fn max_site_bytes(&self) -> usize {
        SITE_BYTES
    }

    fn max_insn_bytes(&self) -> usize {
        SITE_BYTES
    }

    fn site_alignment(&self) -> u64 {
        aarch64::INSN_BYTES
    }

    fn target_alignment(&self) -> u64 {
        aarch64::INSN_BYTES
    }

    fn init_bit_on_disk(&self) -> InitBitOnDisk {
        InitBitOnDisk::NoFact
    }

    fn decode_site(&self, code: Svma, bytes: &[u8]) -> SiteDecode {
        SiteDecode { insn: classify(code, bytes), len: SITE_BYTES }
    }

    fn disassemble(&self, code: Svma, bytes: &[u8]) -> Option<String> {
        decode(bytes).map(|insn| listing(code, &insn))
    }

    fn is_known(&self, bytes: &[u8]) -> bool {
        decode(bytes).is_some()
    }

    fn encode(
        &self,
        insn: JumpLabelType,
        code: Svma,
        target: Svma,
        len: usize,
    ) -> Result<InsnBytes, EncodeError> {
        if len != SITE_BYTES {
            return Err(EncodeError::Length { from: code.0, len });
        }
        match insn {
            JumpLabelType::Nop => Ok(InsnBytes::from_word(aarch64::NOP)),
            JumpLabelType::Jmp => aarch64::jump(code.0, target.0).map(InsnBytes::from_word),
        }
    }

    fn relocation(&self, r_type: u32) -> Relocation {
        find(RELOCATIONS, r_type).map_or(Relocation::Unknown, |(.., relocation)| *relocation)
    }

    fn relocation_name(&self, r_type: u32) -> Option<&'static str> {
        find(RELOCATIONS, r_type).map(|(_, name, _)| *name)
    }

    fn relocate_insn(
        &self,
        r_type: u32,
        place: Svma,
        value: Svma,
        bytes: &mut [u8],
    ) -> Result<(), RelocationError> {
        let word = bytes.first_chunk_mut().ok_or(RelocationError::NotAWord)?;
        *word =
            a64_immediate::relocate(r_type, place, value, u32::from_le_bytes(*word))?.to_le_bytes();
        Ok(())
    }

    fn value_beyond(&self, r_type: u32, value: Svma) -> InsnValue {
        a64_immediate::value_beyond(r_type, value)
    }

    fn is_marker_symbol(&self, name: &[u8]) -> bool {
        is_mapping_symbol_or_label(name)
    }
}

fn classify(code: Svma, bytes: &[u8]) -> SiteInsn {
    let Some(insn) = decode(bytes) else { return SiteInsn::Other };
    match (insn.opcode, insn.operands[0]) {
        (Opcode::B, Operand::PCOffset(offset)) => {
            SiteInsn::Jmp { to: code.wrapping_offset(offset) }
        }
        // HINT also encodes YIELD, BTI and others; only this one word is the NOP.
        _ if word(bytes) == Some(aarch64::NOP) => SiteInsn::Nop,
        _ => SiteInsn::Other,
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn decode(bytes: &[u8]) -> Option<Instruction> {
    let word = bytes.get(..SITE_BYTES)?;
    InstDecoder::default().decode(&mut U8Reader::new(word)).ok()
}

/// Disassembly with an absolute branch target: yaxpeax prints targets relative to the
/// instruction (`$+0x18`).
fn listing(code: Svma, insn: &Instruction) -> String {
    let text = insn.to_string();
    let Some(offset) = insn.operands.iter().find_map(|operand| match operand {
        Operand::PCOffset(offset) => Some(*offset),
        _ => None,
    }) else {
        return text;
    };
    let Some(at) = text.find('$') else { return text };
    let base = if insn.opcode == Opcode::ADRP { Svma(code.0 & !0xfff) } else { code };
    let rest =
        text[at + 1..].trim_start_matches(|c: char| "+-x".contains(c) || c.is_ascii_hexdigit());
    let mut absolute = text[..at].to_owned();
    // Writing to a String cannot fail.
    let _ = write!(absolute, "{}{rest}", base.wrapping_offset(offset));
    absolute
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODE: Svma = Svma(0xffff_8000_1001_0000);

    /// (word, classification, `llvm-mc --disassemble` with the target made absolute)
    #[test]
    fn words_and_listings() {
        let jmp = |bytes| SiteInsn::Jmp { to: CODE.wrapping_offset(bytes) };
        for (word, insn, listing) in [
            (0xd503_201fu32, SiteInsn::Nop, Some("nop")),
            (0xd503_203f, SiteInsn::Other, Some("yield")),
            (0x1400_0009, jmp(0x24), Some("b 0xffff800010010024")),
            (0x17ff_fffc, jmp(-16), Some("b 0xffff80001000fff0")),
            (0x1600_0000, jmp(-(1 << 27)), Some("b 0xffff800008010000")),
            (0x9400_0001, SiteInsn::Other, Some("bl 0xffff800010010004")),
            (0x5400_0040, SiteInsn::Other, Some("b.eq 0xffff800010010008")),
            (0xb400_0060, SiteInsn::Other, Some("cbz x0, 0xffff80001001000c")),
            (0xd65f_03c0, SiteInsn::Other, Some("ret")),
            (0x0000_0000, SiteInsn::Other, Some("udf #0x0")),
            (0xffff_ffff, SiteInsn::Other, None),
        ] {
            let bytes = word.to_le_bytes();
            assert_eq!(A64.decode_site(CODE, &bytes), SiteDecode { insn, len: 4 }, "{word:08x}");
            assert_eq!(A64.disassemble(CODE, &bytes).as_deref(), listing, "{word:08x}");
        }
    }

    #[test]
    fn truncated_instructions_are_other() {
        let other = SiteDecode { insn: SiteInsn::Other, len: 4 };
        assert_eq!(A64.decode_site(CODE, &[0x1f, 0x20, 0x03]), other);
        assert_eq!(A64.disassemble(CODE, &[]), None);
    }

    #[test]
    fn sites_have_four_bytes() {
        let nop = A64.encode(JumpLabelType::Nop, CODE, Svma(1), 4).unwrap();
        assert_eq!(nop.as_slice(), 0xd503_201fu32.to_le_bytes());
        let refused = A64.encode(JumpLabelType::Nop, CODE, CODE, 5);
        assert_eq!(refused, Err(EncodeError::Length { from: CODE.0, len: 5 }));
    }

    #[test]
    fn branches_are_relocated() {
        let mut bl = 0x9400_0000u32.to_le_bytes();
        let to = CODE.wrapping_offset(-4);
        assert_eq!(A64.relocate_insn(CALL26, CODE, to, &mut bl), Ok(()));
        assert_eq!(u32::from_le_bytes(bl), 0x97ff_ffff);
        let refused = Err(RelocationError::NotAWord);
        assert_eq!(A64.relocate_insn(261, CODE, to, &mut bl), refused);
        assert_eq!(A64.relocate_insn(CALL26, CODE, to, &mut bl[..3]), refused);
    }

    #[test]
    fn relocations_are_those_of_the_psabi() {
        for (number, name, relocation) in [
            (257, "R_AARCH64_ABS64", Relocation::Absolute { bytes: 8 }),
            (261, "R_AARCH64_PREL32", Relocation::Relative { bytes: 4 }),
            (282, "R_AARCH64_JUMP26", Relocation::Insn { bytes: 4 }),
            (1027, "R_AARCH64_RELATIVE", Relocation::LoadBias { bytes: 8 }),
        ] {
            assert_eq!(A64.relocation_name(number), Some(name));
            assert_eq!(A64.relocation(number), relocation);
        }
        assert_eq!(A64.relocation(1026), Relocation::Unknown);
    }

    #[test]
    fn marker_symbols() {
        for (name, is_marker) in [
            ("", true),
            ("$x", true),
            ("$d", true),
            ("$x.12", true),
            (".L1", true),
            ("$xylophone", false),
            ("x", false),
        ] {
            assert_eq!(A64.is_marker_symbol(name.as_bytes()), is_marker, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_classified_without_a_panic(word in any::<u32>(), code in any::<u64>()) {
            let bytes = word.to_le_bytes();
            let insn = A64.decode_site(Svma(code), &bytes).insn;
            prop_assert_eq!(insn == SiteInsn::Nop, word == aarch64::NOP);
            prop_assert_eq!(matches!(insn, SiteInsn::Jmp { .. }), word >> 26 == 0b000101);
            let _ = A64.disassemble(Svma(code), &bytes);
        }

        /// The decoder reads back what the shim encodes.
        #[test]
        fn agrees_with_the_encoder(code in any::<u64>(), words in -(1i64 << 25)..(1i64 << 25)) {
            let code = Svma(code & !3);
            let to = code.wrapping_offset(words * 4);
            let made = A64.encode(JumpLabelType::Jmp, code, to, 4).unwrap();
            let insn = A64.decode_site(code, made.as_slice()).insn;
            prop_assert_eq!(insn, SiteInsn::Jmp { to });
        }
    }
}
