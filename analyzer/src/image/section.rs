//! Sections of an image, and an index of them by address.

use crate::addr::{AddrRange, FileOffset, Svma};

/// Dense index of a section in its image, in section-header order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SectionId(pub(crate) u32);

impl SectionId {
    /// The index in the ELF section header table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One section of an image.
#[derive(Debug, Clone)]
pub struct Section<'data> {
    /// Name; empty if the name table cannot be read.
    pub name: &'data str,
    /// Addresses that the section takes in memory; empty if it is not allocated.
    pub range: AddrRange,
    /// File offset of its first byte.
    pub offset: FileOffset,
    /// Its bytes, as far as the file has them; empty for NOBITS.
    pub data: &'data [u8],
    /// Its flags.
    pub flags: SectionFlags,
    /// ELF section type (`sh_type`).
    pub kind: u32,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
}

/// The section flags that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SectionFlags {
    /// Takes memory at run time (SHF_ALLOC).
    pub alloc: bool,
    /// Holds instructions (SHF_EXECINSTR).
    pub exec: bool,
    /// Can be written at run time (SHF_WRITE).
    pub write: bool,
    /// Has no bytes in the file (SHT_NOBITS).
    pub no_bits: bool,
    /// Thread-local template (SHF_TLS): its addresses are not memory of its own.
    pub tls: bool,
    /// Bytes are compressed (SHF_COMPRESSED).
    pub compressed: bool,
    /// Holds code and data without known boundaries: a raw image without symbols.
    pub mixed: bool,
}

impl Section<'_> {
    /// Whether instructions in it can run.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.flags.alloc && self.flags.exec
    }

    /// Whether it holds data at run time.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.flags.alloc && (!self.flags.exec || self.flags.mixed)
    }
}

/// Finds the allocated section of an address by binary search.
#[derive(Debug, Default)]
pub(super) struct SectionIndex {
    /// (start, end, section), by start.
    by_start: Vec<(Svma, Svma, SectionId)>,
    /// The section of all addresses from one to the next.
    pieces: Vec<(Svma, Option<SectionId>)>,
}

impl SectionIndex {
    pub(super) fn new(sections: &[Section<'_>]) -> Self {
        let mut by_start: Vec<_> = (0u32..)
            .zip(sections)
            .filter(|(_, section)| {
                let tls_template = section.flags.tls && section.flags.no_bits;
                section.flags.alloc && !section.range.is_empty() && !tls_template
            })
            .map(|(id, section)| (section.range.start(), section.range.end(), SectionId(id)))
            .collect();
        by_start.sort_unstable();
        let pieces = pieces(&by_start);
        Self { by_start, pieces }
    }

    /// The section that covers `address`.  If damaged headers make several do so, the one that
    /// starts last.
    pub(super) fn find(&self, address: Svma) -> Option<SectionId> {
        let after = self.pieces.partition_point(|(start, _)| *start <= address);
        self.pieces[..after].last().and_then(|(_, section)| *section)
    }

    /// Neighbouring sections, in address order, that overlap.
    pub(super) fn overlaps<'a>(
        &'a self,
        sections: &'a [Section<'_>],
    ) -> impl Iterator<Item = (SectionId, SectionId, AddrRange)> + 'a {
        self.by_start.windows(2).filter_map(|pair| {
            let (first, second) = (pair[0].2, pair[1].2);
            let (a, b) = (sections[first.index()].range, sections[second.index()].range);
            let range = AddrRange::new(b.start(), a.end().min(b.end()))?;
            (!range.is_empty()).then_some((first, second, range))
        })
    }
}

/// Cuts overlapping sections, sorted by start, into pieces that belong to one section.
fn pieces(by_start: &[(Svma, Svma, SectionId)]) -> Vec<(Svma, Option<SectionId>)> {
    let mut pieces = Vec::new();
    // Sections that have not ended; the one that starts last is on top.
    let mut open: Vec<(Svma, SectionId)> = Vec::new();
    for (start, end, id) in by_start {
        close(&mut open, *start, &mut pieces);
        open.push((*end, *id));
        pieces.push((*start, Some(*id)));
    }
    close(&mut open, Svma(u64::MAX), &mut pieces);
    pieces
}

/// Ends the sections on top of `open` that end at or before `until`.
fn close(
    open: &mut Vec<(Svma, SectionId)>,
    until: Svma,
    pieces: &mut Vec<(Svma, Option<SectionId>)>,
) {
    while let Some((end, _)) = open.pop_if(|(end, _)| *end <= until) {
        // A section below it that ends no later does not reappear.
        while open.pop_if(|(below, _)| *below <= end).is_some() {}
        pieces.push((end, open.last().map(|(_, id)| *id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_belong_to_the_section_that_starts_last() {
        let ranges =
            [(0, 100), (10, 20), (10, 30), (15, 16), (25, 40), (50, 60), (50, 100), (120, 130)];
        let by_start: Vec<_> = (0u32..)
            .zip(ranges)
            .map(|(id, (start, end))| (Svma(start), Svma(end), SectionId(id)))
            .collect();
        let index = SectionIndex { pieces: pieces(&by_start), by_start };
        for address in (0..140).map(Svma) {
            let covers =
                |(start, end, _): &&(Svma, Svma, SectionId)| *start <= address && address < *end;
            let wanted = index.by_start.iter().rev().find(covers).map(|(.., id)| *id);
            assert_eq!(index.find(address), wanted, "{address}");
        }
        assert_eq!(SectionIndex::default().find(Svma(0)), None);
    }
}
