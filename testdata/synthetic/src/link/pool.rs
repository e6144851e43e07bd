//! Sections that grow item by item, and get addresses once all items are added.

use crate::elf::{Content, Section, consts};

/// An item's offset in a section that has no address yet.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    section: usize,
    offset: u64,
}

/// The sections of an image, in address order.
#[derive(Debug, Default)]
pub struct Pool {
    sections: Vec<Section>,
}

/// Alignment of the first section of a segment.
pub const PAGE: u64 = 0x1000;

impl Pool {
    /// Adds an empty section.
    pub fn add_section(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Reserves `size` bytes in the section `name`.
    pub fn add(&mut self, name: &str, size: u64, align: u64) -> Slot {
        let index = self
            .sections
            .iter()
            .position(|section| section.name == name)
            .unwrap_or_else(|| panic!("the image has no section {name}"));
        let section = &mut self.sections[index];
        let offset = section.content.len().next_multiple_of(align);
        section.align = section.align.max(align);
        match &mut section.content {
            Content::NoBits(used) => *used = offset + size,
            Content::Bytes(bytes) => {
                let end = usize::try_from(offset + size).expect("a test image is small");
                bytes.resize(end, 0);
            }
            Content::Relocations(_) => panic!("{name} holds relocations"),
        }
        Slot { section: index, offset }
    }

    /// Gives each section an address, from `base` on.
    pub fn assign(&mut self, base: u64) {
        let mut next = base;
        for section in &mut self.sections {
            section.address = next.next_multiple_of(section.align.max(1));
            next = section.end();
        }
    }

    /// Address of an item.
    pub fn address(&self, slot: Slot) -> u64 {
        self.sections[slot.section].address + slot.offset
    }

    /// Name of the section that holds an item.
    pub fn section_of(&self, slot: Slot) -> &str {
        &self.sections[slot.section].name
    }

    /// All sections.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The finished sections, without those that stayed empty.
    pub fn into_sections(self) -> Vec<Section> {
        self.sections.into_iter().filter(|section| !section.content.is_empty()).collect()
    }
}

/// An empty code section.
pub fn code(name: &str, align: u64) -> Section {
    Section::new(name, Vec::new()).loaded(0, consts::SHF_EXECINSTR, align)
}

/// An empty read-only section.
pub fn read_only(name: &str, align: u64) -> Section {
    Section::new(name, Vec::new()).loaded(0, consts::SectionFlags(0), align)
}

/// An empty writable section.
pub fn writable(name: &str, align: u64) -> Section {
    Section::new(name, Vec::new()).loaded(0, consts::SHF_WRITE, align)
}

/// An empty writable section without bytes in the file.
pub fn nobits(name: &str, align: u64) -> Section {
    let mut section = writable(name, align).typed(consts::SHT_NOBITS, 0);
    section.content = Content::NoBits(0);
    section
}
