//! Names of keys that `jlctl link` leaves in a program, for when its symbols are stripped.
//!
//! The format of the note is `jlctl_shim::note`'s. What is damaged names nothing.

use crate::addr::Svma;
use crate::image::Image;
use foldhash::{HashMap, HashMapExt as _};
use jlctl_shim::note::{Linked, Name, SECTION, TYPE_LINKED, find};
use std::mem::offset_of;

/// The names by the addresses of their keys; none in a program that is not linked.
pub(super) fn names(image: &Image<'_>) -> HashMap<Svma, String> {
    read(image).unwrap_or_default()
}

fn read(image: &Image<'_>) -> Option<HashMap<Svma, String>> {
    let section = image.section_named(SECTION)?;
    let (kind, at) = find(section.data, 4)?;
    if kind != TYPE_LINKED {
        return None;
    }
    let descriptor = section.data.get(at..)?.get(..Linked::SIZE)?;
    let start = section.range.start().wrapping_add(at as u64);
    let field = |offset: usize| image.u64_from(descriptor.get(offset..)?);
    let place =
        |offset: usize| Some(start.wrapping_add(offset as u64).wrapping_add(field(offset)?));
    let count = field(offset_of!(Linked, names_count))?;
    let table_at = place(offset_of!(Linked, names))?;
    let table = image.read(table_at, count.checked_mul(Name::SIZE as u64)?).ok()?;
    let text_len = field(offset_of!(Linked, text_len))?;
    let text = image.read(place(offset_of!(Linked, text))?, text_len).ok()?;
    let mut names = HashMap::with_capacity(table.len() / Name::SIZE);
    for (index, entry) in table.chunks_exact(Name::SIZE).enumerate() {
        let own = table_at.wrapping_add((index * Name::SIZE) as u64);
        let key = own.wrapping_add(image.u64_from(entry)?);
        let word = |offset: usize| image.u32_from(entry.get(offset..)?);
        let (start, len) = (word(offset_of!(Name, start))?, word(offset_of!(Name, len))?);
        let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
        let name = text.get(start..start.checked_add(len)?)?;
        names.insert(key, std::str::from_utf8(name).ok()?.to_owned());
    }
    Some(names)
}
