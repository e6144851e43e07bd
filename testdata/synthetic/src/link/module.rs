//! Modules: laid out like any image, then split into sections at address zero, with a
//! relocation for each field that depends on an address.

use super::extent::{Extent, extent, locate};
use super::layout::{AddressMap, entry_size};
use super::module_relocations::ModuleRelocations;
use crate::dwarf::Fixup;
use crate::elf::{Elf, Section, SymbolSection};
use crate::entry::{self, Entry, SiteBytes};
use crate::spec::{ImageSpec, Machine, SiteInsn, SiteSpec};

/// The bytes of a jump from `from` to `to`: complete, or left to a relocation.
pub(super) fn jump(
    spec: &ImageSpec,
    extents: &[Extent],
    short: bool,
    (from, to): (u64, u64),
) -> SiteBytes {
    if !needs_relocation(spec, extents, (from, to)) {
        return entry::jump(spec.machine, short, from, to);
    }
    let offset = |address| extent(extents, address).map_or(address, |e| address - e.range.start);
    entry::unlinked_jump(spec.machine, short, offset(from), offset(to))
}

/// Whether an assembler leaves a jump to the linker: into another section
/// always, on RISC-V, where linking may move code, every one.
fn needs_relocation(spec: &ImageSpec, extents: &[Extent], (from, to): (u64, u64)) -> bool {
    let section = |address| extent(extents, address).map(|extent| &extent.name);
    spec.flavour == crate::spec::Flavour::Module
        && (spec.machine == Machine::Riscv64 || section(from) != section(to))
}

/// Whether objtool made the NOP at a site of a jump with a relocation: it
/// leaves the relocation there, without effect (tools/objtool/check.c, Linux
/// 6.12, `handle_jump_alt()`).
fn is_former_jump(spec: &ImageSpec, extents: &[Extent], site: &SiteSpec, entry: &Entry) -> bool {
    spec.machine == Machine::X86_64
        && !site.short
        && site.insn == SiteInsn::Initial
        && needs_relocation(spec, extents, (entry.code, entry.target))
}

/// Adds debug sections and their symbols, and returns the remaining fixups, by section.
pub(super) fn add_debug(
    elf: &mut Elf,
    debug: impl Iterator<Item = (Section, Vec<Fixup>)>,
) -> Vec<(String, Vec<Fixup>)> {
    let mut left = Vec::new();
    for (section, fixups) in debug {
        elf.symbols.push(super::symbols::section_symbol(&section));
        left.push((section.name.clone(), fixups));
        elf.sections.push(section);
    }
    left
}

/// Turns the image at its layout's addresses into a module.
pub(super) fn take_apart(
    elf: &mut Elf,
    spec: &ImageSpec,
    (addresses, extents): (&AddressMap, &[Extent]),
    entries: &[Entry],
    debug: &[(String, Vec<Fixup>)],
) {
    let mut relocations =
        ModuleRelocations::new(spec, &mut elf.symbols, |address| locate(extents, address));
    for (index, (site, entry)) in (0..).zip(spec.sites.iter().zip(entries)) {
        relocations.entry(addresses.table + index * entry_size(spec.layout), &site.key, entry);
        if let Some(to) = entry.jump
            && needs_relocation(spec, extents, (entry.code, to))
        {
            relocations.jump(entry.code, to);
        } else if is_former_jump(spec, extents, site, entry) {
            relocations.former_jump(entry.code, entry.target);
        }
    }
    for (pointer, string, _) in &addresses.pointers {
        relocations.pointer(*pointer, *string);
    }
    for (of, fixups) in debug {
        fixups.iter().for_each(|fixup| relocations.fixup(of, fixup));
    }
    for (of, list) in relocations.into_lists() {
        let index = elf.sections.iter().position(|section| section.name == of);
        let index = index.unwrap_or_else(|| panic!("no section {of} to relocate"));
        elf.sections.insert(index + 1, Section::rela(&of, list));
    }
    for symbol in &mut elf.symbols {
        symbol.value = match &symbol.section {
            SymbolSection::Absolute => symbol.value,
            SymbolSection::Undefined => 0,
            SymbolSection::In(name) => {
                let section = extents.iter().find(|extent| extent.name == *name);
                symbol.value - section.map_or(0, |section| section.range.start)
            }
        };
    }
    for section in elf.sections.iter_mut().filter(|section| section.is_loaded()) {
        section.address = if section.name == ".data" { spec.module.data_address } else { 0 };
    }
}
