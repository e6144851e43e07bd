//! The sections of an ELF file of any architecture, for its debug information.
//!
//! # Relocatable files
//! In a linked file debug sections contain their final values.  In a relocatable file (a kernel
//! module) they contain zeros with one relocation each, even for references to other debug
//! sections; [`DebugSections::contents`] applies the relocations. Addresses become those that
//! [`super::Image`] assigns to the same file ([`super::module_layout`]), so that the debug
//! information can be queried by them.
//!
//! The debug file of a module is another relocatable file, with sections of its own.
//! [`DebugSections::placed_as`] gives them the addresses of the module's sections.

use super::compressed::{CompressedError, section_bytes};
use super::elf;
use super::error::{ImageError, ImageFault};
use super::format::ImageKind;
use super::identity::{DebugLink, ImageIdentity};
use super::module_layout;
use super::relocation_sections::RELA;
use super::section::Section;
use crate::addr::Svma;
use crate::arch::{self, Architecture, Relocation, RelocationError};
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::reloc::{Reloc, RelocSection};
use goblin::elf::section_header::{SHT_REL, SHT_RELA};
use std::borrow::Cow;
use std::sync::OnceLock;

/// The sections of an ELF file of any architecture.
#[derive(Debug)]
pub struct DebugSections<'data> {
    kind: ImageKind,
    machine: u16,
    ctx: Ctx,
    sections: Vec<Section<'data>>,
    identity: ImageIdentity<'data>,
    /// Addresses of the symbols by number, computed when a relocation first needs them.
    symbols: OnceLock<Vec<Svma>>,
}

/// The bytes of a section, inflated and relocated.
#[derive(Debug)]
pub struct SectionContents<'data> {
    /// The bytes; borrowed if neither inflated nor relocated.
    pub bytes: Cow<'data, [u8]>,
    /// Relocations that could not be applied, with their number.
    pub faults: Vec<ImageFault>,
}

impl<'data> DebugSections<'data> {
    pub(super) fn new(raw: elf::ElfStructure<'data>) -> Self {
        let mut identity = ImageIdentity::of_sections(&raw.sections, raw.ctx);
        if raw.kind == ImageKind::Rel {
            identity = identity.with_vermagic(&raw.sections);
        }
        let elf::ElfStructure { machine, ctx, sections, kind, .. } = raw;
        Self { kind, machine, ctx, sections, identity, symbols: OnceLock::new() }
    }

    /// A raw image: it has no sections but may have a build id.
    pub(super) fn of_raw(big_endian: bool, identity: ImageIdentity<'data>) -> Self {
        let endian = if big_endian { Endian::Big } else { Endian::Little };
        let ctx = Ctx::new(Container::Big, endian);
        let (kind, sections, symbols) = (ImageKind::Dyn, Vec::new(), OnceLock::new());
        Self { kind, machine: 0, ctx, sections, identity, symbols }
    }

    /// Places the sections of a module's debug file at the addresses that the image has
    /// assigned to its own sections, `of`.  A linked file does not change.
    ///
    /// Sections are matched by name, those of one name in order, and only if they are
    /// allocated: offsets in these are the same in both files, whatever other sections the
    /// files have.  Sections that the image lacks are placed after it.
    ///
    /// # Errors
    /// If a section differs in size from the image's: offsets would then not correspond.
    pub fn placed_as(mut self, of: &[Section<'_>]) -> Result<Self, ImageError> {
        if self.kind == ImageKind::Rel {
            module_layout::place_sections_as(&mut self.sections, of).map_err(other_layout)?;
            self.symbols = OnceLock::new();
        }
        Ok(self)
    }

    /// All sections in header order.
    #[must_use]
    pub fn all(&self) -> &[Section<'data>] {
        &self.sections
    }

    /// The first section with a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Section<'data>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Whether there is a full symbol table (`.symtab`).
    #[must_use]
    pub fn has_symbol_table(&self) -> bool {
        elf::has_symbol_table(&self.sections)
    }

    /// GNU build id; `None` if there is none.
    #[must_use]
    pub fn build_id(&self) -> Option<&'data [u8]> {
        self.identity.build_id
    }

    /// Release of the kernel that a module was built for, from its vermagic.
    #[must_use]
    pub fn module_release(&self) -> Option<&'data str> {
        self.identity.release
    }

    /// The debug file that the file names (`.gnu_debuglink`).
    #[must_use]
    pub fn debug_link(&self) -> Option<DebugLink<'data>> {
        self.identity.debug_link
    }

    /// Whether data are big-endian.
    #[must_use]
    pub fn is_big_endian(&self) -> bool {
        !self.ctx.is_little_endian()
    }

    /// The bytes of the first section with a name, inflated if it is compressed and, in a
    /// relocatable file, with its relocations applied.
    ///
    /// # Errors
    /// If the section cannot be inflated.
    pub fn contents(&self, name: &str) -> Result<Option<SectionContents<'data>>, CompressedError> {
        let found = self.sections.iter().position(|section| section.name == name);
        let Some((index, section)) = found.map(|index| (index, &self.sections[index])) else {
            return Ok(None);
        };
        let bytes = section_bytes(section, self.is_big_endian())?;
        let mut contents = SectionContents { bytes, faults: Vec::new() };
        if self.kind == ImageKind::Rel {
            self.relocate(index, &mut contents);
        }
        Ok(Some(contents))
    }

    fn relocate(&self, index: usize, contents: &mut SectionContents<'data>) {
        let is_of_section = |section: &&Section<'_>| {
            section.info as usize == index && matches!(section.kind, SHT_RELA | SHT_REL)
        };
        // Only one relocation section is applied to a section: with thousands for the same
        // bytes, work would grow with the square of the file's size.
        let mut all = self.sections.iter().filter(is_of_section);
        let Some(records) = all.next() else { return };
        let mut fault = |expected, found| {
            let name = records.name.to_owned();
            contents.faults.push(ImageFault::RelocationSection { name, expected, found });
        };
        let others = all.count();
        if others > 0 {
            fault("one relocation section for each section", format!("{others} more, not applied"));
        }
        if records.kind == SHT_REL {
            fault(
                "relocations with addends (SHT_RELA)",
                "relocations without (SHT_REL)".to_owned(),
            );
            return;
        }
        let Some(arch) = arch::of_elf_machine(self.machine) else {
            fault("relocations of a supported architecture", format!("machine {}", self.machine));
            return;
        };
        if !elf::is_symbol_table(&self.sections, records.link) {
            fault("sh_link to name the symbol table", format!("section {}", records.link));
            return;
        }
        let whole = records.data.len() - records.data.len() % RELA;
        if whole != records.data.len() {
            let found = format!("{} bytes in records of {RELA}", records.data.len());
            fault("whole records", found);
        }
        if let Ok(list) = RelocSection::parse(records.data, 0, whole, true, self.ctx)
            && !list.is_empty()
        {
            let failed = self.apply(&list, contents.bytes.to_mut(), arch);
            contents.faults.extend(failed.map(|(first, count, error)| ImageFault::Relocations {
                section: self.sections[index].name.to_owned(),
                count,
                at: first.r_offset,
                kind: first.r_type,
                name: arch.relocation_name(first.r_type),
                error,
            }));
        }
    }

    /// Applies `records` to `bytes` in order.  Returns the first record that fails, the number
    /// of failures, and the reason of the first.
    fn apply(
        &self,
        records: &RelocSection<'_>,
        bytes: &mut [u8],
        arch: &dyn Architecture,
    ) -> Option<(Reloc, usize, RelocationError)> {
        let symbols = self.symbols.get_or_init(|| elf::symbol_addresses(&self.sections, self.ctx));
        let mut failed: Option<(Reloc, usize, RelocationError)> = None;
        for record in records.iter() {
            let relocation = arch.relocation(record.r_type);
            if relocation == Relocation::Ignore {
                continue;
            }
            if let Err(error) = self.apply_one(&record, relocation, bytes, symbols) {
                let (_, count, _) = failed.get_or_insert((record, 0, error));
                *count += 1;
            }
        }
        failed
    }

    fn apply_one(
        &self,
        record: &Reloc,
        relocation: Relocation,
        bytes: &mut [u8],
        symbols: &[Svma],
    ) -> Result<(), RelocationError> {
        let symbol = match record.r_sym {
            0 => Svma(0),
            index => *symbols.get(index).ok_or(RelocationError::NoSymbol { index })?,
        };
        let value = symbol.0.wrapping_add_signed(record.r_addend.unwrap_or(0));
        let size = bytes.len();
        let outside = RelocationError::Outside { size };
        let at = usize::try_from(record.r_offset).map_err(|_| outside)?;
        let rest = bytes.get_mut(at..).ok_or(outside)?;
        if relocation == Relocation::Unknown {
            return Err(RelocationError::NotAWord);
        }
        let length = relocation.field_bytes(rest).ok_or(outside)?;
        let place = Svma(record.r_offset);
        relocation.apply(&mut rest[..length], self.is_big_endian(), place, value)
    }
}

fn other_layout(mismatch: module_layout::OtherSize) -> ImageError {
    let module_layout::OtherSize { name, expected, found } = mismatch;
    ImageError::OtherLayout { name, expected, found }
}
