//! Addresses for relocatable files (ET_REL), which have none.
//!
//! The sections of a module all start at 0 until a loader places them.  This module lays them
//! out one after the other, as a loader would, so that all code that works on addresses works
//! on modules too.  An address of such an image is a name for (section, offset), and
//! [`super::Image::symbolic`] translates it back.  Each undefined symbol gets an address far
//! from every section and from every other symbol, so that symbol and offset can be recovered
//! from their sum.

use super::section::{Section, SectionId};
use crate::addr::{AddrRange, Svma};
use foldhash::HashMap;
use std::collections::VecDeque;

/// Address of the first section.  No size, offset or address in a file resembles it, so that
/// addresses can be recognised in the text of a message.
const FIRST: u64 = 0x7000_0000_0000_0000;
/// Least alignment of a section.
const MIN_ALIGN: u64 = 16;
/// Largest alignment that is applied: a page of the largest granule.  Damaged headers can state
/// any alignment.
const MAX_ALIGN: u64 = 1 << 16;
/// Most bytes of a section that get addresses: more than any module has, and few enough that
/// 2^32 such sections stay below the undefined symbols.
const MAX_SECTION: u64 = 1 << 31;
/// Address of the first undefined symbol.
const EXTERNAL: u64 = 1 << 63;
/// Distance between undefined symbols; offsets up to half of it are unambiguous.
const EXTERNAL_STEP: u64 = 1 << 32;

/// Gives every allocated section a separate address range.  `align` has the alignment of each.
/// Returns the sections that are too large.
pub(super) fn place_sections(sections: &mut [Section<'_>], align: &[u64]) -> Vec<SectionId> {
    let mut next = FIRST;
    let mut too_large = Vec::new();
    for (index, section) in (0u32..).zip(sections) {
        if !section.flags.alloc {
            // Offsets only: relocations of debug sections depend on a start of 0.
            section.range = AddrRange::sized(Svma(0), 0);
            continue;
        }
        let align = align.get(index as usize).copied().unwrap_or(1);
        // Table fields hold flags in the low bits, regardless of the header's alignment.
        let align = align.clamp(MIN_ALIGN, MAX_ALIGN).next_power_of_two();
        let size = section.range.size();
        if size > MAX_SECTION {
            too_large.push(SectionId(index));
        }
        let start = next.next_multiple_of(align);
        section.range = AddrRange::sized(Svma(start), size.min(MAX_SECTION));
        // One byte between neighbours, so that the end of one is not the start of another.
        next = start + section.range.size() + 1;
    }
    too_large
}

/// Two sections with the same name and different sizes, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OtherSize {
    pub(super) name: String,
    pub(super) expected: u64,
    pub(super) found: u64,
}

/// Gives the allocated sections of a debug file the addresses that `image` has assigned to its
/// sections of the same names, and addresses after them to others.  Returns the section of the
/// image that each corresponds to.
pub(super) fn place_sections_as(
    sections: &mut [Section<'_>],
    image: &[Section<'_>],
) -> Result<Vec<Option<SectionId>>, OtherSize> {
    let mut by_name: HashMap<&str, VecDeque<(SectionId, AddrRange)>> = HashMap::default();
    let mut next = FIRST;
    for (id, section) in (0u32..).map(SectionId).zip(image) {
        if section.flags.alloc {
            by_name.entry(section.name).or_default().push_back((id, section.range));
            next = next.max(section.range.end().0.saturating_add(1));
        }
    }
    let mut ids = vec![None; sections.len()];
    for (section, id) in sections.iter_mut().zip(&mut ids) {
        if !section.flags.alloc {
            continue;
        }
        let size = section.range.size();
        match by_name.get_mut(section.name).and_then(VecDeque::pop_front) {
            Some((_, range)) if range.size() != size => {
                let (name, expected) = (section.name.to_owned(), range.size());
                return Err(OtherSize { name, expected, found: size });
            }
            Some((same, range)) => (section.range, *id) = (range, Some(same)),
            None => {
                section.range = AddrRange::sized(Svma(next.next_multiple_of(MIN_ALIGN)), size);
                next = section.range.end().0.saturating_add(1);
            }
        }
    }
    Ok(ids)
}

/// Whether this module assigned the address.
pub(super) const fn is_placed(address: Svma) -> bool {
    address.0 >= FIRST
}

/// Address of the undefined symbol number `index`.
pub(super) const fn external_address(index: usize) -> Svma {
    Svma(EXTERNAL.wrapping_add((index as u64).wrapping_mul(EXTERNAL_STEP)))
}

/// The undefined symbol that an address stands for, and the offset from it.
pub(super) fn external_at(address: Svma, externals: usize) -> Option<(usize, i64)> {
    let from_first = address.0.wrapping_sub(EXTERNAL).wrapping_add(EXTERNAL_STEP / 2);
    let index = usize::try_from(from_first / EXTERNAL_STEP).ok()?;
    let offset = address.0.wrapping_sub(external_address(index).0).cast_signed();
    (index < externals).then_some((index, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn external_addresses_are_unambiguous(index in 0usize..100_000, offset in -0x8000_0000i64..0x8000_0000) {
            let address = external_address(index).wrapping_offset(offset);
            prop_assert_eq!(external_at(address, 100_000), Some((index, offset)));
            prop_assert_eq!(external_at(address, index), None);
            prop_assert!(is_placed(address));
        }

        #[test]
        fn section_addresses_are_not_external(address in 0u64..(1 << 62)) {
            prop_assert_eq!(external_at(Svma(address), 100_000), None);
        }
    }
}
