//! The debug information of the builders, read back through gimli.

use gimli::{AttributeValue, DebuggingInformationEntry, EndianSlice, RunTimeEndian, constants};
use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::{broken, demo};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

fn load(bytes: &[u8], endian: Endian) -> gimli::Dwarf<Slice<'_>> {
    let file = ElfFile64::<Endian>::parse(bytes).expect("the image parses");
    let order = if endian == Endian::Big { RunTimeEndian::Big } else { RunTimeEndian::Little };
    let section = |id: gimli::SectionId| {
        let section = file.section_by_name(id.name());
        let data = section.map_or(&[][..], |section| section.data().expect("it is readable"));
        Ok::<_, ()>(EndianSlice::new(data, order))
    };
    gimli::Dwarf::load(section).expect("loading copies slices")
}

fn number(entry: &DebuggingInformationEntry<Slice<'_>>, name: constants::DwAt) -> Option<u64> {
    match entry.attr_value(name)? {
        AttributeValue::Addr(address) => Some(address),
        value => value.udata_value(),
    }
}

/// (address, call line) of every inlined subroutine, in file order.
fn calls(bytes: &[u8], endian: Endian) -> Vec<(u64, u64)> {
    let dwarf = load(bytes, endian);
    let mut found = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().expect("the units are sound") {
        let unit = dwarf.unit(header).expect("the unit is sound");
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs().expect("the entries are sound") {
            if entry.tag() == constants::DW_TAG_inlined_subroutine {
                let address = number(entry, constants::DW_AT_low_pc).expect("an address");
                found.push((address, number(entry, constants::DW_AT_call_line).expect("a line")));
            }
        }
    }
    found
}

#[test]
fn each_site_has_its_chain_in_every_version_and_byte_order() {
    for (version, endian) in [(5, Endian::Little), (4, Endian::Little), (5, Endian::Big)] {
        let mut spec = demo::spec();
        (spec.dwarf, spec.endian) = (Some(version), endian);
        let linked = spec.link();
        let calls = calls(&linked.bytes(), endian);
        let frames: usize = spec.sites.iter().map(|site| site.inlined.len() + 1).sum();
        assert_eq!(calls.len(), frames);
        let lines = |code: u64| -> Vec<u64> {
            calls.iter().filter(|(address, _)| *address == code).map(|(_, line)| *line).collect()
        };
        // demo.c:97 calls trace_demo_event (demo.h:30), whose line 33 calls the wrapper.
        assert_eq!(lines(linked.entries[4].code), [97, 33]);
        assert_eq!(lines(linked.entries[0].code), [43]);
        for entry in &linked.entries {
            assert!(!lines(entry.code).is_empty(), "{:#x}", entry.code);
        }
    }
}

#[test]
fn aranges_cover_each_function() {
    let linked = demo::linked();
    let bytes = linked.bytes();
    let file = ElfFile64::<Endian>::parse(&*bytes).expect("the image parses");
    let section = file.section_by_name(".debug_aranges").expect("there are aranges");
    let data = section.data().expect("it is readable");
    let aranges = gimli::DebugAranges::new(data, gimli::LittleEndian);
    let (mut ranges, mut headers) = (Vec::new(), aranges.headers());
    while let Some(header) = headers.next().expect("the sets are sound") {
        let mut entries = header.entries();
        while let Some(entry) = entries.next().expect("the tuples are sound") {
            ranges.push(entry.address()..entry.address() + entry.length());
        }
    }
    for entry in &linked.entries {
        assert_eq!(ranges.iter().filter(|range| range.contains(&entry.code)).count(), 1);
    }
}

#[test]
fn deep_trees_have_the_requested_depth() {
    let depth = 1000;
    for bytes in [broken::debug::deep_inlined(depth), broken::debug::deep_blocks(depth)] {
        let dwarf = load(&bytes, Endian::Little);
        let header = dwarf.units().next().expect("the unit is sound").expect("there is a unit");
        let unit = dwarf.unit(header).expect("the unit is sound");
        let (mut count, mut entries) = (0, unit.entries());
        while let Some(entry) = entries.next_dfs().expect("the entries are sound") {
            let nested = [constants::DW_TAG_inlined_subroutine, constants::DW_TAG_lexical_block];
            count += usize::from(nested.contains(&entry.tag()));
        }
        assert_eq!(count, depth);
    }
}
