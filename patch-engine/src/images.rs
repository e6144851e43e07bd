//! The images that a plan is made for or checked against.

use jlctl_analyzer::addr::AddrRange;
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_analyzer::jump_table::{JumpTable, Key, KeyDescriptions};

/// An image, with its file, table and names of keys.
#[derive(Debug, Clone, Copy)]
pub struct ReadImage<'a> {
    /// The file that contains the image.
    pub file: &'a ImageFile,
    /// The image.
    pub image: &'a Image<'a>,
    /// The image's jump table; `None` if it has none, like many modules.
    pub table: Option<&'a JumpTable<'a>>,
    /// The names of its keys.
    pub keys: &'a KeyDescriptions,
}

impl ReadImage<'_> {
    /// Whether the file ends with the marker of a module's signature, valid or not; a kernel checks
    /// for the marker alone (`kernel/module/signing.c`, Linux 6.12).
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !matches!(self.file.signature(), Ok(None))
    }

    /// Whether the image is the file itself, and not inside a container.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.file.layers().is_empty()
    }
}

/// The data of an image that the kernel makes read-only once it has booted: data between two
/// symbols in a linked kernel (`include/asm-generic/vmlinux.lds.h`, Linux 6.12,
/// RO_AFTER_INIT_DATA), the section of that name in a module, and sections that are never writable.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    bounds: Option<AddrRange>,
}

impl Sealed {
    /// The read-only data of `image`.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        let symbol = |name| image.symbols().named(name).next().map(|(_, found)| found.address);
        let bounds = symbol("__start_ro_after_init").zip(symbol("__end_ro_after_init"));
        Self { bounds: bounds.and_then(|(start, end)| AddrRange::new(start, end)) }
    }

    /// Whether `key`, of the same image, is in that data.
    #[must_use]
    pub fn has(&self, image: &Image<'_>, key: &Key) -> bool {
        let name = key.section.map_or("", |id| image.section(id).name);
        self.bounds.is_some_and(|bounds| bounds.contains(key.address))
            || name.contains("ro_after_init")
            || name.starts_with(".rodata")
    }
}
