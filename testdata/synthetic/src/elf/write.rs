//! [`Elf`] to bytes.

use super::model::{Content, Elf, Relocation, Section, Segment, Symbol, SymbolRef, SymbolSection};
use object::endian::Endian as _;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, SectionIndex, Sym, Writer};
use object::{Endianness as Endian, elf};
use std::collections::HashMap;

/// File offsets of loaded sections agree with their addresses modulo this.
const PAGE: u64 = 0x1000;

/// Where the parts of the file go, known once everything is reserved.
struct Reserved<'a> {
    sections: Vec<(&'a Section, u64, StringId)>,
    indexes: HashMap<&'a str, SectionIndex>,
    symbols: Vec<(&'a Symbol, Option<StringId>)>,
}

impl Elf {
    /// The bytes of the file.
    ///
    /// # Panics
    /// If a symbol, a segment or a link names a section that does not exist.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(self.endian, self.is_64, &mut bytes);
        let reserved = self.reserve(&mut writer);
        self.write_reserved(&mut writer, &reserved);
        bytes
    }

    fn reserve<'a>(&'a self, writer: &mut Writer<'a>) -> Reserved<'a> {
        writer.reserve_file_header();
        let segments = u32::try_from(self.segments.len()).expect("few segments");
        writer.reserve_program_headers(segments);
        let mut sections: Vec<(&Section, u64, StringId)> = Vec::new();
        let mut indexes = HashMap::new();
        for section in &self.sections {
            let offset = self.offset(section, &sections, writer.reserved_len());
            writer.reserve_until(offset);
            writer.reserve(section.file_size(), 1);
            let name = writer.add_section_name(section.name.as_bytes());
            indexes.insert(section.name.as_str(), writer.reserve_section_index());
            sections.push((section, offset, name));
        }
        let symbols = self.reserve_symbols(writer, &mut indexes);
        writer.reserve_shstrtab_section_index();
        writer.reserve_shstrtab().expect("section names fit");
        writer.reserve_section_headers();
        Reserved { sections, indexes, symbols }
    }

    fn reserve_symbols<'a>(
        &'a self,
        writer: &mut Writer<'a>,
        indexes: &mut HashMap<&'a str, SectionIndex>,
    ) -> Vec<(&'a Symbol, Option<StringId>)> {
        if self.symbols.is_empty() {
            return Vec::new();
        }
        let mut symbols: Vec<_> = self.symbols.iter().collect();
        symbols.sort_by_key(|symbol| symbol.bind != elf::STB_LOCAL);
        let named: Vec<_> = symbols
            .into_iter()
            .map(|symbol| {
                writer.reserve_symbol_index(index_of(&symbol.section, indexes));
                let name = symbol.name.as_bytes();
                (symbol, (!name.is_empty()).then(|| writer.add_string(name)))
            })
            .collect();
        indexes.insert(".symtab", writer.reserve_symtab_section_index());
        writer.reserve_symtab();
        writer.reserve_strtab_section_index();
        writer.reserve_strtab().expect("symbol names fit");
        named
    }

    /// The file offset of `section` when `end` bytes are taken already.
    fn offset(&self, section: &Section, before: &[(&Section, u64, StringId)], end: u64) -> u64 {
        let file_backed = !matches!(section.content, Content::NoBits(_));
        if !section.is_loaded() || !file_backed || self.segments.is_empty() {
            return end.next_multiple_of(section.align.max(1));
        }
        // Inside a segment, the distance in the file is that in memory.
        let segment = self.load_segment_of(&section.name);
        let start = before.iter().find(|(other, ..)| {
            segment.is_some_and(|segment| other.name == segment.first) && other.is_loaded()
        });
        match start {
            Some((first, offset, _)) if section.address >= first.address => {
                end.max(offset + (section.address - first.address))
            }
            _ => end + (section.address.wrapping_sub(end) % PAGE),
        }
    }

    fn load_segment_of(&self, name: &str) -> Option<&Segment> {
        let position = |name: &str| self.sections.iter().position(|other| other.name == name);
        let at = position(name)?;
        self.segments.iter().filter(|segment| segment.p_type == elf::PT_LOAD).find(|segment| {
            position(&segment.first).is_some_and(|first| first <= at)
                && position(&segment.last).is_some_and(|last| at <= last)
        })
    }

    fn write_reserved(&self, writer: &mut Writer<'_>, reserved: &Reserved<'_>) {
        let header = FileHeader {
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            e_type: self.e_type,
            e_machine: self.machine,
            e_entry: self.entry,
            e_flags: file_flags(self.machine),
        };
        writer.write_file_header(&header).expect("the file is small");
        writer.write_align_program_headers();
        for segment in &self.segments {
            writer.write_program_header(&program_header(segment, &reserved.sections));
        }
        for (section, offset, _) in &reserved.sections {
            writer.pad_until(*offset);
            match &section.content {
                Content::Bytes(bytes) => writer.write(bytes),
                Content::Relocations(list) => {
                    let (symbols, sh_type) = (&self.symbols, section.sh_type);
                    writer.write(&encode(self.endian, list, symbols, sh_type));
                }
                Content::NoBits(_) => {}
            }
        }
        if !reserved.symbols.is_empty() {
            write_symbols(writer, reserved);
        }
        writer.write_shstrtab();
        write_section_headers(writer, reserved);
    }
}

/// `e_flags`: a RISC-V kernel has compressed instructions and the soft-float ABI.
fn file_flags(machine: elf::Machine) -> elf::FileFlags {
    if machine == elf::EM_RISCV { elf::EF_RISCV_RVC } else { elf::FileFlags(0) }
}

fn index_of(
    section: &SymbolSection,
    indexes: &HashMap<&str, SectionIndex>,
) -> Option<SectionIndex> {
    match section {
        SymbolSection::In(name) => {
            Some(*indexes.get(name.as_str()).unwrap_or_else(|| panic!("no section {name}")))
        }
        SymbolSection::Undefined | SymbolSection::Absolute => None,
    }
}

fn program_header(segment: &Segment, sections: &[(&Section, u64, StringId)]) -> ProgramHeader {
    let find = |name: &str| {
        let position = sections.iter().position(|(section, ..)| section.name == name);
        position.unwrap_or_else(|| panic!("no section {name} for a segment"))
    };
    let (first, last) = (find(&segment.first), find(&segment.last));
    let (start, offset, _) = sections[first];
    let run = &sections[first..=last];
    let file_end = run
        .iter()
        .filter(|(section, ..)| matches!(section.content, Content::Bytes(_)))
        .map(|(section, offset, _)| offset + section.content.len())
        .max()
        .unwrap_or(offset);
    ProgramHeader {
        p_type: segment.p_type,
        p_flags: segment.flags,
        p_offset: offset,
        p_vaddr: start.address,
        p_paddr: start.address,
        p_filesz: file_end - offset,
        p_memsz: sections[last].0.end() - start.address,
        p_align: segment.align,
    }
}

fn write_symbols(writer: &mut Writer<'_>, reserved: &Reserved<'_>) {
    writer.write_align(8);
    writer.write_null_symbol();
    for (symbol, name) in &reserved.symbols {
        let section = index_of(&symbol.section, &reserved.indexes);
        let special = match symbol.section {
            SymbolSection::Absolute => elf::SHN_ABS,
            SymbolSection::Undefined | SymbolSection::In(_) => elf::SHN_UNDEF,
        };
        writer.write_symbol(&Sym {
            section: section.map(|index| index.0),
            st_name: writer.string_offset(*name),
            st_info: elf::SymbolInfo::new(symbol.bind, symbol.kind),
            st_other: elf::SymbolOther(0),
            st_shndx: special,
            st_value: symbol.value,
            st_size: symbol.size,
        });
    }
    writer.write_strtab();
}

fn write_section_headers(writer: &mut Writer<'_>, reserved: &Reserved<'_>) {
    writer.write_align(8);
    writer.write_null_section_header();
    for (section, offset, name) in &reserved.sections {
        let index = |name: &String| {
            reserved.indexes.get(name.as_str()).unwrap_or_else(|| panic!("no section {name}")).0
        };
        writer.write_section_header(&SectionHeader {
            sh_name: writer.section_name_offset(Some(*name)),
            sh_type: section.sh_type,
            sh_flags: section.flags,
            sh_addr: section.address,
            sh_offset: *offset,
            sh_size: section.header_size(),
            sh_link: section.link.as_ref().map_or(0, index),
            sh_info: section.info_link.as_ref().map_or(section.info, index),
            sh_addralign: section.align,
            sh_entsize: section.entry_size,
        });
    }
    if !reserved.symbols.is_empty() {
        let local = reserved.symbols.iter().filter(|(s, _)| s.bind == elf::STB_LOCAL).count();
        writer.write_symtab_section_header(u32::try_from(local + 1).expect("few symbols"));
        writer.write_strtab_section_header();
    }
    writer.write_shstrtab_section_header();
}

/// The bytes of `relocations`: `Elf64_Rela`, or `Elf64_Rel` (which has no
/// addend) in a section of `SHT_REL`.
fn encode(
    endian: Endian,
    relocations: &[Relocation],
    symbols: &[Symbol],
    sh_type: elf::SectionType,
) -> Vec<u8> {
    let numbers = numbers(symbols);
    let encode = |relocation: &Relocation| {
        let symbol = match relocation.symbol {
            SymbolRef::Number(number) => number,
            SymbolRef::Position(position) => numbers[position],
        };
        let info = u64::from(symbol) << 32 | u64::from(relocation.kind);
        let mut words = vec![relocation.offset, info];
        if sh_type != elf::SHT_REL {
            words.push(relocation.addend.cast_unsigned());
        }
        words.into_iter().flat_map(|word| endian.write_u64(word)).collect::<Vec<u8>>()
    };
    relocations.iter().flat_map(encode).collect()
}

/// The number that each symbol gets in the file: local ones first, from 1.
fn numbers(symbols: &[Symbol]) -> Vec<u32> {
    let is_local = |symbol: &Symbol| symbol.bind == elf::STB_LOCAL;
    let locals = symbols.iter().filter(|symbol| is_local(symbol)).count();
    let (mut local, mut global) = (1, 1 + u32::try_from(locals).expect("few symbols"));
    let number = |symbol: &Symbol| {
        let next = if is_local(symbol) { &mut local } else { &mut global };
        *next += 1;
        *next - 1
    };
    symbols.iter().map(number).collect()
}
