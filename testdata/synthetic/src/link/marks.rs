//! Which symbols an image has: functions, key objects, and the marker symbols
//! that linker scripts and assemblers add.

use super::extent::undefined;
use super::layout::{AddressMap, entry_size, text_section};
use super::modinfo::THIS_MODULE;
use super::symbols::Definitions;
use crate::elf::consts;
use crate::entry::UNIT;
use crate::spec::{DataSection, Flavour, ImageSpec, Locate, Machine, Scope};

/// All symbols of the image.
pub(super) fn define(spec: &ImageSpec, addresses: &AddressMap) -> Definitions {
    let mut names = Definitions::default();
    let has_mapping_symbols = spec.machine != Machine::X86_64;
    for (function, address) in spec.functions.iter().zip(&addresses.functions) {
        let section = text_section(spec, function.section);
        // Assemblers mark where instructions begin, once a file and section.
        if has_mapping_symbols {
            names.map("$x", &function.file, section, *address);
        }
        let named = (function.name.as_str(), function.scope());
        let extent = (*address, function.insns * UNIT);
        names.define(named, consts::STT_FUNC, section, extent);
    }
    for (key, (section, address)) in spec.keys.iter().zip(&addresses.objects) {
        if let Scope::Local(file) = &key.scope
            && has_mapping_symbols
        {
            names.map("$d", file, section, *address);
        }
        let named = (key.name.as_str(), key.scope.clone());
        names.define(named, consts::STT_OBJECT, section, (*address, key.size));
    }
    for (space, address) in spec.reserved.iter().zip(&addresses.reserved) {
        let named = (space.name.as_str(), Scope::Global);
        names.define(named, consts::STT_OBJECT, ".rodata", (*address, space.size));
    }
    let size = entry_size(spec.layout) * spec.sites.len() as u64;
    if spec.locate == Locate::Symbols {
        names.mark("__start___jump_table", addresses.table_section, addresses.table);
        names.mark("__stop___jump_table", addresses.table_section, addresses.table + size);
    }
    if spec.flavour == Flavour::Kernel {
        kernel_marks(&mut names, spec, addresses);
    }
    if spec.flavour == Flavour::Module {
        module_marks(&mut names, spec, addresses);
    }
    names
}

/// `__this_module`, and the symbols that are defined elsewhere.
fn module_marks(names: &mut Definitions, spec: &ImageSpec, addresses: &AddressMap) {
    let section = addresses.pool.section(THIS_MODULE).expect("a module has it");
    let extent = (section.address, section.content.len());
    let this = ("__this_module", Scope::Global);
    names.define(this, consts::STT_OBJECT, THIS_MODULE, extent);
    for (name, address) in undefined(spec, addresses) {
        names.undefined(name, address);
    }
}

fn kernel_marks(names: &mut Definitions, spec: &ImageSpec, addresses: &AddressMap) {
    let banner = super::layout::banner(spec).len() as u64;
    let linux_banner = ("linux_banner", Scope::Global);
    names.define(linux_banner, consts::STT_OBJECT, ".rodata", (addresses.banner, banner));
    for (start, end, section) in [
        ("_stext", "_etext", ".text"),
        ("_sinittext", "_einittext", ".init.text"),
        ("__exittext_begin", "__exittext_end", ".exit.text"),
        ("_sdata", "_edata", ".data"),
        ("__bss_start", "__bss_stop", ".bss"),
    ] {
        let found = addresses.pool.section(section).filter(|found| !found.content.is_empty());
        if let Some(found) = found {
            names.mark(start, section, found.address);
            names.mark(end, section, found.end());
        }
    }
    if let Some(head) = addresses.pool.section(".head.text") {
        names.mark("_text", ".head.text", head.address);
    }
    let ro_after_init = ("__start_ro_after_init", "__end_ro_after_init");
    key_marks(names, spec, addresses, DataSection::RoAfterInit, ro_after_init);
    let dyndbg = ("__start___dyndbg", "__stop___dyndbg");
    key_marks(names, spec, addresses, DataSection::DynamicDebug, dyndbg);
}

/// The kernel's markers around the keys that came from `section`.
fn key_marks(
    names: &mut Definitions,
    spec: &ImageSpec,
    addresses: &AddressMap,
    section: DataSection,
    (first, last): (&str, &str),
) {
    let objects = spec.keys.iter().zip(&addresses.objects);
    let extents = objects
        .filter(|(key, _)| key.section == section)
        .map(|(key, (linked, address))| (linked, *address, address + key.size));
    if let Some((linked, start, end)) =
        extents.reduce(|all, next| (all.0, all.1.min(next.1), all.2.max(next.2)))
    {
        names.mark(first, linked, start);
        names.mark(last, linked, end);
    }
}
