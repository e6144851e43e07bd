//! The facts about an instruction set that jump-label sites depend on.

use super::relocation::Relocation;
use crate::addr::Svma;
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::{EncodeError, InsnBytes};
use std::fmt;

/// What an instruction set has to answer about jump-label sites.
pub trait Architecture: fmt::Debug + Sync {
    /// Name in reports, as the kernel calls the architecture.
    fn name(&self) -> &'static str;

    /// ELF machine number (`e_machine`) of its 64-bit images.
    fn elf_machine(&self) -> u16;

    /// Bytes of the longest site.
    fn max_site_bytes(&self) -> usize;

    /// Bytes of the longest instruction: what [`Self::decode_site`] looks at.
    fn max_insn_bytes(&self) -> usize;

    /// Alignment of sites, in bytes (a power of two).
    fn site_alignment(&self) -> u64;

    /// Alignment of what sites branch to, in bytes (a power of two).
    fn target_alignment(&self) -> u64;

    /// What the init bit of an entry says in a file.
    fn init_bit_on_disk(&self) -> InitBitOnDisk;

    /// Decodes and classifies the instruction that `bytes` hold at `code`.
    /// `bytes` may be shorter than [`Self::max_insn_bytes`].
    fn decode_site(&self, code: Svma, bytes: &[u8]) -> SiteDecode;

    /// Disassembly of `bytes` at `code`, branch targets as absolute addresses.
    /// `None` if the bytes are no instruction that the decoder knows.
    fn disassemble(&self, code: Svma, bytes: &[u8]) -> Option<String>;

    /// Whether the decoder knows the instruction that `bytes` hold.
    fn is_known(&self, bytes: &[u8]) -> bool {
        self.disassemble(Svma(0), bytes).is_some()
    }

    /// The instruction of `len` bytes that makes a site at `code` fall through
    /// or branch to `target`.
    ///
    /// # Errors
    /// If no such instruction exists: the site has another length, `target` is
    /// out of its range, or an address is not aligned.
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
    /// Why it cannot.
    fn check_reach(&self, code: Svma, target: Svma, len: usize) -> Result<(), EncodeError> {
        self.encode(JumpLabelType::Jmp, code, target, len).map(|_| ())
    }

    /// What an ELF relocation type does.
    fn relocation(&self, r_type: u32) -> Relocation;

    /// Name of an ELF relocation type in the psABI, if it is a known one.
    fn relocation_name(&self, r_type: u32) -> Option<&'static str>;

    /// Makes the branch in `bytes`, the instruction at `place`, go to `to`
    /// (S + A), as a [`Relocation::Branch`] of type `r_type` says.
    ///
    /// # Errors
    /// If the branch does not reach, or there is none that `r_type` fills;
    /// `bytes` are then as they were.
    fn relocate_branch(
        &self,
        r_type: u32,
        place: Svma,
        to: Svma,
        bytes: &mut [u8],
    ) -> Result<(), EncodeError>;

    /// Whether a symbol of this name marks a place in code rather than names
    /// it: mapping symbols and labels of the assembler.
    fn is_marker_symbol(&self, name: &[u8]) -> bool;
}

/// What the second flag bit of a key word (`jlctl_shim::abi::ENTRY_INIT`) says
/// in a file.  At boot a kernel overwrites it: then it marks sites in init text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitBitOnDisk {
    /// Nothing.
    NoFact,
    /// The compiler emitted a JMP of whatever length reaches, for objtool to
    /// make a NOP of (Linux 5.14 and later, `tools/objtool/check.c`).
    NopByObjtool,
}

/// What stands at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SiteInsn {
    /// The NOP that the kernel patches in.
    Nop,
    /// An unconditional direct branch without link.
    Jmp {
        /// Where it goes.
        to: Svma,
    },
    /// Anything else, undecodable bytes included.
    Other,
}

impl SiteInsn {
    /// The jump-label meaning, if it has one.
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
    /// What it is.
    pub insn: SiteInsn,
    /// Its length in bytes.  Where all sites have one length it is that,
    /// whatever stands there; otherwise 0 if the bytes are no instruction.
    pub len: usize,
}

/// Whether `name` is that of a mapping symbol `$x` or `$d` (AAELF64 5.5.5,
/// RISC-V ELF psABI "Mapping Symbol"), with or without a suffix `.any`, or of a
/// label that an assembler makes for itself.
pub(super) fn is_mapping_symbol_or_label(name: &[u8]) -> bool {
    match name {
        [] | [b'.', b'L', ..] => true,
        [b'$', b'x' | b'd', rest @ ..] => matches!(rest, [] | [b'.', ..]),
        _ => false,
    }
}
