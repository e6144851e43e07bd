//! x86-64, decoded by yaxpeax-x86, which no other file uses.

use super::architecture::{Architecture, InitBitOnDisk, SiteDecode, SiteInsn};
use super::relocation::{Relocation, RelocationError, Row, find};
use crate::addr::Svma;
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::x86_64::{self, JMP_REL8, JMP_REL32, LONG_BYTES, NOP2, NOP5, SHORT_BYTES};
use jlctl_shim::insn::{EncodeError, InsnBytes};
use yaxpeax_arch::LengthedInstruction;
use yaxpeax_x86::long_mode::{AbsoluteAddressFormatter, InstDecoder, Instruction};

/// The x86-64 instruction set.
#[derive(Debug)]
pub(super) struct X86_64;

/// The longest instruction (Intel SDM volume 2, 2.3.11).
const MAX_INSN_BYTES: usize = 15;

/// Relocations by number (x86-64 psABI 1.0, "Relocation Types").
const RELOCATIONS: &[Row] = &[
    (0, "R_X86_64_NONE", Relocation::Ignore),
    (1, "R_X86_64_64", Relocation::Absolute { bytes: 8 }),
    (2, "R_X86_64_PC32", Relocation::Relative { bytes: 4 }),
    (3, "R_X86_64_GOT32", Relocation::Unknown),
    // A call or jump through the PLT.  A symbol that is resolved directly needs no PLT entry
    // (Linux 6.12 arch/x86/kernel/module.c).
    (4, "R_X86_64_PLT32", Relocation::Relative { bytes: 4 }),
    (5, "R_X86_64_COPY", Relocation::Unknown),
    (6, "R_X86_64_GLOB_DAT", Relocation::Unknown),
    (7, "R_X86_64_JUMP_SLOT", Relocation::Unknown),
    (8, "R_X86_64_RELATIVE", Relocation::LoadBias { bytes: 8 }),
    (9, "R_X86_64_GOTPCREL", Relocation::Unknown),
    (10, "R_X86_64_32", Relocation::Absolute { bytes: 4 }),
    (11, "R_X86_64_32S", Relocation::Absolute { bytes: 4 }),
    (12, "R_X86_64_16", Relocation::Absolute { bytes: 2 }),
    (13, "R_X86_64_PC16", Relocation::Relative { bytes: 2 }),
    (14, "R_X86_64_8", Relocation::Absolute { bytes: 1 }),
    (15, "R_X86_64_PC8", Relocation::Relative { bytes: 1 }),
    (24, "R_X86_64_PC64", Relocation::Relative { bytes: 8 }),
    (37, "R_X86_64_IRELATIVE", Relocation::Unknown),
    (41, "R_X86_64_GOTPCRELX", Relocation::Unknown),
    (42, "R_X86_64_REX_GOTPCRELX", Relocation::Unknown),
];

impl Architecture for X86_64 {
    fn name(&self) -> &'static str {
        "x86_64"
    }

    fn elf_machine(&self) -> u16 {
        62
    }

    fn max_site_bytes(&self) -> usize {
        LONG_BYTES
    }

    fn max_insn_bytes(&self) -> usize {
        MAX_INSN_BYTES
    }

    fn site_alignment(&self) -> u64 {
        1
    }

    fn target_alignment(&self) -> u64 {
        1
    }

    fn init_bit_on_disk(&self) -> InitBitOnDisk {
        InitBitOnDisk::NopByObjtool
    }

    fn decode_site(&self, code: Svma, bytes: &[u8]) -> SiteDecode {
        let jmp = |len: usize, rel: i64| {
            let to = code.wrapping_add(len as u64).wrapping_offset(rel);
            SiteDecode { insn: SiteInsn::Jmp { to }, len }
        };
        match bytes {
            [JMP_REL8, rel, ..] => jmp(SHORT_BYTES, rel.cast_signed().into()),
            [JMP_REL32, a, b, c, d, ..] => {
                jmp(LONG_BYTES, i32::from_le_bytes([*a, *b, *c, *d]).into())
            }
            // x86 has NOPs of every length; the kernel patches only these two.
            _ if bytes.starts_with(&NOP2) => SiteDecode { insn: SiteInsn::Nop, len: SHORT_BYTES },
            _ if bytes.starts_with(&NOP5) => SiteDecode { insn: SiteInsn::Nop, len: LONG_BYTES },
            _ => {
                let len = decode(bytes).map_or(0, |insn| insn.len().to_const());
                SiteDecode { insn: SiteInsn::Other, len: usize::try_from(len).unwrap_or(0) }
            }
        }
    }

    fn disassemble(&self, code: Svma, bytes: &[u8]) -> Option<String> {
        let insn = decode(bytes)?;
        Some(AbsoluteAddressFormatter::new(code.0).display(&insn).to_string())
    }

    fn encode(
        &self,
        insn: JumpLabelType,
        code: Svma,
        target: Svma,
        len: usize,
    ) -> Result<InsnBytes, EncodeError> {
        match insn {
            JumpLabelType::Nop => x86_64::nop(code.0, len),
            JumpLabelType::Jmp => x86_64::jump(code.0, target.0, len),
        }
    }

    fn relocation(&self, r_type: u32) -> Relocation {
        find(RELOCATIONS, r_type).map_or(Relocation::Unknown, |(.., relocation)| *relocation)
    }

    fn relocation_name(&self, r_type: u32) -> Option<&'static str> {
        find(RELOCATIONS, r_type).map(|(_, name, _)| *name)
    }

    /// Displacements of x86 branches are words of their own, filled by
    /// [`Relocation::Relative`]; so no type is a [`Relocation::Insn`].
    fn relocate_insn(
        &self,
        _r_type: u32,
        _place: Svma,
        _value: Svma,
        _bytes: &mut [u8],
    ) -> Result<(), RelocationError> {
        Err(RelocationError::NotAWord)
    }

    /// The psABI has no mapping symbols, and names may start with `$`.
    fn is_marker_symbol(&self, name: &[u8]) -> bool {
        matches!(name, [] | [b'.', b'L', ..])
    }
}

fn decode(bytes: &[u8]) -> Option<Instruction> {
    InstDecoder::default().decode_slice(&bytes[..bytes.len().min(MAX_INSN_BYTES)]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODE: Svma = Svma(0xffff_ffff_8100_0000);
    const OTHER: SiteInsn = SiteInsn::Other;

    fn jmp(bytes: i64) -> SiteInsn {
        SiteInsn::Jmp { to: CODE.wrapping_offset(bytes) }
    }

    /// (bytes, classification, length, listing); lengths and mnemonics are those
    /// of `llvm-mc -triple=x86_64 -disassemble`.
    #[test]
    fn bytes_and_listings() {
        let rows: &[(&[u8], SiteInsn, usize, Option<&str>)] = &[
            (&[0x66, 0x90], SiteInsn::Nop, 2, Some("nop")),
            (&[0x0f, 0x1f, 0x44, 0, 0], SiteInsn::Nop, 5, Some("nop dword [rax + rax * 1]")),
            (&[0xeb, 0x10], jmp(0x12), 2, Some("jmp 0xffffffff81000012")),
            (&[0xeb, 0x80], jmp(-126), 2, Some("jmp 0xffffffff80ffff82")),
            (&[0xe9, 0, 1, 0, 0], jmp(0x105), 5, Some("jmp 0xffffffff81000105")),
            (&[0xe9, 0xfb, 0xff, 0xff, 0xff], jmp(0), 5, Some("jmp 0xffffffff81000000")),
            (&[0x90], OTHER, 1, Some("nop")),
            (&[0x0f, 0x1f, 0x00], OTHER, 3, Some("nop dword [rax]")),
            (&[0x0f, 0x1f, 0x40, 0x00], OTHER, 4, Some("nop dword [rax]")),
            (&[0x66, 0x0f, 0x1f, 0x44, 0, 0], OTHER, 6, Some("nop word [rax + rax * 1]")),
            (&[0x3e, 0x8d, 0x74, 0x26, 0], OTHER, 5, Some("lea esi, dword [rsi]")),
            (&[0xe8, 1, 0, 0, 0], OTHER, 5, Some("call 0xffffffff81000006")),
            (&[0x74, 2], OTHER, 2, Some("jz 0xffffffff81000004")),
            (&[0xcc], OTHER, 1, Some("int 0x3")),
            (&[0xff, 0xe0], OTHER, 2, Some("jmp rax")),
            (
                &[0x48, 0x8d, 0x05, 0x10, 0, 0, 0],
                OTHER,
                7,
                Some("lea rax, qword [0xffffffff81000017]"),
            ),
            // Truncated, and not an instruction in 64-bit mode.
            (&[0xe9, 0, 0, 0], OTHER, 0, None),
            (&[0xeb], OTHER, 0, None),
            (&[0x06], OTHER, 0, None),
            (&[], OTHER, 0, None),
        ];
        for (bytes, insn, len, listing) in rows {
            let decoded = SiteDecode { insn: *insn, len: *len };
            assert_eq!(X86_64.decode_site(CODE, bytes), decoded, "{bytes:02x?}");
            assert_eq!(X86_64.disassemble(CODE, bytes).as_deref(), *listing, "{bytes:02x?}");
        }
    }

    #[test]
    fn encodes_both_lengths() {
        let target = Svma(CODE.0 + 0x40);
        for (insn, len, bytes) in [
            (JumpLabelType::Nop, 2, &[0x66, 0x90][..]),
            (JumpLabelType::Nop, 5, &[0x0f, 0x1f, 0x44, 0, 0]),
            (JumpLabelType::Jmp, 2, &[0xeb, 0x3e]),
            (JumpLabelType::Jmp, 5, &[0xe9, 0x3b, 0, 0, 0]),
        ] {
            assert_eq!(X86_64.encode(insn, CODE, target, len).unwrap().as_slice(), bytes);
        }
        assert!(X86_64.check_reach(CODE, Svma(CODE.0 + 0x100), 5).is_ok());
        let short = X86_64.check_reach(CODE, Svma(CODE.0 + 0x100), 2);
        assert!(matches!(short, Err(EncodeError::OutOfRange { min: -126, max: 129, .. })));
    }

    #[test]
    fn relocations_are_those_of_the_psabi() {
        for (number, name, relocation) in [
            (1, "R_X86_64_64", Relocation::Absolute { bytes: 8 }),
            (2, "R_X86_64_PC32", Relocation::Relative { bytes: 4 }),
            (8, "R_X86_64_RELATIVE", Relocation::LoadBias { bytes: 8 }),
            (24, "R_X86_64_PC64", Relocation::Relative { bytes: 8 }),
        ] {
            assert_eq!(X86_64.relocation_name(number), Some(name));
            assert_eq!(X86_64.relocation(number), relocation);
        }
        assert_eq!(
            (X86_64.relocation(99), X86_64.relocation_name(99)),
            (Relocation::Unknown, None)
        );
        let bytes = &mut [0xe9, 0, 0, 0, 0];
        assert!(X86_64.relocate_insn(2, CODE, CODE, bytes).is_err());
    }

    #[test]
    fn marker_symbols() {
        for (name, is_marker) in
            [("", true), (".L0", true), (".LFB12", true), ("$x", false), ("main", false)]
        {
            assert_eq!(X86_64.is_marker_symbol(name.as_bytes()), is_marker, "{name}");
        }
    }

    proptest! {
        /// Lengths and targets agree with the disassembler.
        #[test]
        fn agrees_with_the_disassembler(
            site in prop_oneof![Just(vec![0xeb]), Just(vec![0xe9]), Just(NOP2.to_vec()),
                Just(NOP5.to_vec()), Just(vec![])],
            rest in any::<[u8; 15]>(),
            code in any::<u64>(),
        ) {
            let bytes = [&site[..], &rest].concat();
            let decoded = X86_64.decode_site(Svma(code), &bytes);
            let insn = decode(&bytes);
            let len = insn.as_ref().map_or(0, |insn| insn.len().to_const());
            prop_assert_eq!(decoded.len as u64, len);
            prop_assert!(decoded.len <= MAX_INSN_BYTES);
            if let SiteInsn::Jmp { to } = decoded.insn {
                let listing = X86_64.disassemble(Svma(code), &bytes);
                prop_assert_eq!(listing, Some(format!("jmp {to}")));
            }
        }

        /// The decoder reads back what the shim encodes.
        #[test]
        fn agrees_with_the_encoder(code in any::<u64>(), distance in any::<i32>(), short: bool) {
            let code = Svma(code);
            let (len, distance) = if short { (2, distance % 128) } else { (5, distance) };
            let to = code.wrapping_add(len as u64).wrapping_offset(distance.into());
            let made = X86_64.encode(JumpLabelType::Jmp, code, to, len).unwrap();
            let decoded = SiteDecode { insn: SiteInsn::Jmp { to }, len };
            prop_assert_eq!(X86_64.decode_site(code, made.as_slice()), decoded);
        }
    }
}
