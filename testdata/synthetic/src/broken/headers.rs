//! Files whose ELF structures are wrong, or of another machine.

use super::base::{Named, base};
use crate::elf::{Content, Elf, Endian, Section, consts};
use crate::raw::{Raw, SectionField};

/// Far beyond the end of every test image.
const FAR: u64 = 1 << 40;

fn edited(edit: impl Fn(&mut Raw)) -> Vec<u8> {
    let mut raw = Raw::new(base().build());
    edit(&mut raw);
    raw.into_bytes()
}

/// `.data` at the address of `.text`.
#[must_use]
pub fn sections_overlap() -> Vec<u8> {
    edited(|raw| {
        let text = raw.section(".text", SectionField::Address);
        raw.set_section(".data", SectionField::Address, text);
    })
}

/// `e_shoff` beyond the file.
#[must_use]
pub fn section_headers_outside_file() -> Vec<u8> {
    edited(|raw| raw.set_section_headers_offset(FAR))
}

/// `e_shnum` far too high.
#[must_use]
pub fn too_many_section_headers() -> Vec<u8> {
    edited(|raw| raw.set_section_count(0xfeff))
}

/// `e_phoff` beyond the file.
#[must_use]
pub fn program_headers_outside_file() -> Vec<u8> {
    edited(|raw| raw.set_program_headers_offset(FAR))
}

/// `e_shstrndx` beyond the section headers.
#[must_use]
pub fn section_names_missing() -> Vec<u8> {
    edited(|raw| raw.set_section_names_index(0x7fff))
}

/// `.text` beyond the file.
#[must_use]
pub fn text_outside_file() -> Vec<u8> {
    edited(|raw| raw.set_section(".text", SectionField::Offset, FAR))
}

/// `.rodata`, which holds the table, beyond the file.
#[must_use]
pub fn rodata_outside_file() -> Vec<u8> {
    edited(|raw| raw.set_section(".rodata", SectionField::Offset, FAR))
}

/// `sh_offset + sh_size` of `.data` overflows.
#[must_use]
pub fn section_size_overflows() -> Vec<u8> {
    edited(|raw| raw.set_section(".data", SectionField::Size, u64::MAX))
}

/// `.symtab` beyond the file.
#[must_use]
pub fn symtab_outside_file() -> Vec<u8> {
    edited(|raw| raw.set_section(".symtab", SectionField::Offset, FAR))
}

/// `.strtab` beyond the file.
#[must_use]
pub fn strtab_outside_file() -> Vec<u8> {
    edited(|raw| raw.set_section(".strtab", SectionField::Offset, FAR))
}

/// `sh_entsize` of `.symtab` is zero.
#[must_use]
pub fn symtab_entry_size_zero() -> Vec<u8> {
    edited(|raw| raw.set_section(".symtab", SectionField::EntrySize, 0))
}

/// The sections' symbols with names outside `.strtab` and sections that do not
/// exist; every other symbol is sound.
#[must_use]
pub fn symbol_names_wild() -> Vec<u8> {
    edited(|raw| (1..8).for_each(|index| raw.set_symbol(index, u32::MAX, 0xfeff)))
}

/// Functions and keys of enormous sizes at the top of the address space.
#[must_use]
pub fn symbol_values_wild() -> Vec<u8> {
    let mut linked = base().link();
    for name in ["broken_fn", "broken_key"] {
        let symbol = linked.elf.symbol_mut(name).expect("the kernel has the symbol");
        (symbol.value, symbol.size) = (u64::MAX - 3, u64::MAX);
    }
    linked.bytes()
}

/// The first half of the file.
#[must_use]
pub fn truncated() -> Vec<u8> {
    let mut bytes = base().build();
    bytes.truncate(bytes.len() / 2);
    bytes
}

/// The ELF header alone, which still refers to the missing tables.
#[must_use]
pub fn header_only() -> Vec<u8> {
    let mut bytes = base().build();
    bytes.truncate(64);
    bytes
}

/// A big-endian arm64 kernel: sound, and readable.
#[must_use]
pub fn big_endian() -> Vec<u8> {
    let mut spec = base();
    spec.endian = Endian::Big;
    spec.build()
}

/// A 32-bit x86 program: sound, but of another machine.
#[must_use]
pub fn i386() -> Vec<u8> {
    foreign(Endian::Little, false, consts::EM_386).write()
}

/// A big-endian 64-bit PowerPC program: sound, but of another machine.
#[must_use]
pub fn ppc64() -> Vec<u8> {
    foreign(Endian::Big, true, consts::EM_PPC64).write()
}

fn foreign(endian: Endian, is_64: bool, machine: consts::Machine) -> Elf {
    let text = Section::new(".text", vec![0; 32]);
    let table = Section::new("__jump_table", vec![0; 48]);
    Elf {
        endian,
        is_64,
        machine,
        e_type: consts::ET_EXEC,
        entry: 0x40_0000,
        sections: vec![
            text.loaded(0x40_0000, consts::SHF_EXECINSTR, 4),
            table.loaded(0x41_0000, consts::SHF_WRITE, 8),
        ],
        symbols: Vec::new(),
        segments: Vec::new(),
    }
}

/// A `.text` of no bytes in the file (`SHT_NOBITS`), as a debug file has it.
#[must_use]
pub fn text_nobits() -> Vec<u8> {
    let mut linked = base().link();
    let text = linked.elf.section_mut(".text").expect("the kernel has .text");
    text.sh_type = consts::SHT_NOBITS;
    text.content = Content::NoBits(text.content.len());
    linked.bytes()
}

/// Every variant of this module.
#[must_use]
pub fn all() -> Vec<Named> {
    vec![
        ("sections_overlap", sections_overlap()),
        ("section_headers_outside_file", section_headers_outside_file()),
        ("too_many_section_headers", too_many_section_headers()),
        ("program_headers_outside_file", program_headers_outside_file()),
        ("section_names_missing", section_names_missing()),
        ("text_outside_file", text_outside_file()),
        ("rodata_outside_file", rodata_outside_file()),
        ("section_size_overflows", section_size_overflows()),
        ("symtab_outside_file", symtab_outside_file()),
        ("strtab_outside_file", strtab_outside_file()),
        ("symtab_entry_size_zero", symtab_entry_size_zero()),
        ("symbol_names_wild", symbol_names_wild()),
        ("symbol_values_wild", symbol_values_wild()),
        ("truncated", truncated()),
        ("header_only", header_only()),
        ("big_endian", big_endian()),
        ("i386", i386()),
        ("ppc64", ppc64()),
        ("text_nobits", text_nobits()),
    ]
}
