//! Symbols that a dynamic linker fills in: which slot gets the address of which name.

use super::section::Section;
use crate::addr::Svma;

/// ELF section type of relocations with addends.
const SHT_RELA: u32 = 4;
/// ELF section type of the symbols for the dynamic linker.
const SHT_DYNSYM: u32 = 11;
/// Bytes of a relocation with addend.
const RELA: usize = 24;
/// Bytes of a symbol.
const SYM: usize = 24;

/// The slots of `sections` that relocations of the dynamic linker fill with the address of
/// a symbol, with its name.
pub(super) fn imports(sections: &[Section<'_>], big_endian: bool) -> Vec<(Svma, String)> {
    let number = |bytes: &[u8], at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk::<8>()?;
        Some(if big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    };
    let mut found = Vec::new();
    for section in sections.iter().filter(|section| section.kind == SHT_RELA) {
        let Some(symbols) = sections.get(section.link as usize) else { continue };
        if symbols.kind != SHT_DYNSYM {
            continue;
        }
        let strings = sections.get(symbols.link as usize).map_or(&[][..], |strings| strings.data);
        let name = |symbol: usize| {
            let symbol = symbols.data.get(symbol.checked_mul(SYM)?..)?.first_chunk::<4>()?;
            let at =
                if big_endian { u32::from_be_bytes(*symbol) } else { u32::from_le_bytes(*symbol) };
            let name = strings.get(usize::try_from(at).ok()?..)?;
            let name = &name[..memchr::memchr(0, name)?];
            (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
        };
        for record in section.data.chunks_exact(RELA) {
            let (Some(slot), Some(info)) = (number(record, 0), number(record, 8)) else { continue };
            let symbol = usize::try_from(info >> 32).unwrap_or(0);
            if symbol != 0
                && let Some(name) = name(symbol)
            {
                found.push((Svma(slot), name));
            }
        }
    }
    found.sort();
    found.dedup_by_key(|(slot, _)| *slot);
    found
}
