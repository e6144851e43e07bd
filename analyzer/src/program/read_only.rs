//! Data that a program cannot change, relocations applied.

use crate::addr::{AddrRange, Svma};
use crate::image::{Image, Section};

/// Sections that are not written once the program runs, whatever their flags.
const CONSTANT: [&str; 3] = [".rodata", ".data.rel.ro", ".got"];

/// Whether a section is not written once the program runs.
pub(super) fn is_constant(section: &Section<'_>) -> bool {
    !section.flags.write || CONSTANT.iter().any(|name| section.name.starts_with(name))
}

/// The 8 bytes at `at`, relocations applied; `None` if the program can change them.
pub(crate) fn constant_at(image: &Image<'_>, at: Svma) -> Option<u64> {
    let section = image.section(image.section_at(at)?);
    if !is_constant(section) {
        return None;
    }
    if let Some(import) = image.import_at(at) {
        return import.definition.map(|definition| definition.0);
    }
    let relocated = image.read_relocated(AddrRange::sized(at, 8)).ok()?;
    image.u64_from(&relocated.bytes)
}

/// The aligned words of data that the program cannot change, relocations applied, with their
/// addresses.
pub(crate) fn constants<'a>(image: &'a Image<'_>) -> impl Iterator<Item = (Svma, u64)> + 'a {
    let sections = image.sections().iter();
    sections.filter(|section| section.is_data() && is_constant(section)).flat_map(|section| {
        let words = words(image, section).unwrap_or_default();
        let start = section.range.start();
        (0u64..).zip(words).map(move |(index, word)| (start.wrapping_add(index * 8), word))
    })
}

/// The aligned words of data that the program can change, as they are when it starts, with their
/// addresses.
pub(crate) fn variables<'a>(image: &'a Image<'_>) -> impl Iterator<Item = (Svma, u64)> + 'a {
    let is_variable =
        |section: &&Section<'_>| section.name.starts_with(".data") && !is_constant(section);
    image.sections().iter().filter(is_variable).flat_map(|section| {
        let words = words(image, section).unwrap_or_default();
        let start = section.range.start();
        (0u64..).zip(words).map(move |(index, word)| (start.wrapping_add(index * 8), word))
    })
}

/// The aligned words of a section, relocations applied.
pub(super) fn words(image: &Image<'_>, section: &Section<'_>) -> Option<Vec<u64>> {
    let range = AddrRange::sized(section.range.start(), section.data.len() as u64);
    let relocated = image.read_relocated(range).ok()?;
    let chunks = relocated.bytes.as_chunks::<8>().0.iter();
    chunks.map(|bytes| image.u64_from(bytes)).collect()
}
