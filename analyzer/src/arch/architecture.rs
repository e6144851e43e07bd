//! The facts about an instruction set that jump-label sites depend on.

use super::relocation::{InsnValue, Relocation, RelocationError};
use crate::addr::Svma;
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::{EncodeError, InsnBytes};
use std::fmt;

/// An instruction set, as far as jump-label sites depend on it.
pub trait Architecture: fmt::Debug + Sync {
    /// Name in reports, as the kernel calls the architecture.
    fn name(&self) -> &'static str;

    /// ELF machine number (`e_machine`) of its 64-bit images.
    fn elf_machine(&self) -> u16;

    /// Length of the longest site, in bytes.
    fn max_site_bytes(&self) -> usize;

    /// Length of the longest instruction, in bytes: as much as [`Self::decode_site`] reads.
    fn max_insn_bytes(&self) -> usize;

    /// Alignment of sites, in bytes (a power of two).
    fn site_alignment(&self) -> u64;

    /// Alignment of branch targets, in bytes (a power of two).
    fn target_alignment(&self) -> u64;

    /// The meaning of an entry's init bit in a file.
    fn init_bit_on_disk(&self) -> InitBitOnDisk;

    /// Decodes and classifies the instruction that `bytes` hold at `code`.
    /// `bytes` may be shorter than [`Self::max_insn_bytes`].
    fn decode_site(&self, code: Svma, bytes: &[u8]) -> SiteDecode;

    /// Disassembles `bytes` at `code`, with branch targets as absolute addresses. `None` if the
    /// decoder does not know the instruction.
    fn disassemble(&self, code: Svma, bytes: &[u8]) -> Option<String>;

    /// Whether the decoder knows the instruction that `bytes` hold.
    fn is_known(&self, bytes: &[u8]) -> bool {
        self.disassemble(Svma(0), bytes).is_some()
    }

    /// Encodes the instruction of `len` bytes that makes a site at `code` fall through or
    /// branch to `target`.
    ///
    /// # Errors
    /// If no such instruction exists: the architecture has no site of this length, `target` is
    /// out of range, or an address is not aligned.
    fn encode(
        &self,
        insn: JumpLabelType,
        code: Svma,
        target: Svma,
        len: usize,
    ) -> Result<InsnBytes, EncodeError>;

    /// Whether a site of `len` bytes at `code` can hold a branch to `target`.
    ///
    /// # Errors
    /// The reason why it cannot.
    fn check_reach(&self, code: Svma, target: Svma, len: usize) -> Result<(), EncodeError> {
        self.encode(JumpLabelType::Jmp, code, target, len).map(|_| ())
    }

    /// The effect of an ELF relocation type.
    fn relocation(&self, r_type: u32) -> Relocation;

    /// Name of an ELF relocation type in the psABI; `None` if the type is not known.
    fn relocation_name(&self, r_type: u32) -> Option<&'static str>;

    /// Fills the immediate in `bytes`, the instruction at `place`, for `value` (S + A), as a
    /// [`Relocation::Insn`] of type `r_type` requires.
    ///
    /// # Errors
    /// If the immediate cannot hold the value, or `bytes` hold no instruction that `r_type`
    /// applies to. `bytes` are then unchanged.
    fn relocate_insn(
        &self,
        r_type: u32,
        place: Svma,
        value: Svma,
        bytes: &mut [u8],
    ) -> Result<(), RelocationError>;

    /// The value of an instruction with a relocation of type `r_type` that its bits cannot hold.
    /// `value` is S + A. Only an architecture whose programs are recovered needs it.
    fn value_beyond(&self, _r_type: u32, _value: Svma) -> InsnValue {
        InsnValue::Unknown
    }

    /// Whether a symbol of this name is a mapping symbol or an assembler's label, which marks a
    /// position in code but does not name it.
    fn is_marker_symbol(&self, name: &[u8]) -> bool;
}

/// The meaning, in a file, of the second flag bit of a key word
/// (`jlctl_shim::abi::ENTRY_INIT`).  A booting kernel overwrites the bit to mark sites in init
/// text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitBitOnDisk {
    /// The bit has no meaning in a file.
    NoFact,
    /// The compiler emitted a JMP of the length that reaches, and objtool makes it a
    /// NOP (Linux 5.14 and later, `tools/objtool/check.c`).
    NopByObjtool,
}

/// The instruction at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SiteInsn {
    /// The NOP that the kernel patches in.
    Nop,
    /// An unconditional direct branch without link.
    Jmp {
        /// The branch target.
        to: Svma,
    },
    /// Anything else, undecodable bytes included.
    Other,
}

impl SiteInsn {
    /// NOP or JMP in the terms of jump labels; `None` for any other instruction.
    #[must_use]
    pub const fn kind(self) -> Option<JumpLabelType> {
        match self {
            Self::Nop => Some(JumpLabelType::Nop),
            Self::Jmp { .. } => Some(JumpLabelType::Jmp),
            Self::Other => None,
        }
    }
}

/// A site's instruction and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SiteDecode {
    /// The instruction.
    pub insn: SiteInsn,
    /// Its length in bytes.  On an architecture whose sites all have one length, `len` is that
    /// length for any bytes; on others it is 0 if the bytes are not an instruction.
    pub len: usize,
}

/// Whether `name` is a mapping symbol `$x` or `$d` (AAELF64 5.5.5; RISC-V ELF psABI, "Mapping
/// Symbol"), with or without a suffix `.any`, or a label that an assembler generates.
pub(super) fn is_mapping_symbol_or_label(name: &[u8]) -> bool {
    match name {
        [] | [b'.', b'L', ..] => true,
        [b'$', b'x' | b'd', rest @ ..] => matches!(rest, [] | [b'.', ..]),
        _ => false,
    }
}
