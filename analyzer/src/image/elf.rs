//! The structure of an ELF file, through goblin: headers, sections, symbols.
//!
//! goblin decodes single records.  This module checks counts, offsets and sizes against the
//! file before it uses them.

use super::error::{ImageError, ImageFault};
use super::format::{ImageFormat, ImageKind};
use super::identity::ImageIdentity;
use super::model::Image;
use super::module_layout;
use super::relocation_sections::Relocations;
use super::section::{Section, SectionFlags, SectionId, SectionIndex};
use super::symbol::{Binding, SYM, Symbol, SymbolId, SymbolKind, Symbols};
use crate::addr::{AddrRange, FileOffset, Svma};
use crate::arch::{self, Architecture};
use goblin::container::{Container, Ctx};
use goblin::elf::program_header::{self, ProgramHeader};
use goblin::elf::section_header::{self, SHN_COMMON, SHN_UNDEF, SectionHeader};
use goblin::elf::sym::{self, Symtab};
use goblin::elf::{header, sym::Sym};

/// Size of an ELF64 section header, in bytes.
const SHDR: usize = 64;

/// Section indexes of symbols that another file defines.
const UNDEFINED: [usize; 2] = [SHN_UNDEF as usize, SHN_COMMON as usize];

/// Sections and header fields, before they are interpreted.
pub(super) struct ElfStructure<'data> {
    pub(super) machine: u16,
    pub(super) big_endian: bool,
    pub(super) ctx: Ctx,
    pub(super) sections: Vec<Section<'data>>,
    pub(super) kind: ImageKind,
    faults: Vec<ImageFault>,
}

pub(super) fn architecture(machine: u16) -> Result<&'static dyn Architecture, ImageError> {
    arch::of_elf_machine(machine)
        .ok_or_else(|| ImageError::Machine { machine, name: header::machine_to_str(machine) })
}

impl<'data> ElfStructure<'data> {
    pub(super) fn parse(data: &'data [u8]) -> Result<Self, ImageError> {
        let header = parse_header(data)?;
        let kind = match header.e_type {
            header::ET_EXEC => ImageKind::Exec,
            header::ET_DYN => ImageKind::Dyn,
            header::ET_REL => ImageKind::Rel,
            other => return Err(ImageError::Type(other)),
        };
        let big_endian = header.e_ident[header::EI_DATA] == header::ELFDATA2MSB;
        let endian = if big_endian {
            goblin::container::Endian::Big
        } else {
            goblin::container::Endian::Little
        };
        let ctx = Ctx::new(Container::Big, endian);
        let mut faults = Vec::new();
        let headers = section_headers(data, &header, ctx, &mut faults)?;
        let mut sections = sections(data, &headers, usize::from(header.e_shstrndx), &mut faults);
        if kind != ImageKind::Rel {
            limit_to_segments(&mut sections, data, &header, ctx);
        }
        if kind == ImageKind::Rel {
            let align: Vec<u64> = headers.iter().map(|header| header.sh_addralign).collect();
            faults.extend(module_layout::place_sections(&mut sections, &align).into_iter().map(
                |id| {
                    let section = &sections[id.index()];
                    ImageFault::SectionTooLarge {
                        name: section.name.to_owned(),
                        size: headers[id.index()].sh_size,
                        placed: section.range.size(),
                    }
                },
            ));
        }
        Ok(Self { machine: header.e_machine, big_endian, ctx, sections, kind, faults })
    }

    pub(super) fn into_image(
        self,
        data: &'data [u8],
        arch: &'static dyn Architecture,
    ) -> Image<'data> {
        let identity = ImageIdentity::of_sections(&self.sections, self.ctx);
        let Self { big_endian, ctx, sections, kind, mut faults, .. } = self;
        let index = SectionIndex::new(&sections);
        let name = |id: SectionId| sections[id.index()].name.to_owned();
        faults.extend(index.overlaps(&sections).map(|(first, second, range)| {
            ImageFault::SectionsOverlap { first: name(first), second: name(second), range }
        }));
        let symbols = symbols(&sections, ctx, kind, arch, &mut faults);
        let relocations = Relocations::new(&sections, ctx, kind, &mut faults);
        let identity = identity.with_release(&sections, &symbols);
        Image {
            data,
            format: ImageFormat::Elf,
            kind,
            big_endian,
            arch,
            sections,
            index,
            symbols,
            has_recovered_symbols: false,
            identity,
            relocations,
            faults,
            imports: std::sync::OnceLock::new(),
        }
    }
}

/// Clears the flag of executable sections that lie in a segment that is loaded and not executable:
/// the program header decides how memory is mapped (gABI, "Program Header").
fn limit_to_segments(sections: &mut [Section<'_>], data: &[u8], header: &header::Header, ctx: Ctx) {
    let Ok(start) = usize::try_from(header.e_phoff) else { return };
    let count = usize::from(header.e_phnum);
    let Some(bytes) = data.get(start..).filter(|_| count > 0) else { return };
    let Ok(segments) = ProgramHeader::parse(bytes, 0, count, ctx) else { return };
    for section in sections.iter_mut().filter(|section| section.flags.exec) {
        let holds = |segment: &&ProgramHeader| {
            segment.p_type == program_header::PT_LOAD
                && AddrRange::sized(Svma(segment.p_vaddr), segment.p_memsz)
                    .contains(section.range.start())
        };
        let mut segments = segments.iter().filter(holds).peekable();
        if segments.peek().is_some() {
            section.flags.exec = segments.any(ProgramHeader::is_executable);
        }
    }
}

fn parse_header(data: &[u8]) -> Result<header::Header, ImageError> {
    if !data.starts_with(header::ELFMAG) {
        return Err(ImageError::NotElf { found: looks_like(data) });
    }
    let short =
        ImageError::ShortHeader { expected: header::header64::SIZEOF_EHDR, found: data.len() };
    let Some(ident) = data.get(..header::SIZEOF_IDENT) else { return Err(short) };
    let field =
        |field, expected, found: u8| ImageError::Header { field, expected, found: found.into() };
    match ident[header::EI_CLASS] {
        header::ELFCLASS64 => {}
        class => return Err(field("EI_CLASS", "a 64-bit image (2)", class)),
    }
    match ident[header::EI_DATA] {
        header::ELFDATA2LSB | header::ELFDATA2MSB => {}
        order => return Err(field("EI_DATA", "a byte order (1 little, 2 big)", order)),
    }
    // goblin selects class and byte order by the identification bytes.
    goblin::elf::Elf::parse_header(data).map_err(|_| short)
}

/// The likely format of a file that is not ELF, for the message.
fn looks_like(data: &[u8]) -> &'static str {
    const ARM64_IMAGE_MAGIC: usize = 0x38;
    if data.is_empty() {
        "an empty file"
    } else if data.get(ARM64_IMAGE_MAGIC..ARM64_IMAGE_MAGIC + 4) == Some(b"ARM\x64") {
        "a raw arm64 kernel Image that ends inside its header"
    } else if data.starts_with(&[0x1f, 0x8b]) {
        "gzip data (unpack it first)"
    } else if data.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        "xz data (unpack it first)"
    } else if data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        "zstd data (unpack it first)"
    } else if data.starts_with(b"MZ") {
        "a PE/EFI executable"
    } else if data.starts_with(b"!<arch>\n") {
        "an ar archive"
    } else if data[..data.len().min(512)]
        .iter()
        .all(|byte| matches!(byte, 9..=13 | 32..=126 | 128..))
    {
        "text"
    } else {
        "other bytes"
    }
}

fn section_headers(
    data: &[u8],
    header: &header::Header,
    ctx: Ctx,
    faults: &mut Vec<ImageFault>,
) -> Result<Vec<SectionHeader>, ImageError> {
    if usize::from(header.e_shentsize) != SHDR {
        let found = header.e_shentsize.into();
        return Err(ImageError::Header {
            field: "e_shentsize",
            expected: "section headers of 64 bytes",
            found,
        });
    }
    let table =
        usize::try_from(header.e_shoff).ok().and_then(|at| data.get(at..)).unwrap_or_default();
    let first = read_section_header(table, 0, ctx);
    // 0 although a table is present: the count exceeds the field and is in header 0 (gABI).
    let count = match (header.e_shnum, &first) {
        (0, Some(first)) => first.sh_size,
        (count, _) => u64::from(count),
    };
    if header.e_shoff == 0 || first.is_none() || count == 0 {
        let (offset, file_size) = (FileOffset(header.e_shoff), data.len() as u64);
        return Err(ImageError::SectionHeaders { offset, count, file_size });
    }
    let present = (table.len() / SHDR) as u64;
    if count > present {
        faults.push(ImageFault::SectionHeadersCut { expected: count, found: present });
    }
    let readable = usize::try_from(count.min(present)).unwrap_or(0);
    Ok((0..readable).map_while(|index| read_section_header(table, index, ctx)).collect())
}

fn read_section_header(table: &[u8], index: usize, ctx: Ctx) -> Option<SectionHeader> {
    let at = index.checked_mul(SHDR)?;
    let bytes = table.get(at..at.checked_add(SHDR)?)?;
    SectionHeader::parse_from(bytes, 0, 1, ctx).ok()?.into_iter().next()
}

fn sections<'data>(
    data: &'data [u8],
    headers: &[SectionHeader],
    names: usize,
    faults: &mut Vec<ImageFault>,
) -> Vec<Section<'data>> {
    // The index exceeds the field and is in header 0 (gABI, SHN_XINDEX).
    let names = match headers.first() {
        Some(first) if names == usize::from(u16::MAX) => first.sh_link as usize,
        _ => names,
    };
    if names >= headers.len() {
        faults.push(ImageFault::SectionNames { index: names, sections: headers.len() });
    }
    let names = headers.get(names).map_or(&[][..], |header| file_bytes(data, header));
    headers.iter().map(|header| section(data, names, header, faults)).collect()
}

fn section<'data>(
    data: &'data [u8],
    names: &'data [u8],
    header: &SectionHeader,
    faults: &mut Vec<ImageFault>,
) -> Section<'data> {
    let flag = |flag: u32| header.sh_flags & u64::from(flag) != 0;
    let flags = SectionFlags {
        alloc: flag(section_header::SHF_ALLOC),
        exec: flag(section_header::SHF_EXECINSTR),
        write: flag(section_header::SHF_WRITE),
        no_bits: header.sh_type == section_header::SHT_NOBITS,
        tls: flag(section_header::SHF_TLS),
        compressed: flag(section_header::SHF_COMPRESSED),
        mixed: false,
    };
    let name = string_at(names, header.sh_name);
    let bytes = file_bytes(data, header);
    let has_bytes = !flags.no_bits && header.sh_type != section_header::SHT_NULL;
    if has_bytes && (bytes.len() as u64) < header.sh_size {
        faults.push(ImageFault::SectionOutsideFile {
            name: name.to_owned(),
            offset: FileOffset(header.sh_offset),
            size: header.sh_size,
            file_size: data.len() as u64,
        });
    }
    let size = if flags.alloc { header.sh_size } else { 0 };
    Section {
        name,
        range: AddrRange::sized(Svma(header.sh_addr), size),
        offset: FileOffset(header.sh_offset),
        data: if has_bytes { bytes } else { &[] },
        flags,
        kind: header.sh_type,
        link: header.sh_link,
        info: header.sh_info,
    }
}

/// The bytes that a header claims, as far as the file has them.
fn file_bytes<'data>(data: &'data [u8], header: &SectionHeader) -> &'data [u8] {
    let at = usize::try_from(header.sh_offset).unwrap_or(usize::MAX);
    let rest = data.get(at..).unwrap_or_default();
    &rest[..rest.len().min(usize::try_from(header.sh_size).unwrap_or(usize::MAX))]
}

fn string_at(strings: &[u8], offset: usize) -> &str {
    let bytes = strings.get(offset..).unwrap_or_default();
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).unwrap_or_default()
}

/// Whether the sections include a full symbol table, not only the dynamic one.
pub(super) fn has_symbol_table(sections: &[Section<'_>]) -> bool {
    sections.iter().any(|section| section.kind == section_header::SHT_SYMTAB)
}

pub(super) fn symbols<'data>(
    sections: &[Section<'data>],
    ctx: Ctx,
    kind: ImageKind,
    arch: &dyn Architecture,
    faults: &mut Vec<ImageFault>,
) -> Symbols<'data> {
    let of_kind = |kind| sections.iter().find(|section| section.kind == kind);
    let Some(table) =
        of_kind(section_header::SHT_SYMTAB).or_else(|| of_kind(section_header::SHT_DYNSYM))
    else {
        return Symbols::default();
    };
    let strings = sections.get(table.link as usize).map_or(&[][..], |section| section.data);
    let mut fault = |expected, found: String| {
        faults.push(ImageFault::SymbolTable { name: table.name.to_owned(), expected, found });
    };
    if table.data.len() % SYM != 0 {
        fault("a multiple of 24 bytes", format!("{} bytes", table.data.len()));
    }
    // Ids have 32 bits; 2^32 symbols would take a table of 96 GiB.
    let count = (table.data.len() / SYM).min(u32::MAX as usize);
    let Ok(raw) = Symtab::parse(table.data, 0, count, ctx) else {
        return Symbols::default();
    };
    let mut file = None;
    let mut nameless = 0usize;
    // The iterator has no size hint.
    let mut symbols: Vec<Symbol> = Vec::with_capacity(count);
    symbols.extend((0u32..).zip(raw.iter()).map(|(id, raw)| {
        nameless += usize::from(raw.st_name >= strings.len() && raw.st_name != 0);
        symbol(SymbolId(id), &raw, sections.len(), &mut file)
    }));
    if nameless > 0 {
        fault("names inside the string table", format!("{nameless} outside of it"));
    }
    let externals = match kind {
        ImageKind::Rel => place_symbols(&mut symbols, sections),
        ImageKind::Exec | ImageKind::Dyn => Vec::new(),
    };
    let sections: Vec<(bool, AddrRange)> =
        sections.iter().map(|section| (section.is_executable(), section.range)).collect();
    Symbols::new(strings, symbols, &sections, arch).with_externals(externals)
}

/// Whether section `index` is a full symbol table.
pub(super) fn is_symbol_table(sections: &[Section<'_>], index: u32) -> bool {
    let table = sections.get(index as usize);
    table.is_some_and(|table| table.kind == section_header::SHT_SYMTAB)
}

/// The addresses of the symbols of a relocatable file by number, as [`symbols`] assigns them.
pub(super) fn symbol_addresses(sections: &[Section<'_>], ctx: Ctx) -> Vec<Svma> {
    let table = sections.iter().find(|section| section.kind == section_header::SHT_SYMTAB);
    let raw = table.and_then(|table| {
        Symtab::parse(table.data, 0, (table.data.len() / SYM).min(u32::MAX as usize), ctx).ok()
    });
    let Some(raw) = raw else { return Vec::new() };
    let read = |(id, raw)| symbol(SymbolId(id), &raw, sections.len(), &mut None);
    let mut symbols: Vec<Symbol> = (0u32..).zip(raw.iter()).map(read).collect();
    place_symbols(&mut symbols, sections);
    symbols.into_iter().map(|symbol| symbol.address).collect()
}

/// Turns the values of symbols of a relocatable file, which are offsets into sections, into
/// addresses.  Returns the undefined symbols in the order of their addresses.
fn place_symbols(symbols: &mut [Symbol], sections: &[Section<'_>]) -> Vec<SymbolId> {
    let mut externals = Vec::new();
    for (id, symbol) in (0u32..).map(SymbolId).zip(symbols) {
        if let Some(section) = symbol.section.and_then(|id| sections.get(id.index())) {
            symbol.address = section.range.start().wrapping_add(symbol.address.0);
        } else if symbol.is_undefined {
            symbol.address = module_layout::external_address(externals.len());
            externals.push(id);
        }
    }
    externals
}

fn symbol(id: SymbolId, raw: &Sym, sections: usize, file: &mut Option<SymbolId>) -> Symbol {
    let kind = match raw.st_type() {
        sym::STT_FUNC | sym::STT_GNU_IFUNC => SymbolKind::Function,
        sym::STT_OBJECT => SymbolKind::Object,
        sym::STT_NOTYPE => SymbolKind::Untyped,
        sym::STT_FILE => SymbolKind::File,
        _ => SymbolKind::Other,
    };
    let binding = match raw.st_bind() {
        sym::STB_LOCAL => Binding::Local,
        sym::STB_WEAK => Binding::Weak,
        _ => Binding::Global,
    };
    if kind == SymbolKind::File {
        // An STT_FILE without a name ends the scope: linkers put it before the local symbols
        // that they generate.
        *file = (raw.st_name != 0).then_some(id);
    }
    let section = (raw.st_shndx != 0 && raw.st_shndx < sections)
        .then(|| u32::try_from(raw.st_shndx).ok().map(SectionId))
        .flatten();
    Symbol {
        address: Svma(raw.st_value),
        size: raw.st_size,
        section,
        kind,
        binding,
        file: if binding == Binding::Local { *file } else { None },
        is_undefined: id.0 != 0 && UNDEFINED.contains(&raw.st_shndx),
        name: u32::try_from(raw.st_name).unwrap_or(u32::MAX),
    }
}
