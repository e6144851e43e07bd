//! An image, an ELF file or a raw one: sections, symbols, identity, and bytes by address.

mod compressed;
pub mod container;
mod debug_sections;
mod elf;
mod error;
mod file;
mod identity;
mod imports;
pub mod kallsyms;
mod kallsyms_symbols;
mod mapped;
mod module_layout;
mod raw;
mod relocate;
mod relocation_sections;
mod section;
mod signature;
mod symbol;
mod symbolic;

pub use compressed::{CompressedError, section_bytes};
pub use debug_sections::{Contents, Sections};
pub use error::{ImageError, ImageFault, ReadError};
pub use file::ImageFile;
pub use identity::DebugLink;
pub use mapped::MappedFile;
pub use relocate::Relocated;
pub use relocation_sections::RelocatedPlaces;
pub use section::{Section, SectionFlags, SectionId};
pub use signature::{
    MessageFault, ModuleSignature, SignatureFault, Signer, SignerKey, module_signature,
};
pub use symbol::{Binding, Symbol, SymbolId, SymbolKind, SymbolOffset, Symbols};
pub use symbolic::SymbolicAddress;

use crate::addr::{AddrRange, FileOffset, Svma};
use crate::arch::Architecture;

/// What kind of file an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// An ELF file.
    Elf,
    /// A raw arm64 kernel, the `Image` of its build
    /// (Documentation/arch/arm64/booting.rst, Linux 6.12).
    Arm64Image,
    /// A raw riscv64 kernel (Documentation/arch/riscv/boot-image-header.rst).
    Riscv64Image,
}

impl ImageFormat {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elf => "elf",
            Self::Arm64Image => "arm64-image",
            Self::Riscv64Image => "riscv64-image",
        }
    }
}

/// What kind of ELF file an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// Runs at the addresses it states (ET_EXEC).
    Exec,
    /// May be loaded elsewhere (ET_DYN): a relocatable kernel, a PIE, a library.
    Dyn,
    /// To be linked or loaded as a module (ET_REL): has no addresses yet.
    Rel,
}

/// An image and everything read from it that needs no interpretation.
#[derive(Debug)]
pub struct Image<'data> {
    data: &'data [u8],
    format: ImageFormat,
    kind: ImageKind,
    big_endian: bool,
    arch: &'static dyn Architecture,
    sections: Vec<Section<'data>>,
    index: section::SectionIndex,
    symbols: Symbols<'data>,
    has_recovered_symbols: bool,
    identity: identity::Identity<'data>,
    relocations: relocation_sections::Relocations<'data>,
    faults: Vec<ImageFault>,
}

impl<'data> Image<'data> {
    /// Reads an image of a supported architecture out of `data`, a whole file.
    ///
    /// # Errors
    /// If nothing can be read: no ELF file or raw kernel, 32 bits, an unknown architecture or
    /// type, no section headers.  Lesser damage is in [`Self::faults`].
    pub fn parse(data: &'data [u8]) -> Result<Self, ImageError> {
        if let Some(header) = raw::Header::detect(data)
            && let Some(arch) = raw::architecture(&header)
        {
            return Ok(raw::parse(data, &header, arch));
        }
        let raw = elf::RawImage::parse(data)?;
        let arch = elf::architecture(raw.machine)?;
        Ok(raw.into_image(data, arch))
    }

    /// Reads the ELF structure for its debug sections alone: any architecture
    /// will do, symbols are left out.
    ///
    /// # Errors
    /// As [`Self::parse`], but for the architecture.
    pub fn parse_sections(data: &'data [u8]) -> Result<Sections<'data>, ImageError> {
        if let Some(header) = raw::Header::detect(data) {
            return Ok(Sections::of_raw(header.is_big_endian(), raw::identity(data, &header)));
        }
        elf::RawImage::parse(data).map(Sections::new)
    }

    /// Takes the symbols of a separate debug file if the image itself was
    /// stripped of them.  Answers whether it did: not if the image has a symbol
    /// table, the file has none, or its sections are not those of the image.
    pub fn adopt_symbols(&mut self, debug_file: &'data [u8]) -> bool {
        if elf::has_symbol_table(&self.sections) {
            return false;
        }
        let Ok(mut raw) = elf::RawImage::parse(debug_file) else { return false };
        if raw.kind != self.kind || !elf::has_symbol_table(&raw.sections) {
            return false;
        }
        // Symbols name sections by index, and those of the file may be others.
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

    /// Size of the file in bytes.
    #[must_use]
    pub fn file_size(&self) -> usize {
        self.data.len()
    }

    /// What kind of file it is.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Name of the type of an ELF file in reports; `None` for raw kernels.
    #[must_use]
    pub fn type_name(&self) -> Option<&'static str> {
        (self.format == ImageFormat::Elf).then_some(match self.kind {
            ImageKind::Exec => "exec",
            ImageKind::Dyn => "dyn",
            ImageKind::Rel => "rel",
        })
    }

    /// Whether it is code of the Linux kernel, the kernel itself or a module,
    /// rather than of a program: it states a release, is a raw kernel, or has the
    /// section in which a module keeps itself (`scripts/mod/modpost.c`, Linux
    /// 6.12, add_header).
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.format != ImageFormat::Elf
            || self.release().is_some()
            || self.section_named(".gnu.linkonce.this_module").is_some()
    }

    /// What kind of ELF file it is; a raw kernel is taken for one that may be
    /// loaded elsewhere.
    #[must_use]
    pub fn kind(&self) -> ImageKind {
        self.kind
    }

    /// Whether data (not instructions) have the most significant byte first.
    #[must_use]
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Its architecture.
    #[must_use]
    pub fn arch(&self) -> &'static dyn Architecture {
        self.arch
    }

    /// All sections in header order.
    #[must_use]
    pub fn sections(&self) -> &[Section<'data>] {
        &self.sections
    }

    /// The section of an id that this image gave out.
    #[must_use]
    pub fn section(&self, id: SectionId) -> &Section<'data> {
        &self.sections[id.index()]
    }

    /// The first section of a name.
    #[must_use]
    pub fn section_named(&self, name: &str) -> Option<&Section<'data>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The allocated section that covers `address`.
    #[must_use]
    pub fn section_at(&self, address: Svma) -> Option<SectionId> {
        self.index.find(address)
    }

    /// Symbols; those of `.symtab`, or else of `.dynsym`, or else recovered ones.
    #[must_use]
    pub fn symbols(&self) -> &Symbols<'data> {
        &self.symbols
    }

    /// Whether the symbols are those that the kernel keeps for itself
    /// ([`kallsyms`]): without sizes, and maybe of code alone.
    #[must_use]
    pub fn has_recovered_symbols(&self) -> bool {
        self.has_recovered_symbols
    }

    /// GNU build id (NT_GNU_BUILD_ID note), if the image has one.
    #[must_use]
    pub fn build_id(&self) -> Option<&'data [u8]> {
        self.identity.build_id
    }

    /// Kernel release (`uname -r`), from a kernel's banner or a module's vermagic.
    #[must_use]
    pub fn release(&self) -> Option<&'data str> {
        self.identity.release
    }

    /// Damage found while reading; not what is wrong with the jump table.
    #[must_use]
    pub fn faults(&self) -> &[ImageFault] {
        &self.faults
    }

    /// `len` bytes of the file at `address`, before relocation.
    ///
    /// # Errors
    /// If no section covers them, the section has no bytes in the file, or it
    /// ends too early.
    pub fn read(&self, address: Svma, len: u64) -> Result<&'data [u8], ReadError> {
        let bytes = self.read_up_to(address, len)?;
        if (bytes.len() as u64) < len {
            let found = bytes.len() as u64;
            return Err(ReadError::Short { at: address, expected: len, found });
        }
        Ok(bytes)
    }

    /// The bytes of the file at `address`, at most `len` and as many as its
    /// section has.
    ///
    /// # Errors
    /// If no section covers `address`, or it has no bytes there.
    pub fn read_up_to(&self, address: Svma, len: u64) -> Result<&'data [u8], ReadError> {
        let id = self.section_at(address).ok_or(ReadError::Unmapped(address))?;
        let section = self.section(id);
        if section.flags.no_bits {
            return Err(ReadError::NoBits(address));
        }
        let skip = usize::try_from(address.0 - section.range.start().0).unwrap_or(usize::MAX);
        let data = section.data.get(skip..).unwrap_or_default();
        Ok(&data[..data.len().min(usize::try_from(len).unwrap_or(usize::MAX))])
    }

    /// Offset in the file of the byte at `address`, if the file has it.
    #[must_use]
    pub fn file_offset(&self, address: Svma) -> Option<FileOffset> {
        let section = self.section(self.section_at(address)?);
        let skip = address.0 - section.range.start().0;
        (!section.flags.no_bits && skip < section.data.len() as u64)
            .then(|| FileOffset(section.offset.0 + skip))
    }

    /// The bytes of `range`, as many as its section has, with the image's own
    /// relocations applied (RELA, RELR) at load bias zero.
    ///
    /// # Errors
    /// As [`Self::read_up_to`].
    pub fn read_relocated(&self, range: AddrRange) -> Result<Relocated<'data>, ReadError> {
        let bytes = self.read_up_to(range.start(), range.size())?;
        let range = AddrRange::sized(range.start(), bytes.len() as u64);
        Ok(self.relocations.apply(range, bytes, self.arch, &self.symbols))
    }

    /// What the relocations inside `range` of a relocatable file refer to, symbol and
    /// addend, by where they are; undefined symbols have addresses of their own
    /// ([`Self::symbolic`]).
    #[must_use]
    pub fn relocation_targets(&self, range: AddrRange) -> Vec<(Svma, Svma)> {
        self.relocations.targets_in(range, &self.symbols)
    }

    /// Where the image's relocations write, for many questions at once.
    #[must_use]
    pub fn relocated_places(&self) -> RelocatedPlaces {
        self.relocations.places()
    }

    /// The slots that the dynamic linker fills with the address of a symbol, by address,
    /// each with the name.
    #[must_use]
    pub fn imports(&self) -> Vec<(Svma, String)> {
        imports::imports(&self.sections, self.is_big_endian())
    }

    /// A 32-bit word of data from the first bytes of `bytes`.
    #[must_use]
    pub fn u32_from(&self, bytes: &[u8]) -> Option<u32> {
        let word = *bytes.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    /// A 16-bit word of data from the first bytes of `bytes`.
    #[must_use]
    pub fn u16_from(&self, bytes: &[u8]) -> Option<u16> {
        let word = *bytes.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
    }

    /// A 64-bit word of data from the first bytes of `bytes`.
    #[must_use]
    pub fn u64_from(&self, bytes: &[u8]) -> Option<u64> {
        let word = *bytes.first_chunk()?;
        Some(if self.big_endian { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) })
    }
}

/// Whether two linked files have the same sections under the same indexes.
fn is_same_layout(ours: &[Section<'_>], theirs: &[Section<'_>]) -> bool {
    ours.iter().zip(theirs).all(|(ours, theirs)| {
        !ours.flags.alloc || (ours.name == theirs.name && ours.range == theirs.range)
    })
}
