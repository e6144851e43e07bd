//! Typed keys: the debug information of the objects that hold keys, and their content, read
//! back through gimli and `object`.

use gimli::{AttributeValue, EndianSlice, LittleEndian, constants as dw};
use jlctl_synthetic::elf::{Content, Endian};
use jlctl_synthetic::link::Linked;
use jlctl_synthetic::spec::{
    DataSection, Descriptor, FunctionSpec, Holder, ImageSpec, KeySpec, Relocations, SiteSpec,
};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SymbolKind};
use std::collections::BTreeMap;

const CORE: &str = "kernel/trace.c";
const USER: &str = "net/core/dev.c";
const OTHER: &str = "drivers/net/dev.c";

fn descriptor() -> Descriptor {
    Descriptor {
        modname: "dev".to_owned(),
        function: "netif_demo".to_owned(),
        filename: USER.to_owned(),
        format: "carrier %d\n".to_owned(),
        lineno: 0x2_0bad,
        class_id: 0x3f,
        flags: 0x81,
    }
}

fn filled(spec: ImageSpec) -> ImageSpec {
    let tracepoint = KeySpec::new("__tracepoint_demo");
    spec.key(tracepoint.held_by(Holder::Tracepoint, CORE).declared_in(USER))
        .key(
            KeySpec::new("cpu_hwcap_keys")
                .array(5)
                .in_section(DataSection::RoAfterInit)
                .held_by(Holder::StaticKeyFalse, CORE)
                .declared_in(USER)
                .by_specification(),
        )
        .key(KeySpec::new("busy").local_to(USER).held_by(Holder::StaticKeyTrue, USER))
        .key(
            KeySpec::new("busy")
                .local_to(OTHER)
                .in_section(DataSection::Bss)
                .held_by(Holder::StaticKeyFalse, OTHER),
        )
        .key(KeySpec::dynamic_debug("__UNIQUE_ID_ddebug7.0", descriptor()))
        .key(KeySpec::new("untyped"))
        .function(FunctionSpec::new("trace_demo", CORE, 12))
        .function(FunctionSpec::new("netif_demo", USER, 24))
        .site(SiteSpec::new("trace_demo+8", "trace_demo+16", "__tracepoint_demo+8"))
        .site(SiteSpec::new("netif_demo+8", "netif_demo+32", "cpu_hwcap_keys+0x20"))
        .site(SiteSpec::new("netif_demo+16", "netif_demo+32", "net/core/dev.c:busy"))
        .site(SiteSpec::new("netif_demo+24", "netif_demo+32", "__UNIQUE_ID_ddebug7.0+40"))
}

fn variants() -> Vec<(&'static str, ImageSpec)> {
    let kernel = || filled(ImageSpec::kernel());
    let module = || filled(ImageSpec::module("demo"));
    vec![
        ("kernel", kernel()),
        ("kernel, DWARF 4", ImageSpec { dwarf: Some(4), ..kernel() }),
        ("kernel, addrx", ImageSpec { addrx: true, ..kernel() }),
        ("module", ImageSpec { dwarf: Some(5), ..module() }),
        ("module, DWARF 4", ImageSpec { dwarf: Some(4), ..module() }),
        ("module, addrx", ImageSpec { dwarf: Some(5), addrx: true, ..module() }),
    ]
}

/// Addresses that the tests give to a module's sections.
fn base(linked: &Linked, name: &str) -> u64 {
    let start = linked.elf.sections.iter().position(|section| section.name == name);
    (start.expect("the section exists") as u64 + 1) << 20
}

/// The sections, relocated if the file is a module.
fn sections(linked: &Linked) -> BTreeMap<String, Vec<u8>> {
    let bytes = linked.bytes();
    let file = ElfFile64::<Endian>::parse(&*bytes).expect("a sound image parses");
    let mut sections = BTreeMap::new();
    for section in file.sections() {
        let name = section.name().expect("names are UTF-8").to_owned();
        let mut data = section.data().expect("sections are readable").to_vec();
        for (offset, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type, .. } = relocation.flags() else { panic!("ELF") };
            let RelocationTarget::Symbol(index) = relocation.target() else { panic!("a symbol") };
            let symbol = file.symbol_by_index(index).expect("the symbol exists");
            let of = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
            let of = of.expect("the symbol is defined");
            let of = of.name().expect("names are UTF-8");
            let start = if of.starts_with(".debug_") { 0 } else { base(linked, of) };
            let value = (start + symbol.address()).wrapping_add_signed(relocation.addend());
            let at = usize::try_from(offset).expect("it is small");
            let width = match r_type.0 {
                257 => 8,
                258 => 4,
                // Sites and the table are irrelevant here.
                _ => continue,
            };
            if name.starts_with(".debug_") {
                let by_section = symbol.kind() == SymbolKind::Section;
                assert!(by_section || symbol.kind() == SymbolKind::Data, "{symbol:?}");
            }
            data[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        sections.insert(name, data);
    }
    sections
}

fn address(linked: &Linked, place: &str) -> u64 {
    let address = linked.address(place);
    match linked.location(address) {
        Some(jlctl_synthetic::link::Location::Section { name, offset })
            if linked.elf.segments.is_empty() =>
        {
            base(linked, &name) + offset
        }
        _ => address,
    }
}

/// (unit, name, flags, address) of each variable; the flags are E(xternal),
/// D(eclaration), S(pecification), N(ested in a function).
type Seen = Vec<(String, String, String, Option<u64>)>;

fn variables(sections: &BTreeMap<String, Vec<u8>>) -> Seen {
    let dwarf = gimli::Dwarf::load(|id| {
        let data = sections.get(id.name()).map_or(&[][..], Vec::as_slice);
        Ok::<_, ()>(EndianSlice::new(data, LittleEndian))
    })
    .expect("loading copies slices");
    let mut found = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().expect("the units are sound") {
        let unit = dwarf.unit(header).expect("the unit is sound");
        let text = |value| {
            let text = dwarf.attr_string(&unit, value).expect("the string is there");
            text.to_string_lossy().into_owned()
        };
        let file = text(
            unit.entry(unit.header.root_offset())
                .expect("a root")
                .attr_value(dw::DW_AT_name)
                .expect("a name"),
        );
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs().expect("the entries are sound") {
            if entry.tag() != dw::DW_TAG_variable {
                continue;
            }
            let (mut named, mut flags) = (entry.clone(), String::new());
            if entry.depth() > 1 {
                flags.push('N');
            }
            if let Some(AttributeValue::UnitRef(to)) = entry.attr_value(dw::DW_AT_specification) {
                flags.push('S');
                named = unit.entry(to).expect("the declaration is there");
            } else if entry.attr(dw::DW_AT_declaration).is_some() {
                flags.push('D');
            }
            if named.attr(dw::DW_AT_external).is_some() {
                flags.push('E');
            }
            let name = text(named.attr_value(dw::DW_AT_name).expect("a name"));
            let location = entry.attr_value(dw::DW_AT_location).map(|location| {
                let AttributeValue::Exprloc(expression) = location else { panic!("exprloc") };
                let operation = expression.operations(unit.encoding()).next();
                match operation.expect("it is sound").expect("there is one") {
                    gimli::Operation::Address { address } => address,
                    gimli::Operation::AddressIndex { index } => {
                        dwarf.address(&unit, index).expect("the index is sound")
                    }
                    other => panic!("{other:?}"),
                }
            });
            found.push((file.clone(), name, flags, location));
        }
    }
    found
}

#[test]
fn every_variable_reads_back() {
    for (name, spec) in variants() {
        let linked = spec.link();
        let at = |place: &str| Some(address(&linked, place));
        let seen = variables(&sections(&linked));
        let wanted = [
            (CORE, "__tracepoint_demo", "E", at("__tracepoint_demo")),
            (CORE, "cpu_hwcap_keys", "DE", None),
            (CORE, "cpu_hwcap_keys", "SE", at("cpu_hwcap_keys")),
            (USER, "__UNIQUE_ID_ddebug7.0", "N", at("__UNIQUE_ID_ddebug7.0")),
            (USER, "busy", "", at("net/core/dev.c:busy")),
            (USER, "__tracepoint_demo", "DE", None),
            (USER, "cpu_hwcap_keys", "DE", None),
            (OTHER, "busy", "", at("drivers/net/dev.c:busy")),
        ];
        let mut wanted: Seen = wanted
            .map(|(file, name, flags, at)| (file.into(), name.into(), flags.into(), at))
            .to_vec();
        let mut seen = seen;
        seen.sort();
        wanted.sort();
        assert_eq!(seen, wanted, "{name}");
    }
}

/// The words of a descriptor and the strings it points to.
#[test]
fn a_descriptor_refers_to_its_strings() {
    for (name, spec) in variants() {
        let linked = spec.link();
        let sections = sections(&linked);
        let read = |address: u64| {
            let (section, base) = linked
                .elf
                .sections
                .iter()
                .filter(|section| section.is_loaded())
                .map(|section| match linked.elf.segments.is_empty() {
                    true => (section, base(&linked, &section.name)),
                    false => (section, section.address),
                })
                .find(|(s, base)| (*base..base + s.content.len()).contains(&address))
                .unwrap_or_else(|| panic!("{name}: nothing at {address:#x}"));
            &sections[&section.name][usize::try_from(address - base).expect("small")..]
        };
        let word = |address: u64| u64::from_le_bytes(read(address)[..8].try_into().expect("8"));
        let text = |address: u64| {
            let end = read(address).iter().position(|byte| *byte == 0).expect("a NUL");
            String::from_utf8(read(address)[..end].to_vec()).expect("it is text")
        };
        let d = address(&linked, "__UNIQUE_ID_ddebug7.0");
        let strings = [0, 8, 16, 24].map(|offset| text(word(d + offset)));
        assert_eq!(strings, ["dev", "netif_demo", USER, "carrier %d\n"], "{name}");
        assert_eq!(word(d + 32), 0x2_0bad | 0x3f << 18 | 0x81 << 24, "{name}");
        assert_eq!(text(word(address(&linked, "__tracepoint_demo"))), "demo", "{name}");
    }
}

#[test]
fn pointers_of_an_image_with_relocations_are_relative() {
    for relocations in [Relocations::Rela, Relocations::Relr] {
        let spec = ImageSpec { relocations, ..filled(ImageSpec::kernel()) };
        let linked = spec.link();
        let at = linked.address("__tracepoint_demo");
        let data = linked.elf.section(".data").expect("a kernel has .data");
        let Content::Bytes(bytes) = &data.content else { panic!(".data has bytes") };
        let start = usize::try_from(at - data.address).expect("it is small");
        let value = u64::from_le_bytes(bytes[start..start + 8].try_into().expect("eight"));
        let dynamic = |name: &str| {
            let Some(Content::Bytes(bytes)) = linked.elf.section(name).map(|s| &s.content) else {
                panic!("no {name}")
            };
            bytes
                .chunks(8)
                .map(|word| u64::from_le_bytes(word.try_into().expect("eight")))
                .collect::<Vec<u64>>()
        };
        if relocations == Relocations::Rela {
            let rela = dynamic(".rela.dyn");
            let found = rela.chunks(3).find(|rela| rela[0] == at).expect("it is relocated");
            assert_eq!((value, found[1]), (0, 1027));
            assert!(found[2] > linked.address("_text"));
            assert_eq!(rela.len(), 3 * 5);
        } else {
            let relr = dynamic(".relr.dyn");
            assert!(relr.contains(&at), "{relr:x?}");
            assert!(value > linked.address("_text"));
        }
    }
}

/// (member, offset, bits) of each structure and union with a name.
fn members(
    sections: &BTreeMap<String, Vec<u8>>,
    wanted: &str,
) -> Vec<(String, Option<u64>, Option<u64>)> {
    let dwarf = gimli::Dwarf::load(|id| {
        let data = sections.get(id.name()).map_or(&[][..], Vec::as_slice);
        Ok::<_, ()>(EndianSlice::new(data, LittleEndian))
    })
    .expect("loading copies slices");
    let mut found = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().expect("the units are sound") {
        let unit = dwarf.unit(header).expect("the unit is sound");
        let mut entries = unit.entries();
        let mut depth = None;
        while let Some(entry) = entries.next_dfs().expect("the entries are sound") {
            let name = entry.attr_value(dw::DW_AT_name).map(|value| {
                let text = dwarf.attr_string(&unit, value).expect("the string is there");
                text.to_string_lossy().into_owned()
            });
            let number = |at| entry.attr_value(at).and_then(|value| value.udata_value());
            if entry.tag() == dw::DW_TAG_member && depth == Some(entry.depth() - 1) {
                let place = number(dw::DW_AT_data_bit_offset)
                    .or_else(|| number(dw::DW_AT_bit_offset))
                    .or_else(|| number(dw::DW_AT_data_member_location));
                found.push((name.unwrap_or_default(), place, number(dw::DW_AT_bit_size)));
            } else if entry.tag() == dw::DW_TAG_structure_type {
                depth = (name.as_deref() == Some(wanted)).then_some(entry.depth());
            }
        }
    }
    found
}

#[test]
fn types_have_the_kernels_members() {
    for (name, spec) in variants() {
        let sections = sections(&spec.link());
        let plain = |name: &str, offset| (name.to_owned(), Some(offset), None);
        let bits = |name: &str, offset, bits| (name.to_owned(), Some(offset), Some(bits));
        let tracepoint = members(&sections, "tracepoint");
        assert_eq!(tracepoint, [plain("name", 0), plain("key", 8)], "{name}");
        // DWARF 5 counts bits from the start, DWARF 4 from the word's high end.
        let places = if spec.dwarf == Some(4) { [14, 8, 0] } else { [256, 274, 280] };
        let descriptor = [
            plain("modname", 0),
            plain("function", 8),
            plain("filename", 16),
            plain("format", 24),
            bits("lineno", places[0], 18),
            bits("class_id", places[1], 6),
            bits("flags", places[2], 8),
            plain("key", 40),
        ];
        assert_eq!(members(&sections, "_ddebug"), descriptor, "{name}");
    }
}
