//! Instruction sets.

use super::ElfType;

/// The instruction set of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// arm64.
    Aarch64,
    /// x86_64.
    X86_64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Machine {
    /// Every machine.
    pub const ALL: [Self; 3] = [Self::Aarch64, Self::X86_64, Self::Riscv64];

    /// Link address and file type of a kernel.
    pub(crate) fn kernel(self) -> (u64, ElfType) {
        match self {
            Self::Aarch64 => (0xffff_8000_8000_0000, ElfType::Dyn),
            Self::X86_64 => (0xffff_ffff_8100_0000, ElfType::Exec),
            Self::Riscv64 => (0xffff_ffff_8000_0000, ElfType::Dyn),
        }
    }

    /// The folder below `arch/` of the kernel's sources.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Aarch64 => "arm64",
            Self::X86_64 => "x86",
            Self::Riscv64 => "riscv",
        }
    }

    /// The machine's name at the end of a module's `vermagic`.
    pub(crate) fn vermagic(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "",
            Self::Riscv64 => "riscv",
        }
    }
}
