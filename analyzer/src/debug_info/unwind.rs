//! Functions from the unwind table (.eh_frame), for programs without symbols.

use crate::addr::{AddrRange, Svma};
use crate::image::Image;
use gimli::{BaseAddresses, CieOrFde, EhFrame, EndianSlice, RunTimeEndian, UnwindSection as _};

/// Most entries that are read: the largest programs have a few hundred thousand.
const MAX_ENTRIES: usize = 1 << 21;

/// The address ranges that the entries of `.eh_frame` cover, by start.  The list ends at an
/// entry that cannot be read.
#[must_use]
pub fn unwind_ranges(image: &Image<'_>) -> Vec<AddrRange> {
    let Some(section) = image.section_named(".eh_frame") else { return Vec::new() };
    let endian = if image.is_big_endian() { RunTimeEndian::Big } else { RunTimeEndian::Little };
    let start = |name| image.section_named(name).map_or(0, |section| section.range.start().0);
    let bases = BaseAddresses::default()
        .set_eh_frame(section.range.start().0)
        .set_text(start(".text"))
        .set_got(start(".got"));
    let mut frames = EhFrame::from(EndianSlice::new(section.data, endian));
    frames.set_address_size(8);
    let mut found = Vec::new();
    let mut entries = frames.entries(&bases);
    while let Ok(Some(entry)) = entries.next() {
        if found.len() >= MAX_ENTRIES {
            break;
        }
        let CieOrFde::Fde(partial) = entry else { continue };
        if let Ok(fde) = partial.parse(EhFrame::cie_from_offset) {
            found.push(AddrRange::sized(Svma(fde.initial_address()), fde.len()));
        }
    }
    found.sort_unstable_by_key(|range| range.start());
    found.dedup_by_key(|range| range.start());
    found
}
