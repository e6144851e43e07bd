//! A64 (arm64): the only user of yaxpeax-arm.
//!
//! A64 instructions are little-endian whatever the byte order of data is
//! (Arm ARM DDI 0487, B2.6.2), so nothing here asks for the image's order.

use super::{Architecture, SiteInsn};
use crate::addr::Svma;
use jlctl_shim::insn::{EncodeError, aarch64};
use std::fmt::Write as _;
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction, Opcode, Operand};

/// The A64 instruction set.
#[derive(Debug)]
pub(super) struct A64;

/// [`aarch64::INSN_BYTES`] as a length.
const SITE_BYTES: usize = aarch64::NOP.to_le_bytes().len();

impl Architecture for A64 {
    fn name(&self) -> &'static str {
        "arm64"
    }

    fn site_bytes(&self) -> usize {
        SITE_BYTES
    }

    fn alignment(&self) -> u64 {
        aarch64::INSN_BYTES
    }

    fn classify(&self, code: Svma, bytes: &[u8]) -> SiteInsn {
        let Some(insn) = decode(bytes) else { return SiteInsn::Other };
        match (insn.opcode, insn.operands[0]) {
            (Opcode::B, Operand::PCOffset(offset)) => {
                SiteInsn::Jmp { to: code.wrapping_offset(offset) }
            }
            // HINT covers NOP, YIELD, BTI and more: only the one word is a NOP.
            _ if word(bytes) == Some(aarch64::NOP) => SiteInsn::Nop,
            _ => SiteInsn::Other,
        }
    }

    fn disassemble(&self, code: Svma, bytes: &[u8]) -> Option<String> {
        decode(bytes).map(|insn| listing(code, &insn))
    }

    fn check_reach(&self, code: Svma, target: Svma) -> Result<(), EncodeError> {
        aarch64::displacement(code.0, target.0).map(|_| ())
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn decode(bytes: &[u8]) -> Option<Instruction> {
    let word = bytes.get(..SITE_BYTES)?;
    InstDecoder::default().decode(&mut U8Reader::new(word)).ok()
}

/// yaxpeax prints branch targets relative to the instruction (`$+0x18`); a
/// reader of a disassembly wants the address.
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
            assert_eq!(A64.classify(CODE, &bytes), insn, "{word:08x}");
            assert_eq!(A64.disassemble(CODE, &bytes).as_deref(), listing, "{word:08x}");
        }
    }

    #[test]
    fn short_reads_are_other() {
        assert_eq!(A64.classify(CODE, &[0x1f, 0x20, 0x03]), SiteInsn::Other);
        assert_eq!(A64.disassemble(CODE, &[]), None);
    }

    proptest! {
        #[test]
        fn any_word_is_classified_without_a_panic(word in any::<u32>(), code in any::<u64>()) {
            let bytes = word.to_le_bytes();
            let insn = A64.classify(Svma(code), &bytes);
            prop_assert_eq!(insn == SiteInsn::Nop, word == aarch64::NOP);
            prop_assert_eq!(matches!(insn, SiteInsn::Jmp { .. }), word >> 26 == 0b000101);
            let _ = A64.disassemble(Svma(code), &bytes);
        }

        /// What the shim encodes, the decoder reads back.
        #[test]
        fn agrees_with_the_encoder(code in any::<u64>(), words in -(1i64 << 25)..(1i64 << 25)) {
            let code = Svma(code & !3);
            let to = code.wrapping_offset(words * 4);
            let word = aarch64::jump(code.0, to.0).unwrap();
            prop_assert_eq!(A64.classify(code, &word.to_le_bytes()), SiteInsn::Jmp { to });
        }
    }
}
