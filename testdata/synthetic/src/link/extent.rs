//! The parts of a module's layout, and the location of an address in terms of its file.

use super::layout::AddressMap;
use crate::elf::Section;
use crate::spec::ImageSpec;
use std::ops::Range;

/// Distance between the undefined symbols of the layout.
const APART: u64 = 0x1_0000;

/// A location in terms of a module's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a section.
    Section {
        /// Its name.
        name: String,
        /// Bytes from its start.
        offset: u64,
    },
    /// At or after a symbol that another image defines.
    Undefined {
        /// Its name.
        name: String,
        /// Bytes from its value.
        offset: u64,
    },
}

/// A part of the layout.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) name: String,
    pub(super) range: Range<u64>,
    undefined: bool,
}

/// The undefined symbols and their addresses in the layout.
pub(super) fn undefined<'a>(
    spec: &'a ImageSpec,
    addresses: &AddressMap,
) -> impl Iterator<Item = (&'a str, u64)> {
    let end = addresses.pool.sections().iter().map(Section::end).max().unwrap_or(0);
    let first = end.next_multiple_of(APART);
    let names = spec.module.undefined.iter().map(String::as_str);
    names.zip((0u64..).map(move |index| first + index * APART))
}

/// The parts of the layout.
pub(super) fn extents(spec: &ImageSpec, addresses: &AddressMap) -> Vec<Extent> {
    let sections = addresses.pool.sections().iter().filter(|section| !section.content.is_empty());
    let section = |section: &Section| Extent {
        name: section.name.clone(),
        range: section.address..section.end(),
        undefined: false,
    };
    let elsewhere = undefined(spec, addresses).map(|(name, address)| Extent {
        name: name.to_owned(),
        range: address..address + APART,
        undefined: true,
    });
    sections.map(section).chain(elsewhere).collect()
}

/// The part that holds `address`, or ends there.
pub(super) fn extent(extents: &[Extent], address: u64) -> Option<&Extent> {
    let inside = extents.iter().find(|extent| extent.range.contains(&address));
    inside.or_else(|| extents.iter().find(|extent| extent.range.end == address))
}

/// See [`super::Linked::location`].
pub(super) fn locate(extents: &[Extent], address: u64) -> Option<Location> {
    let Extent { name, range, undefined } = extent(extents, address)?;
    let (name, offset) = (name.clone(), address - range.start);
    Some(match undefined {
        true => Location::Undefined { name, offset },
        false => Location::Section { name, offset },
    })
}
