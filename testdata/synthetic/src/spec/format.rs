//! The kind of file: machine, ELF type, sections, layout of the table, relocations.

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

/// Whether the file is position-independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElfType {
    /// `ET_EXEC`.
    Exec,
    /// `ET_DYN`.
    Dyn,
    /// `ET_REL`: a module.
    Rel,
}

/// How the entries of the jump table lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// 16-byte entries of displacements.
    Relative,
    /// 24-byte entries of addresses.
    Absolute,
}

/// How a reader finds the jump table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locate {
    /// Inside `.rodata`, between `__start___jump_table` and `__stop___jump_table`.
    Symbols,
    /// A section named `__jump_table`.
    Section,
}

/// How absolute table fields, and pointers in key objects, get their values. A module always
/// has `SHT_RELA` relocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocations {
    /// They are in the file.
    None,
    /// Zero in the file; `R_AARCH64_RELATIVE` (or its equivalent) in `.rela.dyn`.
    Rela,
    /// Link-time addresses in the file, positions in `.relr.dyn`.
    Relr,
}

/// Which sections surround the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// `.head.text`, `.init.text`, `linux_banner`, the kernel's marker symbols.
    Kernel,
    /// A user program.
    User,
    /// A loadable kernel module: see [`super::ModuleSpec`].
    Module,
}
