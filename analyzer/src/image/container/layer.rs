//! Layers: the formats that an image can be wrapped in.

use std::fmt;

/// One layer around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// gzip members (RFC 1952).
    Gzip,
    /// .xz streams.
    Xz,
    /// One .lzma stream, the format before .xz (CONFIG_KERNEL_LZMA).
    Lzma,
    /// Zstandard frames (RFC 8878).
    Zstd,
    /// An EFI application that unpacks a kernel (CONFIG_EFI_ZBOOT, Linux 6.1 and later).
    EfiZboot,
    /// x86 boot image (`Documentation/arch/x86/boot.rst`).
    BzImage,
}

impl Layer {
    /// Name in reports: the usual file name extension.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zst",
            Self::EfiZboot => "zboot",
            Self::BzImage => "bzimage",
        }
    }

    /// Whether the layer is a boot image, with a compressed kernel as its payload.
    #[must_use]
    pub const fn is_boot_image(self) -> bool {
        matches!(self, Self::EfiZboot | Self::BzImage)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::EfiZboot => "EFI zboot image",
            Self::BzImage => "bzImage",
        })
    }
}
