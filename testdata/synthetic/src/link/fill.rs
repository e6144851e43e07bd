//! Contents: instructions, keys and the table, once addresses are known.

use super::layout::AddressMap;
use crate::elf::{Elf, Endian};
use crate::entry::{self, Entry, UNIT};
use crate::spec::{Descriptor, Flavour, Holder, ImageSpec, KeySpec, Layout, Relocations};
use jlctl_shim::abi::{
    AbsoluteEntry, ENTRY_BRANCH, ENTRY_INIT, KEY_TYPE_TRUE, RelativeEntry, StaticKey,
};
use object::endian::Endian as _;

/// NOPs everywhere in code sections, and a return at the end of each function.
pub(super) fn functions(elf: &mut Elf, spec: &ImageSpec, addresses: &AddressMap) {
    for section in elf.sections.iter_mut().filter(|section| is_code(section)) {
        if let crate::elf::Content::Bytes(bytes) = &mut section.content {
            entry::fill_code(spec.machine, bytes);
        }
    }
    for (function, address) in spec.functions.iter().zip(&addresses.functions) {
        assert!(function.insns > 0, "function {} is empty", function.name);
        elf.poke(address + (function.insns - 1) * UNIT, &entry::end_of_function(spec.machine));
    }
}

/// Whether a section holds instructions.
pub(super) fn is_code(section: &crate::elf::Section) -> bool {
    section.flags.0 & crate::elf::consts::SHF_EXECINSTR.0 != 0
}

/// Bytes of a key object: each of its keys, zero elsewhere.
pub(super) fn object(elf: &Elf, key: &KeySpec) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(key.size).expect("a test image is small")];
    for index in 0..key.count {
        let start = usize::try_from(key.offset).expect("small") + index_bytes(index);
        let mut put = |offset: usize, field: &[u8]| {
            let slot = bytes.get_mut(start + offset..start + offset + field.len());
            slot.unwrap_or_else(|| panic!("{} is too small for its keys", key.name))
                .copy_from_slice(field);
        };
        put(StaticKey::ENABLED, &elf.endian.write_i32(key.enabled));
        let r#type = if key.initially_true { KEY_TYPE_TRUE } else { 0 };
        put(StaticKey::TYPE, &elf.endian.write_u64(r#type));
    }
    if let Some(Holder::DynamicDebug(descriptor)) = key.variable.as_ref().map(|v| &v.holder) {
        let bits = elf.endian.write_u32(descriptor.bits(elf.endian == Endian::Big));
        let at = usize::try_from(Descriptor::BITS_OFFSET).expect("small");
        bytes[at..at + 4].copy_from_slice(&bits);
    }
    bytes
}

fn index_bytes(index: u64) -> usize {
    usize::try_from(index).expect("small") * StaticKey::SIZE
}

/// The state that a key at `address` was defined with; false if there is no key.
pub(super) fn is_initially_true(spec: &ImageSpec, addresses: &AddressMap, address: u64) -> bool {
    spec.keys.iter().zip(&addresses.objects).any(|(key, (_, object))| {
        let first = object + key.offset;
        let end = first + key.count * StaticKey::SIZE as u64;
        key.initially_true && (first..end).contains(&address)
    })
}

/// The key word of an entry: the key's address and the flag bits.
pub(super) fn key_word(entry: &Entry) -> u64 {
    let branch = if entry.branch { ENTRY_BRANCH } else { 0 };
    let init = if entry.init { ENTRY_INIT } else { 0 };
    entry.key | branch | init
}

/// Writes the strings that objects point to, and the pointers that no
/// relocation provides.
pub(super) fn pointers(elf: &mut Elf, spec: &ImageSpec, addresses: &AddressMap) {
    let zero = spec.flavour == Flavour::Module || spec.relocations == Relocations::Rela;
    for (pointer, string, text) in &addresses.pointers {
        let bytes = [text.as_bytes(), b"\0"].concat();
        assert!(elf.poke(*string, &bytes), "a string lies in the file");
        let value = if zero { 0 } else { *string };
        let value = elf.endian.write_u64(value);
        assert!(elf.poke(*pointer, &value), "an object with pointers has bytes in the file");
    }
}

/// The words that depend on the load address: (address, value), by address.
pub(super) fn words(
    spec: &ImageSpec,
    addresses: &AddressMap,
    entries: &[Entry],
) -> Vec<(u64, u64)> {
    let mut words: Vec<(u64, u64)> =
        addresses.pointers.iter().map(|(pointer, string, _)| (*pointer, *string)).collect();
    if spec.layout == Layout::Absolute {
        let places = (addresses.table..).step_by(8);
        words.extend(places.zip(absolute_fields(entries)));
    }
    words.sort_unstable();
    words
}

/// The fields of an absolute table, in order.
fn absolute_fields(entries: &[Entry]) -> Vec<u64> {
    entries.iter().flat_map(|entry| [entry.code, entry.target, key_word(entry)]).collect()
}

/// The table's bytes in the file.
pub(super) fn table(elf: &Elf, spec: &ImageSpec, start: u64, entries: &[Entry]) -> Vec<u8> {
    if spec.flavour == Flavour::Module {
        // Its relocations are the only truth.
        let size = super::layout::entry_size(spec.layout) * entries.len() as u64;
        return vec![0; usize::try_from(size).expect("a test image is small")];
    }
    match (spec.layout, spec.relocations) {
        (Layout::Relative, _) => entries
            .iter()
            .zip(0u64..)
            .flat_map(|(entry, i)| relative(elf, start + i * RelativeEntry::SIZE as u64, entry))
            .collect(),
        (Layout::Absolute, Relocations::Rela) => vec![0; entries.len() * AbsoluteEntry::SIZE],
        (Layout::Absolute, _) => absolute_fields(entries)
            .into_iter()
            .flat_map(|field| elf.endian.write_u64(field))
            .collect(),
    }
}

fn relative(elf: &Elf, at: u64, entry: &Entry) -> Vec<u8> {
    let short = |field: usize, to: u64| {
        let distance = to.wrapping_sub(at + field as u64).cast_signed();
        elf.endian.write_i32(i32::try_from(distance).unwrap_or_else(|_| {
            panic!("the entry at {at:#x} cannot hold a displacement to {to:#x}")
        }))
    };
    let key = key_word(entry).wrapping_sub(at + RelativeEntry::KEY as u64);
    let mut bytes = vec![0; RelativeEntry::SIZE];
    bytes[RelativeEntry::CODE..][..4].copy_from_slice(&short(RelativeEntry::CODE, entry.code));
    bytes[RelativeEntry::TARGET..][..4]
        .copy_from_slice(&short(RelativeEntry::TARGET, entry.target));
    bytes[RelativeEntry::KEY..][..8].copy_from_slice(&elf.endian.write_u64(key));
    bytes
}
