//! Relative relocations of the table and of pointers: `.rela.dyn`, `.relr.dyn` and the dynamic
//! section that refers to them.

use super::pool::{PAGE, Pool, read_only, writable};
use crate::elf::{Elf, Endian, consts};
use crate::spec::{Flavour, ImageSpec, Layout, Machine, Relocations};
use object::endian::Endian as _;

/// Table fields of one absolute entry.
const FIELDS: u64 = 3;
const WORD: u64 = 8;
const RELA_BYTES: u64 = 24;
const SYM_BYTES: u64 = 24;
/// Words that one bitmap of RELR covers.
const RELR_BITS: u64 = 63;

/// Adds the relocation section that `spec` declares.
pub(super) fn add_sections(pool: &mut Pool, spec: &ImageSpec) {
    if spec.relocations == Relocations::None {
        return;
    }
    let user = spec.flavour == Flavour::User;
    if user {
        let mut dynsym = read_only(".dynsym", 8).typed(consts::SHT_DYNSYM, SYM_BYTES);
        dynsym.info = 1;
        pool.add_section(dynsym.linked_to(".dynstr"));
        pool.add(".dynsym", SYM_BYTES, 8);
        pool.add_section(read_only(".dynstr", 1).typed(consts::SHT_STRTAB, 0));
        pool.add(".dynstr", 1, 1);
    }
    let fields = match spec.layout {
        Layout::Absolute => FIELDS * spec.sites.len() as u64,
        Layout::Relative => 0,
    };
    let pointers: usize = spec.keys.iter().map(|key| key.strings().len()).sum();
    let pointers = pointers as u64;
    if spec.relocations == Relocations::Rela {
        let rela = read_only(".rela.dyn", 8).typed(consts::SHT_RELA, RELA_BYTES);
        pool.add_section(if user { rela.linked_to(".dynsym") } else { rela });
        pool.add(".rela.dyn", (fields + pointers) * RELA_BYTES, 8);
    } else {
        pool.add_section(read_only(".relr.dyn", 8).typed(consts::SHT_RELR, WORD));
        // Pointers may be far apart: an address and a bitmap each, at most.
        pool.add(".relr.dyn", (relr_words(fields) + 2 * pointers) * WORD, 8);
    }
}

/// Words of RELR that `fields` consecutive words need.
pub fn relr_words(fields: u64) -> u64 {
    if fields == 0 { 0 } else { 1 + (fields - 1).div_ceil(RELR_BITS) }
}

/// Adds `.dynamic` if the image is relocated.
pub(super) fn add_dynamic(pool: &mut Pool, spec: &ImageSpec) {
    if spec.relocations == Relocations::None {
        return;
    }
    let dynamic = writable(".dynamic", PAGE).typed(consts::SHT_DYNAMIC, 2 * WORD);
    pool.add_section(dynamic.linked_to(".dynstr"));
    pool.add(".dynamic", 2 * WORD * DYNAMIC_ENTRIES, 8);
}

/// Four of the symbol table, three of the relocations, the terminator.
const DYNAMIC_ENTRIES: u64 = 8;

/// Fills the relocation sections for `words`: (address, value), by address.
pub(super) fn fill(elf: &mut Elf, spec: &ImageSpec, words: &[(u64, u64)]) {
    let (places, values): (Vec<u64>, Vec<u64>) = words.iter().copied().unzip();
    match spec.relocations {
        Relocations::None => return,
        Relocations::Rela => {
            poke_section(elf, ".rela.dyn", &rela(elf.endian, spec.machine, &places, &values));
        }
        Relocations::Relr => {
            let mut bytes = relr(elf.endian, &places);
            let room = elf.section(".relr.dyn").map_or(0, |section| section.content.len());
            // A bitmap without bits has no effect.
            while (bytes.len() as u64) < room {
                bytes.extend(elf.endian.write_u64(1));
            }
            poke_section(elf, ".relr.dyn", &bytes);
        }
    }
    if spec.flavour == Flavour::User {
        let dynamic = dynamic(elf);
        poke_section(elf, ".dynamic", &dynamic);
    }
}

fn poke_section(elf: &mut Elf, name: &str, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let address = elf.section(name).unwrap_or_else(|| panic!("no section {name}")).address;
    assert!(elf.poke(address, bytes), "{name} has room for {} bytes", bytes.len());
}

/// `Elf64_Rela` records that store `values`, adjusted to the load address, at `places`.
pub fn rela(endian: Endian, machine: Machine, places: &[u64], values: &[u64]) -> Vec<u8> {
    let info = u64::from(match machine {
        Machine::Aarch64 => consts::R_AARCH64_RELATIVE.0,
        Machine::X86_64 => consts::R_X86_64_RELATIVE.0,
        Machine::Riscv64 => consts::R_RISCV_RELATIVE.0,
    });
    let words = places.iter().zip(values).flat_map(|(place, value)| [*place, info, *value]);
    words.flat_map(|word| endian.write_u64(word)).collect()
}

/// RELR of ascending, aligned addresses: an address, then bitmaps whose bit *n* (from 1) is the
/// *n*-th word after those already covered.
pub fn relr(endian: Endian, places: &[u64]) -> Vec<u8> {
    let mut words = Vec::new();
    let mut rest = places;
    while let [first, tail @ ..] = rest {
        words.push(*first);
        rest = tail;
        let mut base = first + WORD;
        loop {
            let covered = |place: &&u64| **place < base + RELR_BITS * WORD;
            let run = rest.iter().take_while(covered).count();
            if run == 0 {
                break;
            }
            let bits = rest[..run].iter().map(|place| 2u64 << ((place - base) / WORD));
            words.push(bits.fold(1, |bitmap, bit| bitmap | bit));
            rest = &rest[run..];
            base += RELR_BITS * WORD;
        }
    }
    words.into_iter().flat_map(|word| endian.write_u64(word)).collect()
}

fn dynamic(elf: &Elf) -> Vec<u8> {
    let at = |name: &str| elf.section(name).map(|section| (section.address, section.content.len()));
    let (symtab, _) = at(".dynsym").expect("a relocated user image has .dynsym");
    let (strtab, strings) = at(".dynstr").expect("a relocated user image has .dynstr");
    let mut entries = vec![
        (consts::DT_SYMTAB, symtab),
        (consts::DT_SYMENT, SYM_BYTES),
        (consts::DT_STRTAB, strtab),
        (consts::DT_STRSZ, strings),
    ];
    if let Some((address, size)) = at(".rela.dyn") {
        entries.push((consts::DT_RELA, address));
        entries.push((consts::DT_RELASZ, size));
        entries.push((consts::DT_RELAENT, RELA_BYTES));
    }
    if let Some((address, size)) = at(".relr.dyn") {
        entries.push((consts::DT_RELR, address));
        entries.push((consts::DT_RELRSZ, size));
        entries.push((consts::DT_RELRENT, WORD));
    }
    entries.push((consts::DT_NULL, 0));
    let words = entries.into_iter().flat_map(|(tag, value)| [tag.0.cast_unsigned(), value]);
    words.flat_map(|word| elf.endian.write_u64(word)).collect()
}
