//! An image: its sections, symbols and identity, and bytes by address.

use super::error::ImageFault;
use super::format::{ImageFormat, ImageKind};
use super::identity::ImageIdentity;
use super::imports::{self, ImportSlot};
use super::relocate::Relocated;
use super::relocation_sections::{RelocatedAddresses, Relocations};
use super::section::{Section, SectionId, SectionIndex};
use super::symbol::Symbols;
use crate::addr::{AddrRange, FileOffset, Svma};
use crate::arch::Architecture;
use std::sync::OnceLock;

/// An image and everything read from it without interpretation.
#[derive(Debug)]
pub struct Image<'data> {
    pub(super) data: &'data [u8],
    pub(super) format: ImageFormat,
    pub(super) kind: ImageKind,
    pub(super) big_endian: bool,
    pub(super) arch: &'static dyn Architecture,
    pub(super) sections: Vec<Section<'data>>,
    pub(super) index: SectionIndex,
    pub(super) symbols: Symbols<'data>,
    pub(super) has_recovered_symbols: bool,
    pub(super) identity: ImageIdentity<'data>,
    pub(super) relocations: Relocations<'data>,
    pub(super) faults: Vec<ImageFault>,
    pub(super) imports: OnceLock<Vec<ImportSlot>>,
}

impl<'data> Image<'data> {
    /// Size of the file in bytes.
    #[must_use]
    pub fn file_size(&self) -> usize {
        self.data.len()
    }

    /// The format of the file.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Name of the ELF type in reports; `None` for raw kernels.
    #[must_use]
    pub fn type_name(&self) -> Option<&'static str> {
        (self.format == ImageFormat::Elf).then_some(match self.kind {
            ImageKind::Exec => "exec",
            ImageKind::Dyn => "dyn",
            ImageKind::Rel => "rel",
        })
    }

    /// Whether the image is code of the Linux kernel (the kernel itself or a module) and not of
    /// a program: it states a release, is a raw kernel, or has the section that holds a
    /// module's `struct module` (`scripts/mod/modpost.c`, Linux 6.12, add_header).
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.format != ImageFormat::Elf
            || self.release().is_some()
            || self.section_named(".gnu.linkonce.this_module").is_some()
    }

    /// The ELF type; a raw kernel counts as one that may be loaded at another address.
    #[must_use]
    pub fn kind(&self) -> ImageKind {
        self.kind
    }

    /// Whether data (not instructions) are big-endian.
    #[must_use]
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// The architecture.
    #[must_use]
    pub fn arch(&self) -> &'static dyn Architecture {
        self.arch
    }

    /// All sections in header order.
    #[must_use]
    pub fn sections(&self) -> &[Section<'data>] {
        &self.sections
    }

    /// The section with an id of this image.
    #[must_use]
    pub fn section(&self, id: SectionId) -> &Section<'data> {
        &self.sections[id.index()]
    }

    /// The first section with a name.
    #[must_use]
    pub fn section_named(&self, name: &str) -> Option<&Section<'data>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The allocated section that covers `address`.
    #[must_use]
    pub fn section_at(&self, address: Svma) -> Option<SectionId> {
        self.index.find(address)
    }

    /// The symbols: those of `.symtab`, or else of `.dynsym`, or else recovered ones.
    #[must_use]
    pub fn symbols(&self) -> &Symbols<'data> {
        &self.symbols
    }

    /// Whether the symbols come from the kernel's own table ([`super::kallsyms`]): they have no
    /// sizes, and may be of code only.
    #[must_use]
    pub fn has_recovered_symbols(&self) -> bool {
        self.has_recovered_symbols
    }

    /// GNU build id (NT_GNU_BUILD_ID note); `None` if the image has none.
    #[must_use]
    pub fn build_id(&self) -> Option<&'data [u8]> {
        self.identity.build_id
    }

    /// Kernel release (`uname -r`), from a kernel's banner or a module's vermagic.
    #[must_use]
    pub fn release(&self) -> Option<&'data str> {
        self.identity.release
    }

    /// Damage found while reading the image; defects of the jump table are not included.
    #[must_use]
    pub fn faults(&self) -> &[ImageFault] {
        &self.faults
    }

    /// `len` bytes of the file at `address`, before relocation.
    ///
    /// # Errors
    /// If no section covers the address, the section has no bytes in the file, or it ends too
    /// early.
    pub fn read(&self, address: Svma, len: u64) -> Result<&'data [u8], ReadError> {
        let bytes = self.read_up_to(address, len)?;
        if (bytes.len() as u64) < len {
            let found = bytes.len() as u64;
            return Err(ReadError::Short { at: address, expected: len, found });
        }
        Ok(bytes)
    }

    /// The bytes of the file at `address`, as many as its section has and at most `len`.
    ///
    /// # Errors
    /// If no section covers `address`, or the section has no bytes in the file.
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

    /// File offset of the byte at `address`; `None` if the file does not have it.
    #[must_use]
    pub fn file_offset(&self, address: Svma) -> Option<FileOffset> {
        let section = self.section(self.section_at(address)?);
        let skip = address.0 - section.range.start().0;
        (!section.flags.no_bits && skip < section.data.len() as u64)
            .then(|| FileOffset(section.offset.0 + skip))
    }

    /// The bytes of `range`, as many as its section has, with the image's own relocations
    /// (RELA, RELR) applied at load bias zero.
    ///
    /// # Errors
    /// As [`Self::read_up_to`].
    pub fn read_relocated(&self, range: AddrRange) -> Result<Relocated<'data>, ReadError> {
        let bytes = self.read_up_to(range.start(), range.size())?;
        let range = AddrRange::sized(range.start(), bytes.len() as u64);
        Ok(self.relocations.apply(range, bytes, self.arch, &self.symbols))
    }

    /// The addresses at which the image's relocations write, for many queries.
    #[must_use]
    pub fn relocated_addresses(&self) -> RelocatedAddresses {
        self.relocations.addresses()
    }

    /// The slots that the dynamic linker fills with the address of a symbol, by address.
    #[must_use]
    pub fn imports(&self) -> &[ImportSlot] {
        self.imports.get_or_init(|| imports::imports(&self.sections, self.is_big_endian()))
    }

    /// The slot of the dynamic linker at an address.
    #[must_use]
    pub fn import_at(&self, at: Svma) -> Option<&ImportSlot> {
        let imports = self.imports();
        let index = imports.binary_search_by_key(&at, |import| import.slot).ok()?;
        imports.get(index)
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

/// Why the bytes at an address are not readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No section covers the address.
    #[error("no section covers {0}")]
    Unmapped(Svma),
    /// The section has no bytes in the file.
    #[error("{0} lies in a section without bytes in the file (NOBITS)")]
    NoBits(Svma),
    /// The section ends, in memory or in the file, before the last byte.
    #[error("{at}: expected {expected} bytes, found {found} before the section ends")]
    Short {
        /// First address requested.
        at: Svma,
        /// Number of bytes requested.
        expected: u64,
        /// Number of bytes present.
        found: u64,
    },
}
