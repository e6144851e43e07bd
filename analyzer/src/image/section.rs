//! Sections and what they hold.

use crate::addr::{AddrRange, FileOffset, Svma};

/// Dense index of a section in its image, in section-header order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SectionId(pub(crate) u32);

impl SectionId {
    /// The index as the ELF section header table counts.
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
    /// Where its bytes start in the file.
    pub offset: FileOffset,
    /// Its bytes as far as the file has them; empty for NOBITS.
    pub data: &'data [u8],
    /// What the flags say.
    pub flags: SectionFlags,
    /// ELF section type (`sh_type`).
    pub kind: u32,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
}

/// The section flags that matter here.
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
    /// Thread-local template (SHF_TLS): its addresses are no memory of its own.
    pub tls: bool,
    /// Bytes are compressed (SHF_COMPRESSED).
    pub compressed: bool,
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
        self.flags.alloc && !self.flags.exec
    }
}

/// Finds the allocated section of an address by binary search.
#[derive(Debug, Default)]
pub(super) struct SectionIndex {
    /// (start, highest end so far, section), by start.
    by_start: Vec<(Svma, Svma, SectionId)>,
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
        let mut highest = Svma(0);
        for (_, end, _) in &mut by_start {
            highest = highest.max(*end);
            *end = highest;
        }
        Self { by_start }
    }

    /// The section that covers `address`; the one that starts last where
    /// damaged headers make several do so.
    pub(super) fn find(&self, sections: &[Section<'_>], address: Svma) -> Option<SectionId> {
        let behind = self.by_start.partition_point(|(start, ..)| *start <= address);
        for (_, highest_end, id) in self.by_start[..behind].iter().rev() {
            if sections[id.index()].range.contains(address) {
                return Some(*id);
            }
            if *highest_end <= address {
                return None;
            }
        }
        None
    }

    /// Neighbours in address order that share addresses.
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
