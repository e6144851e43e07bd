//! Data that the kernel makes read-only once it has booted.

use jlctl_analyzer::addr::AddrRange;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::Key;

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
