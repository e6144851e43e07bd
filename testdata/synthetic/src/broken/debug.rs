//! Debug information on which a careless reader loops forever, overflows its stack or exhausts
//! memory, and sound debug information in compressed sections.

use super::base::{Named, base};
use crate::compress;
use crate::dwarf::handmade::{self, Nest};
use crate::elf::Section;

/// Depth of the nests in [`all`].
pub const DEEP: usize = 100_000;

fn with_debug(make: impl Fn(std::ops::Range<u64>) -> Vec<Section>) -> Vec<u8> {
    let mut spec = base();
    spec.dwarf = None;
    let mut linked = spec.link();
    let function = linked.elf.symbol("other_fn").expect("the kernel has the function");
    let range = function.value..function.value + function.size;
    linked.elf.sections.extend(make(range));
    linked.bytes()
}

/// `DW_AT_abstract_origin` and `DW_AT_specification` that refer to their own entries, directly
/// and through one another.
#[must_use]
pub fn cyclic_references() -> Vec<u8> {
    with_debug(handmade::cyclic)
}

/// `depth` inlined subroutines inside one another, around `other_fn+0x10`.
#[must_use]
pub fn deep_inlined(depth: usize) -> Vec<u8> {
    with_debug(|range| handmade::nested(&range, Nest::InlinedSubroutine, depth))
}

/// `depth` lexical blocks inside one another, around `other_fn+0x10`.
#[must_use]
pub fn deep_blocks(depth: usize) -> Vec<u8> {
    with_debug(|range| handmade::nested(&range, Nest::LexicalBlock, depth))
}

/// Sound DWARF in zlib-compressed sections.
#[must_use]
pub fn compressed() -> Vec<u8> {
    let mut linked = base().link();
    compress::debug_sections(&mut linked.elf);
    linked.bytes()
}

/// A compressed `.debug_info` that claims to hold 2^50 bytes.
#[must_use]
pub fn compression_bomb() -> Vec<u8> {
    let mut linked = base().link();
    compress::debug_sections(&mut linked.elf);
    let info = linked.elf.section_mut(".debug_info").expect("the kernel has debug info");
    compress::claim_size(info, 1 << 50);
    linked.bytes()
}

/// Compressed sections whose zlib streams are cut in half.
#[must_use]
pub fn compressed_truncated() -> Vec<u8> {
    let mut linked = base().link();
    compress::debug_sections(&mut linked.elf);
    for section in &mut linked.elf.sections {
        if section.name.starts_with(".debug_")
            && let crate::elf::Content::Bytes(bytes) = &mut section.content
        {
            bytes.truncate(compress::HEADER_BYTES + (bytes.len() - compress::HEADER_BYTES) / 2);
        }
    }
    linked.bytes()
}

/// Every variant of this module.
#[must_use]
pub fn all() -> Vec<Named> {
    vec![
        ("cyclic_references", cyclic_references()),
        ("deep_inlined", deep_inlined(DEEP)),
        ("deep_blocks", deep_blocks(DEEP)),
        ("compressed", compressed()),
        ("compression_bomb", compression_bomb()),
        ("compressed_truncated", compressed_truncated()),
    ]
}
