//! Names of keys that `jlctl link` leaves in a program, for use when the program's symbols are
//! stripped.
//!
//! `jlctl_shim::note` defines the format of the note.  A damaged note yields no names.

use crate::addr::Svma;
use crate::image::Image;
use foldhash::{HashMap, HashMapExt as _};
use jlctl_shim::note::{Linked, Name, SECTION, TYPE_LINKED, find};
use std::mem::offset_of;

/// The names by the addresses of their keys; empty for a program that is not linked.
pub(super) fn names<'data>(image: &Image<'data>) -> HashMap<Svma, &'data str> {
    read(image).unwrap_or_default()
}

fn read<'data>(image: &Image<'data>) -> Option<HashMap<Svma, &'data str>> {
    let section = image.section_named(SECTION)?;
    let (kind, at) = find(section.data, 4)?;
    if kind != TYPE_LINKED {
        return None;
    }
    let descriptor = section.data.get(at..)?.get(..Linked::SIZE)?;
    let start = section.range.start().wrapping_add(at as u64);
    let field = |offset: usize| u64_at(descriptor, offset);
    let address_at =
        |offset: usize| Some(start.wrapping_add(offset as u64).wrapping_add(field(offset)?));
    let count = field(offset_of!(Linked, names_count))?;
    let table_at = address_at(offset_of!(Linked, names))?;
    let table = image.read(table_at, count.checked_mul(Name::SIZE as u64)?).ok()?;
    let text_len = field(offset_of!(Linked, text_len))?;
    let text = image.read(address_at(offset_of!(Linked, text))?, text_len).ok()?;
    decode(table, table_at, text)
}

/// The names of `table`, which lies at `table_at`; `None` if the names together are longer than
/// their text.  Otherwise the whole text as the name of many keys could exhaust the memory.
fn decode<'a>(table: &[u8], table_at: Svma, text: &'a [u8]) -> Option<HashMap<Svma, &'a str>> {
    let mut names = HashMap::with_capacity(table.len() / Name::SIZE);
    let mut left = text.len();
    for (index, entry) in table.chunks_exact(Name::SIZE).enumerate() {
        let own = table_at.wrapping_add((index * Name::SIZE) as u64);
        let key = own.wrapping_add(u64_at(entry, offset_of!(Name, key))?);
        let word = |offset: usize| usize::try_from(u32_at(entry, offset)?).ok();
        let (start, len) = (word(offset_of!(Name, start))?, word(offset_of!(Name, len))?);
        left = left.checked_sub(len)?;
        let name = text.get(start..start.checked_add(len)?)?;
        names.insert(key, std::str::from_utf8(name).ok()?);
    }
    Some(names)
}

// Linked programs are little-endian (`jlctl_shim::note`).

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_le_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: i64, start: u32, len: u32) -> Vec<u8> {
        [&key.to_le_bytes()[..], &start.to_le_bytes(), &len.to_le_bytes()].concat()
    }

    #[test]
    fn names_are_found_by_the_addresses_of_their_keys() {
        let table = [entry(0x100, 0, 2), entry(-0x10, 2, 3)].concat();
        let names = decode(&table, Svma(0x1000), b"oneon").expect("it is valid");
        assert_eq!(names.get(&Svma(0x1100)), Some(&"on"));
        assert_eq!(names.get(&Svma(0x1000)), Some(&"eon"));
    }

    #[test]
    fn a_damaged_note_yields_no_names() {
        let text = [b"name".as_slice(), &[0xff]].concat();
        for table in [
            entry(0, 3, 3),
            entry(0, 4, 1),
            entry(0, u32::MAX, u32::MAX),
            // Each name lies in the text, but together they are longer.
            [entry(0, 0, 4), entry(8, 0, 4)].concat(),
        ] {
            assert_eq!(decode(&table, Svma(0), &text), None, "{table:?}");
        }
    }
}
