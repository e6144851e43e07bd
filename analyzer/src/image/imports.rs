//! Slots that the dynamic linker fills with the addresses of symbols.

use super::relocation_sections::RELA;
use super::section::Section;
use super::symbol::SYM;
use crate::addr::Svma;
use goblin::elf::section_header::{SHN_UNDEF, SHT_DYNSYM, SHT_RELA};
use goblin::elf::sym::STT_GNU_IFUNC;

/// A slot that the dynamic linker fills with the address of a symbol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportSlot {
    /// Address of the slot.
    pub slot: Svma,
    /// Name of the symbol.
    pub name: String,
    /// The definition in the same file, if it has one. The dynamic linker takes it unless the
    /// executable defines the symbol too (gABI, "Shared Object Dependencies").
    pub definition: Option<Svma>,
}

/// An entry of a dynamic symbol table, as far as a slot needs it (gABI, "Symbol Table").
struct DynamicSymbol {
    name: usize,
    kind: u8,
    section: u16,
    value: u64,
}

/// The slots of `sections`, by address.
pub(super) fn imports(sections: &[Section<'_>], big_endian: bool) -> Vec<ImportSlot> {
    let mut found = Vec::new();
    for section in sections.iter().filter(|section| section.kind == SHT_RELA) {
        let Some(symbols) = sections.get(section.link as usize) else { continue };
        if symbols.kind != SHT_DYNSYM {
            continue;
        }
        let strings = sections.get(symbols.link as usize).map_or(&[][..], |strings| strings.data);
        let records = section.data.chunks_exact(RELA);
        found.extend(records.filter_map(|record| slot(record, symbols.data, strings, big_endian)));
    }
    found.sort();
    found.dedup_by_key(|import| import.slot);
    found
}

fn slot(record: &[u8], symbols: &[u8], strings: &[u8], big_endian: bool) -> Option<ImportSlot> {
    let slot = Svma(u64_at(record, 0, big_endian)?);
    let number = usize::try_from(u64_at(record, 8, big_endian)? >> 32).ok()?;
    if number == 0 {
        return None;
    }
    let symbol = symbol(symbols.get(number.checked_mul(SYM)?..)?, big_endian)?;
    let name = strings.get(symbol.name..)?;
    let name = &name[..memchr::memchr(0, name)?];
    // The value of an indirect function is the function that chooses one.
    let is_defined =
        u32::from(symbol.section) != SHN_UNDEF && symbol.value != 0 && symbol.kind != STT_GNU_IFUNC;
    let definition = is_defined.then_some(Svma(symbol.value));
    let name = String::from_utf8_lossy(name).into_owned();
    (!name.is_empty()).then_some(ImportSlot { slot, name, definition })
}

/// The first symbol of `bytes`.
fn symbol(bytes: &[u8], big_endian: bool) -> Option<DynamicSymbol> {
    let name = *bytes.first_chunk::<4>()?;
    let section = *bytes.get(6..)?.first_chunk::<2>()?;
    let (name, section) = if big_endian {
        (u32::from_be_bytes(name), u16::from_be_bytes(section))
    } else {
        (u32::from_le_bytes(name), u16::from_le_bytes(section))
    };
    Some(DynamicSymbol {
        name: usize::try_from(name).ok()?,
        kind: bytes.get(4)? & 0xf,
        section,
        value: u64_at(bytes, 8, big_endian)?,
    })
}

fn u64_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u64> {
    let bytes = *bytes.get(at..)?.first_chunk()?;
    Some(if big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A symbol of these values, and a JUMP_SLOT of it at 0x5000.
    fn import_of(kind: u8, section: u16, value: u64, big_endian: bool) -> Option<ImportSlot> {
        let bytes = |number: u64, count: usize| {
            let bytes = number.to_le_bytes().into_iter().take(count);
            if big_endian { bytes.rev().collect() } else { bytes.collect::<Vec<u8>>() }
        };
        let symbol = [
            bytes(1, 4),
            vec![1 << 4 | kind, 0],
            bytes(section.into(), 2),
            bytes(value, 8),
            vec![0; 8],
        ];
        let symbols = [vec![0; SYM], symbol.concat()].concat();
        let record = [bytes(0x5000, 8), bytes(1 << 32 | 1026, 8), vec![0; 8]].concat();
        slot(&record, &symbols, b"\0callee\0", big_endian)
    }

    #[test]
    fn a_slot_has_the_definition_of_the_same_file() {
        const FUNC: u8 = 2;
        for big_endian in [false, true] {
            let definition = |kind, section, value| {
                let import = import_of(kind, section, value, big_endian).unwrap();
                assert_eq!((import.slot, &*import.name), (Svma(0x5000), "callee"));
                import.definition
            };
            assert_eq!(definition(FUNC, 7, 0x1234), Some(Svma(0x1234)));
            assert_eq!(definition(FUNC, 0, 0), None, "undefined");
            assert_eq!(definition(FUNC, 0, 0x1234), None, "the address of a stub in a program");
            assert_eq!(definition(STT_GNU_IFUNC, 7, 0x1234), None, "a function that chooses one");
        }
    }
}
