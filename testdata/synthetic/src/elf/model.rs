//! The model: sections, symbols and segments by name.

use object::{Endianness as Endian, elf};

/// A whole ELF file.
#[derive(Debug, Clone)]
pub struct Elf {
    /// Byte order of everything but A64 instructions.
    pub endian: Endian,
    /// Whether the file is ELFCLASS64.
    pub is_64: bool,
    /// `e_machine`.
    pub machine: elf::Machine,
    /// `e_type`.
    pub e_type: elf::FileType,
    /// `e_entry`.
    pub entry: u64,
    /// Sections in file order, without the null section and the three tables
    /// (`.symtab`, `.strtab`, `.shstrtab`) that the writer adds.
    pub sections: Vec<Section>,
    /// Symbols; the writer moves local ones to the front and keeps the order
    /// otherwise, so that an `STT_FILE` symbol stays before its locals.
    pub symbols: Vec<Symbol>,
    /// Program headers.
    pub segments: Vec<Segment>,
}

/// The content of a section.
#[derive(Debug, Clone)]
pub enum Content {
    /// Bytes of the file.
    Bytes(Vec<u8>),
    /// Memory that the file holds no bytes of, as many as given.
    NoBits(u64),
    /// Relocations of the section that [`Section::info_link`] names; in a
    /// section of `SHT_REL` without their addends.
    Relocations(Vec<Relocation>),
}

impl Content {
    /// Size in bytes: in memory, or of `Elf64_Rela` in the file.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::NoBits(size) => *size,
            Self::Relocations(list) => list.len() as u64 * RELA_BYTES,
        }
    }

    /// Whether the section occupies no memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A section.
#[derive(Debug, Clone)]
pub struct Section {
    /// Name.
    pub name: String,
    /// `sh_type`.
    pub sh_type: elf::SectionType,
    /// `sh_flags`.
    pub flags: elf::SectionFlags,
    /// `sh_addr`.
    pub address: u64,
    /// `sh_addralign`.
    pub align: u64,
    /// `sh_entsize`.
    pub entry_size: u64,
    /// Name of the section that `sh_link` refers to; the writer adds `.symtab`.
    pub link: Option<String>,
    /// `sh_info`, unless `info_link` is set.
    pub info: u32,
    /// Name of the section that `sh_info` refers to.
    pub info_link: Option<String>,
    /// Bytes.
    pub content: Content,
}

impl Section {
    /// A `SHT_PROGBITS` section without flags at address 0 (debug sections).
    #[must_use]
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            sh_type: elf::SHT_PROGBITS,
            flags: elf::SectionFlags(0),
            address: 0,
            align: 1,
            entry_size: 0,
            link: None,
            info: 0,
            info_link: None,
            content: Content::Bytes(bytes),
        }
    }

    /// The same section, loaded at `address` with `flags` in addition to `SHF_ALLOC`.
    #[must_use]
    pub fn loaded(mut self, address: u64, flags: elf::SectionFlags, align: u64) -> Self {
        self.flags = elf::SectionFlags(flags.0 | elf::SHF_ALLOC.0);
        self.address = address;
        self.align = align;
        self
    }

    /// The same section with another type and size of entries.
    #[must_use]
    pub fn typed(mut self, sh_type: elf::SectionType, entry_size: u64) -> Self {
        self.sh_type = sh_type;
        self.entry_size = entry_size;
        self
    }

    /// The same section with `sh_link` leading to the section `name`.
    #[must_use]
    pub fn linked_to(mut self, name: &str) -> Self {
        self.link = Some(name.to_owned());
        self
    }

    /// A section `.rela…` of relocations for the section `of`.
    #[must_use]
    pub fn rela(of: &str, relocations: Vec<Relocation>) -> Self {
        Self {
            flags: elf::SHF_INFO_LINK,
            align: 8,
            info_link: Some(of.to_owned()),
            content: Content::Relocations(relocations),
            ..Self::new(&format!(".rela{of}"), Vec::new())
                .typed(elf::SHT_RELA, RELA_BYTES)
                .linked_to(".symtab")
        }
    }

    /// Bytes that the section has in a file.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::NoBits(_) => 0,
            Content::Relocations(list) if self.sh_type == elf::SHT_REL => {
                list.len() as u64 * REL_BYTES
            }
            Content::Relocations(list) => list.len() as u64 * RELA_BYTES,
        }
    }

    /// `sh_size`.
    pub(super) fn header_size(&self) -> u64 {
        match self.content {
            Content::NoBits(size) => size,
            _ => self.file_size(),
        }
    }

    /// Whether the section occupies memory when the image runs.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.flags.0 & elf::SHF_ALLOC.0 != 0
    }

    /// Whether `address` lies in the loaded section.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.is_loaded() && address.wrapping_sub(self.address) < self.content.len()
    }

    /// First address after the section.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.content.len()
    }
}

/// Bytes of an `Elf64_Rela`.
pub const RELA_BYTES: u64 = 24;
/// Bytes of an `Elf64_Rel`.
pub const REL_BYTES: u64 = 16;

/// The symbol that a relocation refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolRef {
    /// The symbol at this position of [`Elf::symbols`].
    Position(usize),
    /// This symbol number, whether the file has it or not; 0 is no symbol.
    Number(u32),
}

/// A relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    /// `r_offset`, from the start of the section that is relocated.
    pub offset: u64,
    /// Type, as the machine's psABI numbers it.
    pub kind: u32,
    /// Symbol.
    pub symbol: SymbolRef,
    /// `r_addend`.
    pub addend: i64,
}

/// Where a symbol is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SymbolSection {
    /// `SHN_UNDEF`.
    Undefined,
    /// `SHN_ABS`.
    Absolute,
    /// In the section of this name.
    In(String),
}

/// A symbol.
#[derive(Debug, Clone)]
pub struct Symbol {
    /// Name; empty for section symbols.
    pub name: String,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
    /// Binding.
    pub bind: elf::SymbolBind,
    /// Type.
    pub kind: elf::SymbolType,
    /// Section.
    pub section: SymbolSection,
}

/// A program header over a run of sections.
#[derive(Debug, Clone)]
pub struct Segment {
    /// `p_type`.
    pub p_type: elf::ProgramType,
    /// `p_flags`.
    pub flags: elf::ProgramFlags,
    /// First section.
    pub first: String,
    /// Last section.
    pub last: String,
    /// `p_align`.
    pub align: u64,
}

impl Elf {
    /// The section of this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The section of this name, to edit.
    #[must_use]
    pub fn section_mut(&mut self, name: &str) -> Option<&mut Section> {
        self.sections.iter_mut().find(|section| section.name == name)
    }

    /// The first symbol of this name.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.iter().find(|symbol| symbol.name == name)
    }

    /// The first symbol of this name, to edit.
    #[must_use]
    pub fn symbol_mut(&mut self, name: &str) -> Option<&mut Symbol> {
        self.symbols.iter_mut().find(|symbol| symbol.name == name)
    }

    /// Writes `bytes` at `address`; false if no section has bytes there.
    pub fn poke(&mut self, address: u64, bytes: &[u8]) -> bool {
        let found = self.sections.iter_mut().find(|section| section.contains(address));
        let Some(Section { address: base, content: Content::Bytes(content), .. }) = found else {
            return false;
        };
        let start = usize::try_from(address - *base).expect("a test image is small");
        match content.get_mut(start..start + bytes.len()) {
            Some(slot) => {
                slot.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}
