//! Parses files into images.

use super::debug_sections::DebugSections;
use super::error::ImageError;
use super::format::ImageKind;
use super::model::Image;
use super::section::{Section, SectionId};
use super::{elf, module_layout, raw};

impl<'data> Image<'data> {
    /// Parses `data`, a complete file, into an image of a supported architecture.
    ///
    /// # Errors
    /// If the data are not an ELF file or raw kernel, have 32 bits, an unknown architecture or
    /// type, or no section headers.  Lesser damage is in [`Self::faults`].
    pub fn parse(data: &'data [u8]) -> Result<Self, ImageError> {
        if let Some(header) = raw::Header::detect(data)
            && let Some(arch) = raw::architecture(&header)
        {
            return Ok(raw::parse(data, &header, arch));
        }
        let raw = elf::ElfStructure::parse(data)?;
        let arch = elf::architecture(raw.machine)?;
        Ok(raw.into_image(data, arch))
    }

    /// Parses only the sections of an ELF file, for its debug information: of any architecture,
    /// and without symbols.
    ///
    /// # Errors
    /// As [`Self::parse`], except for the architecture.
    pub fn parse_sections(data: &'data [u8]) -> Result<DebugSections<'data>, ImageError> {
        if let Some(header) = raw::Header::detect(data) {
            return Ok(DebugSections::of_raw(header.is_big_endian(), raw::identity(data, &header)));
        }
        elf::ElfStructure::parse(data).map(DebugSections::new)
    }

    /// Adopts the symbols of a separate debug file if the image itself is stripped.  Returns
    /// false if the image has a symbol table, the file has none, or the sections of the two
    /// differ.
    pub fn adopt_symbols(&mut self, debug_file: &'data [u8]) -> bool {
        if elf::has_symbol_table(&self.sections) {
            return false;
        }
        let Ok(mut raw) = elf::ElfStructure::parse(debug_file) else { return false };
        if raw.kind != self.kind || !elf::has_symbol_table(&raw.sections) {
            return false;
        }
        // Symbols refer to sections by index, and the indexes of the debug file may differ.
        let ids = match self.kind {
            ImageKind::Rel => {
                module_layout::place_sections_as(&mut raw.sections, &self.sections).ok()
            }
            ImageKind::Exec | ImageKind::Dyn => is_same_layout(&self.sections, &raw.sections)
                .then(|| (0..).map(SectionId).map(Some).take(self.sections.len()).collect()),
        };
        let Some(ids) = ids else { return false };
        let symbols = elf::symbols(&raw.sections, raw.ctx, self.kind, self.arch, &mut self.faults);
        self.symbols = symbols.with_section_ids(&ids, &self.sections);
        self.identity = self.identity.with_release(&self.sections, &self.symbols);
        true
    }
}

/// Whether two linked files have the same sections at the same indexes.
fn is_same_layout(ours: &[Section<'_>], theirs: &[Section<'_>]) -> bool {
    ours.iter().zip(theirs).all(|(ours, theirs)| {
        !ours.flags.alloc || (ours.name == theirs.name && ours.range == theirs.range)
    })
}
