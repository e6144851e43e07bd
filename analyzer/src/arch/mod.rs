//! The seam between jlctl and an architecture: everything that depends on the
//! instruction set is behind [`Architecture`], one module per architecture.

mod a64;

use crate::addr::Svma;
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::EncodeError;
use std::fmt;

/// What an instruction set has to answer about jump-label sites.
pub trait Architecture: fmt::Debug + Sync {
    /// Name in reports, as the kernel calls the architecture.
    fn name(&self) -> &'static str;

    /// Bytes of the longest site.
    fn site_bytes(&self) -> usize;

    /// Alignment of sites and targets, in bytes (a power of two).
    fn alignment(&self) -> u64;

    /// Decodes and classifies the instruction that `bytes` hold at `code`.
    /// `bytes` may be shorter than [`Self::site_bytes`].
    fn classify(&self, code: Svma, bytes: &[u8]) -> SiteInsn;

    /// Disassembly of `bytes` at `code`, branch targets as absolute addresses.
    /// `None` if the bytes are no instruction.
    fn disassemble(&self, code: Svma, bytes: &[u8]) -> Option<String>;

    /// Whether a site at `code` can hold a branch to `target`.
    ///
    /// # Errors
    /// Why it cannot.
    fn check_reach(&self, code: Svma, target: Svma) -> Result<(), EncodeError>;
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

/// The architecture of an ELF machine number (`e_machine`), if it is supported.
#[must_use]
pub fn of_elf_machine(machine: u16) -> Option<&'static dyn Architecture> {
    const EM_AARCH64: u16 = 183;
    match machine {
        EM_AARCH64 => Some(&a64::A64),
        _ => None,
    }
}
