//! Kinds of image files.

/// The format of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// An ELF file.
    Elf,
    /// A raw arm64 kernel, called `Image` by the kernel's build
    /// (Documentation/arch/arm64/booting.rst, Linux 6.12).
    Arm64Image,
    /// A raw riscv64 kernel (Documentation/arch/riscv/boot-image-header.rst).
    Riscv64Image,
}

impl ImageFormat {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elf => "elf",
            Self::Arm64Image => "arm64-image",
            Self::Riscv64Image => "riscv64-image",
        }
    }
}

/// The type of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// Runs at the addresses it states (ET_EXEC).
    Exec,
    /// May be loaded at another address (ET_DYN): a relocatable kernel, a PIE, a library.
    Dyn,
    /// To be linked, or loaded as a module (ET_REL): has no addresses yet.
    Rel,
}
