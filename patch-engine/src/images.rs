//! The images that a plan is made for or checked against, read.

use jlctl_analyzer::addr::AddrRange;
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_analyzer::jump_table::{JumpTable, Key, KeyDescriptions};

/// One image with what was read of it.
#[derive(Debug, Clone, Copy)]
pub struct ReadImage<'a> {
    /// The file that it is in.
    pub file: &'a ImageFile,
    /// The image.
    pub image: &'a Image<'a>,
    /// Its jump table; `None` if it has none, as many modules do.
    pub table: Option<&'a JumpTable<'a>>,
    /// What its keys are called.
    pub keys: &'a KeyDescriptions,
}

impl ReadImage<'_> {
    /// Whether the file ends in the marker of a module's signature, sound or not:
    /// a kernel looks for nothing else (`kernel/module/signing.c`, Linux 6.12).
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !matches!(self.file.signature(), Ok(None))
    }

    /// Whether the image lies in the file as it is, not inside a container.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.file.layers().is_empty()
    }
}

/// Where such data lies in an image: between the symbols that bound it in a linked
/// kernel (`include/asm-generic/vmlinux.lds.h`, Linux 6.12, RO_AFTER_INIT_DATA), in
/// the section of that name in a module, or in a section that is never writable.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    bounds: Option<AddrRange>,
}

impl Sealed {
    /// Where it lies in `image`.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        let symbol = |name| image.symbols().named(name).next().map(|(_, found)| found.address);
        let bounds = symbol("__start_ro_after_init").zip(symbol("__end_ro_after_init"));
        Self { bounds: bounds.and_then(|(start, end)| AddrRange::new(start, end)) }
    }

    /// Whether `key` of that image lies there.
    #[must_use]
    pub fn has(&self, image: &Image<'_>, key: &Key) -> bool {
        let name = key.section.map_or("", |id| image.section(id).name);
        self.bounds.is_some_and(|bounds| bounds.contains(key.address))
            || name.contains("ro_after_init")
            || name.starts_with(".rodata")
    }
}
