//! Edits of a finished ELF64 file, field by field, for faults that the model of [`crate::elf`]
//! cannot express.

use crate::elf::Endian;
use object::endian::Endian as _;

/// A file under edit.
#[derive(Debug, Clone)]
pub struct Raw {
    bytes: Vec<u8>,
    endian: Endian,
}

/// A 64-bit field of a section header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum SectionField {
    /// `sh_flags`.
    Flags = 8,
    /// `sh_addr`.
    Address = 16,
    /// `sh_offset`.
    Offset = 24,
    /// `sh_size`.
    Size = 32,
    /// `sh_entsize`.
    EntrySize = 56,
}

const E_PHOFF: usize = 32;
const E_SHOFF: usize = 40;
const E_SHNUM: usize = 60;
const E_SHSTRNDX: usize = 62;
const SHDR_BYTES: usize = 64;
const SYM_BYTES: usize = 24;
const SH_LINK: usize = 40;
const SH_INFO: usize = 44;
const SYM_SHNDX: usize = 6;

impl Raw {
    /// Starts from a sound ELF64 file.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let endian = if bytes[5] == 2 { Endian::Big } else { Endian::Little };
        Self { bytes, endian }
    }

    /// The edited file.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Sets `e_phoff`.
    pub fn set_program_headers_offset(&mut self, offset: u64) {
        self.put_u64(E_PHOFF, offset);
    }

    /// Sets `e_shoff`.
    pub fn set_section_headers_offset(&mut self, offset: u64) {
        self.put_u64(E_SHOFF, offset);
    }

    /// Sets `e_shnum`.
    pub fn set_section_count(&mut self, count: u16) {
        let bytes = self.endian.write_u16(count);
        self.put(E_SHNUM, &bytes);
    }

    /// Sets `e_shstrndx`.
    pub fn set_section_names_index(&mut self, index: u16) {
        let bytes = self.endian.write_u16(index);
        self.put(E_SHSTRNDX, &bytes);
    }

    /// Sets a field of the section `name`.
    ///
    /// # Panics
    /// If there is no such section.
    pub fn set_section(&mut self, name: &str, field: SectionField, value: u64) {
        let header = self.header(name);
        self.put_u64(header + field as usize, value);
    }

    /// A field of the section `name`.
    ///
    /// # Panics
    /// If there is no such section.
    #[must_use]
    pub fn section(&self, name: &str, field: SectionField) -> u64 {
        self.u64(self.header(name) + field as usize)
    }

    /// Sets `sh_link` of the section `name`.
    ///
    /// # Panics
    /// If there is no such section.
    pub fn set_section_link(&mut self, name: &str, index: u32) {
        let (header, bytes) = (self.header(name), self.endian.write_u32(index));
        self.put(header + SH_LINK, &bytes);
    }

    /// Sets `sh_info` of the section `name`.
    ///
    /// # Panics
    /// If there is no such section.
    pub fn set_section_info(&mut self, name: &str, info: u32) {
        let (header, bytes) = (self.header(name), self.endian.write_u32(info));
        self.put(header + SH_INFO, &bytes);
    }

    /// Number of the first symbol of this name.
    ///
    /// # Panics
    /// If there is no such symbol.
    #[must_use]
    pub fn symbol_index(&self, name: &str) -> usize {
        let (symbols, names) = (self.offset(".symtab"), self.offset(".strtab"));
        let size = self.section(".symtab", SectionField::Size);
        let found = (0..index(size) / SYM_BYTES).find(|number| {
            let at = names + self.u32(symbols + number * SYM_BYTES) as usize;
            self.bytes[at..].strip_prefix(name.as_bytes()).is_some_and(|rest| rest[0] == 0)
        });
        found.unwrap_or_else(|| panic!("no symbol {name}"))
    }

    /// Sets the name offset and the section index of symbol number `index`.
    ///
    /// # Panics
    /// If there is no such symbol.
    pub fn set_symbol(&mut self, index: usize, name: u32, section: u16) {
        let symbol = self.offset(".symtab") + index * SYM_BYTES;
        let (name, section) = (self.endian.write_u32(name), self.endian.write_u16(section));
        self.put(symbol, &name);
        self.put(symbol + SYM_SHNDX, &section);
    }

    /// File offset of the byte at `address`; `None` outside loaded sections
    /// with bytes in the file.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> Option<usize> {
        const ALLOC: u64 = 2;
        const NOBITS: u32 = 8;
        (1..self.count()).map(|index| self.header_at(index)).find_map(|header| {
            let field = |field: SectionField| self.u64(header + field as usize);
            let distance = address.wrapping_sub(field(SectionField::Address));
            let loaded = field(SectionField::Flags) & ALLOC != 0;
            let inside = distance < field(SectionField::Size) && self.u32(header + 4) != NOBITS;
            (loaded && inside).then(|| index(field(SectionField::Offset) + distance))
        })
    }

    /// The header of the section `name`.
    fn header(&self, name: &str) -> usize {
        let found = (1..self.count()).map(|index| self.header_at(index)).find(|header| {
            let text = &self.bytes[self.names() + self.u32(*header) as usize..];
            text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest[0] == 0)
        });
        found.unwrap_or_else(|| panic!("no section {name}"))
    }

    fn header_at(&self, at: usize) -> usize {
        index(self.u64(E_SHOFF)) + at * SHDR_BYTES
    }

    fn count(&self) -> usize {
        self.u16(E_SHNUM).into()
    }

    /// File offset of the section names.
    fn names(&self) -> usize {
        let header = self.header_at(self.u16(E_SHSTRNDX).into());
        index(self.u64(header + SectionField::Offset as usize))
    }

    fn offset(&self, section: &str) -> usize {
        index(self.section(section, SectionField::Offset))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put_u64(&mut self, at: usize, value: u64) {
        let bytes = self.endian.write_u64(value);
        self.put(at, &bytes);
    }

    fn u16(&self, at: usize) -> u16 {
        self.endian.read_u16(self.array(at))
    }

    fn u32(&self, at: usize) -> u32 {
        self.endian.read_u32(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        self.endian.read_u64(self.array(at))
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes[at..at + N].try_into().expect("the slice has N bytes")
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a test image is small")
}
