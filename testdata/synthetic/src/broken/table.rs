//! Tables that can be read only in part, or not at all.

use super::base::{Named, base};
use crate::elf::Content;
use crate::link::Linked;
use crate::raw::{Raw, SectionField};
use crate::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use jlctl_shim::abi::AbsoluteEntry;

const START: &str = "__start___jump_table";
const STOP: &str = "__stop___jump_table";
const SECTION: &str = "__jump_table";

/// A kernel whose table ends at the address that `stop` computes from its start.
fn stops_at(stop: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut linked = base().link();
    let end = stop(linked.table.start);
    linked.elf.symbol_mut(STOP).expect("a kernel has the symbol").value = end;
    linked.bytes()
}

/// A user program with a table of two entries in a separate section.
#[must_use]
pub fn with_section() -> ImageSpec {
    ImageSpec::user_exec()
        .key(KeySpec::new("broken_key"))
        .function(FunctionSpec::new("broken_fn", "broken.c", 16))
        .site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "broken_key"))
        .site(SiteSpec::new("broken_fn+16", "broken_fn+0x20", "broken_key").likely())
}

fn without_symbol(name: &str) -> Vec<u8> {
    let mut linked = base().link();
    linked.elf.symbols.retain(|symbol| symbol.name != name);
    linked.bytes()
}

/// Eight bytes beyond the last whole entry, between symbols.
#[must_use]
pub fn size_not_multiple() -> Vec<u8> {
    stops_at(|start| start + 24)
}

/// Eight bytes beyond the last whole entry, in a section.
#[must_use]
pub fn section_size_not_multiple() -> Vec<u8> {
    let mut linked = with_section().link();
    let section = linked.elf.section_mut(SECTION).expect("the program has the section");
    if let Content::Bytes(bytes) = &mut section.content {
        bytes.truncate(bytes.len() - 16);
    }
    linked.bytes()
}

/// The end symbol a mebibyte beyond the end of the file.
#[must_use]
pub fn stop_beyond_file() -> Vec<u8> {
    stops_at(|start| start + (1 << 20))
}

/// The end symbol at the top of the address space: 2^43 entries.
#[must_use]
pub fn stop_at_top() -> Vec<u8> {
    stops_at(|_| 0xffff_ffff_ffff_fff0)
}

/// The end symbol before the start symbol.
#[must_use]
pub fn stop_before_start() -> Vec<u8> {
    stops_at(|start| start - 16)
}

/// The end symbol where the table starts: no entries.
#[must_use]
pub fn empty() -> Vec<u8> {
    stops_at(|start| start)
}

/// No end symbol.
#[must_use]
pub fn stop_missing() -> Vec<u8> {
    without_symbol(STOP)
}

/// No start symbol.
#[must_use]
pub fn start_missing() -> Vec<u8> {
    without_symbol(START)
}

/// Symbols around an address outside every section.
#[must_use]
pub fn outside_sections() -> Vec<u8> {
    let mut linked = base().link();
    for (name, value) in [(START, 0x1000), (STOP, 0x2000)] {
        linked.elf.symbol_mut(name).expect("a kernel has the symbol").value = value;
    }
    linked.bytes()
}

/// A section header that claims 2^58 entries.
#[must_use]
pub fn section_claims_too_much() -> Vec<u8> {
    let linked: Linked = with_section().link();
    let mut raw = Raw::new(linked.bytes());
    raw.set_section(SECTION, SectionField::Size, (AbsoluteEntry::SIZE as u64) << 58);
    raw.into_bytes()
}

/// A file without any table.
#[must_use]
pub fn missing() -> Vec<u8> {
    let mut linked = base().link();
    linked.elf.symbols.retain(|symbol| symbol.name != START && symbol.name != STOP);
    linked.elf.poke(linked.table.start, &[0; 16]);
    linked.bytes()
}

/// Every variant of this module.
#[must_use]
pub fn all() -> Vec<Named> {
    vec![
        ("size_not_multiple", size_not_multiple()),
        ("section_size_not_multiple", section_size_not_multiple()),
        ("stop_beyond_file", stop_beyond_file()),
        ("stop_at_top", stop_at_top()),
        ("stop_before_start", stop_before_start()),
        ("empty", empty()),
        ("stop_missing", stop_missing()),
        ("start_missing", start_missing()),
        ("outside_sections", outside_sections()),
        ("section_claims_too_much", section_claims_too_much()),
        ("missing", missing()),
    ]
}
