//! RV64 with compressed instructions.
//!
//! The decoder here knows only the instructions that a site can hold.  A valid table needs no
//! others, and a crate that decodes all of RISC-V would serve damaged sites only. Instructions
//! are little-endian regardless of the byte order of data (RISC-V unprivileged ISA, 1.5).

use super::architecture::{
    Architecture, InitBitOnDisk, SiteDecode, SiteInsn, is_mapping_symbol_or_label,
};
use super::relocation::{Relocation, RelocationError, Row, find};
use crate::addr::Svma;
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::{EncodeError, InsnBytes, riscv64};

/// The RV64 instruction set.
#[derive(Debug)]
pub(super) struct Riscv64;

/// [`riscv64::INSN_BYTES`] as a length.
const SITE_BYTES: usize = riscv64::NOP.to_le_bytes().len();

/// R_RISCV_JAL.
const JAL: u32 = 17;

/// Relocations by number (RISC-V ELF psABI 1.0, "Relocations").
const RELOCATIONS: &[Row] = &[
    (0, "R_RISCV_NONE", Relocation::Ignore),
    (1, "R_RISCV_32", Relocation::Absolute { bytes: 4 }),
    (2, "R_RISCV_64", Relocation::Absolute { bytes: 8 }),
    (3, "R_RISCV_RELATIVE", Relocation::LoadBias { bytes: 8 }),
    (4, "R_RISCV_COPY", Relocation::Unknown),
    (5, "R_RISCV_JUMP_SLOT", Relocation::Unknown),
    (16, "R_RISCV_BRANCH", Relocation::Unknown),
    (JAL, "R_RISCV_JAL", Relocation::Insn { bytes: SITE_BYTES }),
    (18, "R_RISCV_CALL", Relocation::Unknown),
    (19, "R_RISCV_CALL_PLT", Relocation::Unknown),
    (20, "R_RISCV_GOT_HI20", Relocation::Unknown),
    (23, "R_RISCV_PCREL_HI20", Relocation::Unknown),
    (24, "R_RISCV_PCREL_LO12_I", Relocation::Unknown),
    (25, "R_RISCV_PCREL_LO12_S", Relocation::Unknown),
    (26, "R_RISCV_HI20", Relocation::Unknown),
    (27, "R_RISCV_LO12_I", Relocation::Unknown),
    (28, "R_RISCV_LO12_S", Relocation::Unknown),
    (33, "R_RISCV_ADD8", Relocation::Add { bytes: 1 }),
    (34, "R_RISCV_ADD16", Relocation::Add { bytes: 2 }),
    (35, "R_RISCV_ADD32", Relocation::Add { bytes: 4 }),
    (36, "R_RISCV_ADD64", Relocation::Add { bytes: 8 }),
    (37, "R_RISCV_SUB8", Relocation::Sub { bytes: 1 }),
    (38, "R_RISCV_SUB16", Relocation::Sub { bytes: 2 }),
    (39, "R_RISCV_SUB32", Relocation::Sub { bytes: 4 }),
    (40, "R_RISCV_SUB64", Relocation::Sub { bytes: 8 }),
    (43, "R_RISCV_ALIGN", Relocation::Ignore),
    (44, "R_RISCV_RVC_BRANCH", Relocation::Unknown),
    (45, "R_RISCV_RVC_JUMP", Relocation::Unknown),
    (51, "R_RISCV_RELAX", Relocation::Ignore),
    (52, "R_RISCV_SUB6", Relocation::Sub6),
    (53, "R_RISCV_SET6", Relocation::Set6),
    (54, "R_RISCV_SET8", Relocation::Set { bytes: 1 }),
    (55, "R_RISCV_SET16", Relocation::Set { bytes: 2 }),
    (56, "R_RISCV_SET32", Relocation::Set { bytes: 4 }),
    (57, "R_RISCV_32_PCREL", Relocation::Relative { bytes: 4 }),
    (58, "R_RISCV_IRELATIVE", Relocation::Unknown),
    (59, "R_RISCV_PLT32", Relocation::Relative { bytes: 4 }),
    (60, "R_RISCV_SET_ULEB128", Relocation::SetUleb128),
    (61, "R_RISCV_SUB_ULEB128", Relocation::SubUleb128),
];

impl Architecture for Riscv64 {
    fn name(&self) -> &'static str {
        "riscv64"
    }

    fn elf_machine(&self) -> u16 {
        243
    }

    fn max_site_bytes(&self) -> usize {
        SITE_BYTES
    }

    fn max_insn_bytes(&self) -> usize {
        SITE_BYTES
    }

    fn site_alignment(&self) -> u64 {
        riscv64::INSN_BYTES
    }

    fn target_alignment(&self) -> u64 {
        riscv64::TARGET_ALIGN
    }

    fn init_bit_on_disk(&self) -> InitBitOnDisk {
        InitBitOnDisk::NoFact
    }

    fn decode_site(&self, code: Svma, bytes: &[u8]) -> SiteDecode {
        let insn = match word(bytes) {
            Some(riscv64::NOP) => SiteInsn::Nop,
            Some(word) => match riscv64::displacement_of_jump(word) {
                Some(bytes) => SiteInsn::Jmp { to: code.wrapping_offset(bytes) },
                None => SiteInsn::Other,
            },
            None => SiteInsn::Other,
        };
        SiteDecode { insn, len: SITE_BYTES }
    }

    fn disassemble(&self, code: Svma, bytes: &[u8]) -> Option<String> {
        let word = word(bytes)?;
        let rd = word >> 7 & 0x1f;
        let jal = || code.wrapping_offset(riscv64::displacement_of_jal(word));
        Some(match (word & 0x7f, rd) {
            _ if word == riscv64::NOP => "nop".to_owned(),
            (0x6f, 0) => format!("j {}", jal()),
            (0x6f, 1) => format!("jal {}", jal()),
            (0x6f, rd) => format!("jal x{rd}, {}", jal()),
            _ => return None,
        })
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
            JumpLabelType::Nop => Ok(InsnBytes::from_word(riscv64::NOP)),
            JumpLabelType::Jmp => riscv64::jump(code.0, target.0).map(InsnBytes::from_word),
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
        let word = bytes.first_chunk_mut().filter(|_| r_type == JAL);
        let word = word.ok_or(RelocationError::NotAWord)?;
        let jump = riscv64::relocate(u32::from_le_bytes(*word), place.0, value.0);
        *word = jump.map_err(RelocationError::Branch)?.to_le_bytes();
        Ok(())
    }

    /// A mapping symbol `$x` may also be followed by the instruction set in use from there
    /// (`$xrv64i2p1_m2p0`; RISC-V ELF psABI).
    fn is_marker_symbol(&self, name: &[u8]) -> bool {
        is_mapping_symbol_or_label(name) || name.starts_with(b"$xrv")
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODE: Svma = Svma(0xffff_ffff_8000_1000);

    /// (word, classification, `llvm-mc -triple=riscv64 -mattr=+c --disassemble`
    /// with the target made absolute)
    #[test]
    fn words_and_listings() {
        let jmp = |bytes| SiteInsn::Jmp { to: CODE.wrapping_offset(bytes) };
        for (word, insn, listing) in [
            (0x0000_0013u32, SiteInsn::Nop, Some("nop")),
            (0x0040_006f, jmp(4), Some("j 0xffffffff80001004")),
            (0xffdf_f06f, jmp(-4), Some("j 0xffffffff80000ffc")),
            (0x7fff_f06f, jmp((1 << 20) - 2), Some("j 0xffffffff80100ffe")),
            (0x8000_006f, jmp(-(1 << 20)), Some("j 0xffffffff7ff01000")),
            (0x0040_00ef, SiteInsn::Other, Some("jal 0xffffffff80001004")),
            (0x0040_02ef, SiteInsn::Other, Some("jal x5, 0xffffffff80001004")),
            // li zero, 1; two of c.nop; c.j and c.nop; ebreak.
            (0x0010_0013, SiteInsn::Other, None),
            (0x0001_0001, SiteInsn::Other, None),
            (0x0001_a009, SiteInsn::Other, None),
            (0x0010_0073, SiteInsn::Other, None),
            (0x0000_0000, SiteInsn::Other, None),
        ] {
            let bytes = word.to_le_bytes();
            let decoded = SiteDecode { insn, len: 4 };
            assert_eq!(Riscv64.decode_site(CODE, &bytes), decoded, "{word:08x}");
            assert_eq!(Riscv64.disassemble(CODE, &bytes).as_deref(), listing, "{word:08x}");
        }
        let short = SiteDecode { insn: SiteInsn::Other, len: 4 };
        assert_eq!(Riscv64.decode_site(CODE, &[0x13, 0, 0]), short);
    }

    #[test]
    fn sites_are_encoded_in_the_range_that_the_kernel_patches() {
        let jump =
            |to: i64, len| Riscv64.encode(JumpLabelType::Jmp, CODE, CODE.wrapping_offset(to), len);
        assert_eq!(jump(2, 4).unwrap().as_slice(), 0x0020_006fu32.to_le_bytes());
        assert!(matches!(jump(1 << 19, 4), Err(EncodeError::OutOfRange { .. })));
        assert!(matches!(jump(0, 2), Err(EncodeError::Length { len: 2, .. })));
        let nop = Riscv64.encode(JumpLabelType::Nop, CODE, Svma(1), 4).unwrap();
        assert_eq!(nop.as_slice(), [0x13, 0, 0, 0]);
    }

    #[test]
    fn branches_are_relocated() {
        let mut jal = [0x6f, 0, 0, 0, 0xaa];
        let to = CODE.wrapping_offset(-4);
        assert_eq!(Riscv64.relocate_insn(JAL, CODE, to, &mut jal), Ok(()));
        assert_eq!(jal, [0x6f, 0xf0, 0xdf, 0xff, 0xaa]);
        let refused = Err(RelocationError::NotAWord);
        assert_eq!(Riscv64.relocate_insn(18, CODE, to, &mut jal), refused);
        assert_eq!(Riscv64.relocate_insn(JAL, CODE, to, &mut jal[..3]), refused);
        let refused = Err(RelocationError::Branch(EncodeError::NotABranch { from: CODE.0 }));
        assert_eq!(Riscv64.relocate_insn(JAL, CODE, to, &mut [0x13, 0, 0, 0]), refused);
    }

    #[test]
    fn relocations_are_those_of_the_psabi() {
        for (number, name, relocation) in [
            (2, "R_RISCV_64", Relocation::Absolute { bytes: 8 }),
            (3, "R_RISCV_RELATIVE", Relocation::LoadBias { bytes: 8 }),
            (35, "R_RISCV_ADD32", Relocation::Add { bytes: 4 }),
            (40, "R_RISCV_SUB64", Relocation::Sub { bytes: 8 }),
            (51, "R_RISCV_RELAX", Relocation::Ignore),
            (57, "R_RISCV_32_PCREL", Relocation::Relative { bytes: 4 }),
        ] {
            assert_eq!(Riscv64.relocation_name(number), Some(name));
            assert_eq!(Riscv64.relocation(number), relocation);
        }
        assert_eq!(Riscv64.relocation(1027), Relocation::Unknown);
    }

    #[test]
    fn marker_symbols() {
        for (name, is_marker) in [
            ("$x", true),
            ("$d", true),
            ("$xrv64i2p1_m2p0_a2p1_c2p0_zicsr2p0", true),
            ("$x.bar", true),
            (".L0 ", true),
            (".LBB3_2", true),
            (".LN12", true),
            ("$xyz", false),
            ("_start", false),
            ("L0", false),
        ] {
            assert_eq!(Riscv64.is_marker_symbol(name.as_bytes()), is_marker, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_classified(word in any::<u32>(), code in any::<u64>()) {
            let bytes = word.to_le_bytes();
            let insn = Riscv64.decode_site(Svma(code), &bytes).insn;
            prop_assert_eq!(insn == SiteInsn::Nop, word == riscv64::NOP);
            prop_assert_eq!(matches!(insn, SiteInsn::Jmp { .. }), word & 0xfff == 0x6f);
            let _ = Riscv64.disassemble(Svma(code), &bytes);
        }

        /// The decoder reads back what the shim encodes.
        #[test]
        fn agrees_with_the_encoder(code in any::<u64>(), halves in -(1i64 << 18)..(1i64 << 18)) {
            let code = Svma(code & !3);
            let to = code.wrapping_offset(halves * 2);
            let made = Riscv64.encode(JumpLabelType::Jmp, code, to, 4).unwrap();
            let insn = Riscv64.decode_site(code, made.as_slice()).insn;
            prop_assert_eq!(insn, SiteInsn::Jmp { to });
        }
    }
}
