//! Kernels without a symbol table: raw images, and stripped ELF files.

use crate::bare_kernel::with_kallsyms;
use crate::invariants::image::check;
use jlctl_analyzer::addr::{AddrRange, Svma};
use jlctl_analyzer::image::{Image, ImageError, ImageFault, ImageFormat};
use jlctl_analyzer::jump_table::{Confidence, Defect, JumpTable, LocateError, LocatedBy, SiteId};
use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::flat::{self, Header};
use jlctl_synthetic::kallsyms::Release;
use jlctl_synthetic::link::Linked;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, Layout, Relocations, SiteSpec};
use jlctl_synthetic::{demo, split};

const ALL_ENTRIES: Confidence = Confidence { entries: 12, next_longest: 0 };

/// A site: its entry with addresses from `base`, its instruction, section, function and key.
fn site(image: &Image<'_>, table: &JumpTable<'_>, id: SiteId, base: u64) -> String {
    let (entry, site, key) = (table.entry(id), table.site(id), table.key(table.key_of(id)));
    let from_base = |address: Svma| address.0.wrapping_sub(base);
    let function =
        site.function.map(|at| format!("{}+{:#x}", image.symbols().name(at.symbol), at.offset));
    format!(
        "{:#x} {:#x} {:#x} {} {:x?} {:?} {function:?} {} {:?}",
        from_base(entry.code),
        from_base(entry.target),
        from_base(entry.key),
        entry.branch,
        site.bytes,
        site.section.map(|id| image.section(id).name),
        key.name(image),
        key.storage,
    )
}

fn sites(image: &Image<'_>, table: &JumpTable<'_>) -> Vec<String> {
    table.site_ids().map(|id| site(image, table, id, 0)).collect()
}

fn codes(table: &JumpTable<'_>) -> Vec<&'static str> {
    table.diagnostics().iter().map(|found| found.defect.code()).collect()
}

/// The file range of the table in the raw image.
fn offset_of(linked: &Linked, address: u64) -> usize {
    usize::try_from(address - linked.address("_text")).expect("a test image is small")
}

#[test]
fn a_raw_image_with_kallsyms_reads_as_the_elf_file() {
    for release in Release::ALL {
        let linked = with_kallsyms(demo::spec(), release, true, |_, _| true);
        let (elf, raw) = (linked.bytes(), flat::image(&linked.elf));
        let (full, raw) = (Image::parse(&elf).unwrap(), Image::parse(&raw).unwrap());
        assert_eq!((raw.format(), raw.faults()), (ImageFormat::Arm64Image, &[][..]), "{release:?}");
        assert_eq!((raw.release(), raw.build_id()), (full.release(), full.build_id()));
        assert!(raw.has_recovered_symbols() && !full.has_recovered_symbols());
        let (full_table, table) = (JumpTable::read(&full).unwrap(), JumpTable::read(&raw).unwrap());
        assert_eq!(table.location().range, full_table.location().range);
        assert_eq!(table.location().by, LocatedBy::Symbols);
        assert_eq!(table.location().confidence, Some(ALL_ENTRIES));
        assert_eq!(full_table.location().confidence, None);
        assert_eq!(sites(&raw, &table), sites(&full, &full_table), "{release:?}");
        assert_eq!(codes(&table), [""; 0]);
    }
}

/// Linux 5.10 as Debian builds it, with the names of code alone.
#[test]
fn symbols_of_code_alone_name_functions() {
    let is_code = |kind: char, name: &str| {
        "tT".contains(kind)
            || name == "_etext"
            || name == "linux_banner"
            || name.contains('_') && kind == 'r'
    };
    let linked = with_kallsyms(demo::spec(), Release::V4_20, true, is_code);
    let raw = flat::image(&linked.elf);
    let image = Image::parse(&raw).unwrap();
    let table = JumpTable::read(&image).unwrap();
    assert_eq!((table.location().by, codes(&table)), (LocatedBy::Scan, vec![]));
    assert_eq!(table.location().range.start().0, linked.table.start);
    assert_eq!(table.location().range.end().0, linked.table.end);
    let functions = table.site_ids().filter(|id| table.site(*id).function.is_some());
    assert_eq!(functions.count(), 12);
}

/// Self-relative offsets give names at any load address.
#[test]
fn symbols_may_be_relative_to_the_first_byte() {
    let linked = with_kallsyms(demo::spec(), Release::V7_0, false, |_, _| true);
    let raw = flat::image(&linked.elf);
    let image = Image::parse(&raw).unwrap();
    assert!(matches!(image.faults(), [ImageFault::NoLoadAddress { .. }]));
    let table = JumpTable::read(&image).unwrap();
    assert_eq!(table.location().by, LocatedBy::Symbols);
    let first = table.site_ids().next().expect("a site");
    assert!(site(&image, &table, first, 0).contains("demo_open+0x8"));
    assert_eq!(table.location().range.start().0, linked.table.start - linked.address("_text"));
}

/// The header alone describes the image.
#[test]
fn a_raw_image_without_symbols_is_read_from_address_0() {
    let linked = demo::linked();
    let (elf, raw) = (linked.bytes(), flat::image(&linked.elf));
    let (full, raw) = (Image::parse(&elf).unwrap(), Image::parse(&raw).unwrap());
    assert!(matches!(raw.faults(), [ImageFault::NoLoadAddress { .. }]));
    assert!(!raw.faults()[0].is_damage());
    let (full_table, table) = (JumpTable::read(&full).unwrap(), JumpTable::read(&raw).unwrap());
    assert_eq!(
        (table.location().by, table.location().confidence),
        (LocatedBy::Scan, Some(ALL_ENTRIES))
    );
    assert_eq!(codes(&table), ["JT101"]);
    let base = linked.address("_text");
    for id in table.site_ids() {
        let (entry, full) = (table.entry(id), full_table.entry(id));
        let with_base = |address: Svma| address.wrapping_add(base);
        assert_eq!((with_base(entry.code), with_base(entry.target)), (full.code, full.target));
        assert_eq!((with_base(entry.key), entry.branch), (full.key, full.branch));
        let (key, full) = (table.key(table.key_of(id)), full_table.key(full_table.key_of(id)));
        assert_eq!(key.storage, full.storage);
    }
}

#[test]
fn the_pe_header_separates_data_from_code() {
    const PE: &str = "pe_room";
    let mut linked = demo::spec().reserve(PE, 24 + 2 * 40).link();
    let data = linked.address("_sdata") - linked.address("_text");
    let raw_size = flat::image(&linked.elf).len() as u64;
    let mut header = b"PE\0\0\x64\xaa\x02\0".to_vec();
    header.resize(24, 0);
    for (name, start, end, flags) in [
        (b".text\0\0\0", 0x40, data, 0x6000_0020_u32),
        (b".data\0\0\0", data, raw_size, 0xc000_0040),
    ] {
        let field = |value: u64| u32::try_from(value).expect("a test image is small");
        let (start, size) = (field(start), field(end - start));
        header.extend(name);
        header.extend([size, start, size, start, 0, 0, 0, flags].map(u32::to_le_bytes).concat());
    }
    linked.write_reserved(PE, &header);
    let pe_offset = u32::try_from(offset_of(&linked, linked.address(PE))).unwrap();
    let raw = flat::with_header(&linked.elf, &Header { pe_offset, ..Header::of(&linked.elf) });
    let image = Image::parse(&raw).unwrap();
    assert_eq!(image.faults().len(), 1, "{:?}", image.faults());
    let names: Vec<_> = image.sections().iter().map(|section| section.name).collect();
    assert_eq!(names, [".head.text", ".text", ".data", ".bss"]);
    assert_eq!(JumpTable::read(&image).unwrap().location().confidence, Some(ALL_ENTRIES));
    // A file that ends before its data.
    let image = Image::parse(&raw[..raw.len() - 8]).unwrap();
    assert!(image.faults().iter().any(|fault| matches!(fault, ImageFault::RawImageCut { .. })));
}

/// Up to Linux 4.19, entries are addresses, which are 0 in the file until the kernel relocates itself.
#[test]
fn absolute_entries_of_a_raw_image_are_relocated() {
    let mut spec = ImageSpec {
        layout: Layout::Absolute,
        relocations: Relocations::Rela,
        ..demo::spec().function(FunctionSpec::new("old", "old.c", 64))
    };
    for at in (0..0x80).step_by(8) {
        let code = format!("old+{at:#x}");
        spec = spec.site(SiteSpec::new(code.as_str(), "old+0xf0", "demo_false_key"));
    }
    for names_table in [true, false] {
        let kept = |_: char, name: &str| names_table || !name.contains("jump_table");
        let linked = with_kallsyms(spec.clone(), Release::V4_19, false, kept);
        let raw = flat::image(&linked.elf);
        let image = Image::parse(&raw).unwrap();
        let table = JumpTable::read(&image).unwrap();
        let by = if names_table { LocatedBy::Symbols } else { LocatedBy::Scan };
        assert_eq!((table.location().by, table.len(), codes(&table)), (by, 28, vec![]));
        assert_eq!(table.location().range.start().0, linked.table.start);
    }
}

/// A damaged entry is reported and does not end the table.
#[test]
fn damaged_entries_within_a_table_are_reported() {
    let linked = demo::linked();
    let mut raw = flat::image(&linked.elf);
    let entry = offset_of(&linked, linked.table.start) + 5 * 16;
    raw[entry..entry + 8].fill(0xff);
    let image = Image::parse(&raw).unwrap();
    let table = JumpTable::read(&image).unwrap();
    assert_eq!(table.len(), 12);
    assert_eq!(table.location().confidence, Some(Confidence { entries: 11, next_longest: 0 }));
    assert!(table.diagnostics().iter().any(|found| found.site == table.site_ids().nth(5)));
}

/// Damage at the end of a table looks like its end, unless symbols name the end.
#[test]
fn symbols_and_structure_may_disagree() {
    let linked = with_kallsyms(demo::spec(), Release::V6_4, true, |_, _| true);
    let mut raw = flat::image(&linked.elf);
    let entry = offset_of(&linked, linked.table.start);
    raw[entry..entry + 8].fill(0xff);
    let image = Image::parse(&raw).unwrap();
    let table = JumpTable::read(&image).unwrap();
    let whole = AddrRange::sized(Svma(linked.table.start), 12 * 16);
    let found = AddrRange::sized(Svma(linked.table.start + 16), 11 * 16);
    assert_eq!(table.location().range, whole);
    let defects: Vec<_> = table.diagnostics().iter().map(|found| &found.defect).collect();
    assert_eq!(defects[0], &Defect::SymbolsDisagree { named: whole, scanned: Some(found) });
    assert!(defects.len() > 1);
}

#[test]
fn a_short_chain_is_no_table() {
    let refusal = |spec: &ImageSpec| {
        let raw = flat::image(&spec.link().elf);
        JumpTable::read(&Image::parse(&raw).unwrap()).map(|table| table.len())
    };
    let mut spec = demo::spec();
    spec.sites.truncate(8);
    assert_eq!(refusal(&spec), Ok(8));
    spec.sites.truncate(7);
    assert!(matches!(refusal(&spec), Err(LocateError::NoChain { longest: 7, .. })));
    spec.sites.clear();
    assert!(matches!(refusal(&spec), Err(LocateError::NoChain { longest: 0, .. })));
}

#[test]
fn stripped_elf_files_are_searched() {
    let big = ImageSpec { endian: Endian::Big, ..demo::spec() };
    let absolute = ImageSpec { layout: Layout::Absolute, ..demo::spec() };
    for spec in [demo::spec(), big, absolute] {
        let linked = spec.link();
        let stripped = split::strip(&linked.elf).write();
        let mut image = Image::parse(&stripped).unwrap();
        assert!(image.recover_symbols().is_err());
        let table = JumpTable::read(&image).unwrap();
        assert_eq!((table.location().by, codes(&table)), (LocatedBy::Scan, vec![]));
        assert_eq!(table.location().range.start().0, linked.table.start);
        assert_eq!(table.location().range.end().0, linked.table.end);
    }
    let linked = with_kallsyms(demo::spec(), Release::V6_4, true, |_, _| true);
    let (elf, stripped) = (linked.bytes(), split::strip(&linked.elf).write());
    let (mut full, mut bare) = (Image::parse(&elf).unwrap(), Image::parse(&stripped).unwrap());
    assert_eq!((full.recover_symbols(), bare.recover_symbols()), (Ok(()), Ok(())));
    assert!(!full.has_recovered_symbols() && bare.has_recovered_symbols());
    let (full_table, table) = (JumpTable::read(&full).unwrap(), JumpTable::read(&bare).unwrap());
    assert_eq!(sites(&bare, &table), sites(&full, &full_table));
}

#[test]
fn a_big_endian_raw_image_is_read() {
    let spec = ImageSpec { endian: Endian::Big, ..demo::spec() };
    let raw = flat::image(&spec.link().elf);
    let image = Image::parse(&raw).unwrap();
    assert!(image.is_big_endian());
    assert_eq!(JumpTable::read(&image).unwrap().location().confidence, Some(ALL_ENTRIES));
}

#[test]
fn wrong_headers_are_reported_and_ignored() {
    let linked = demo::linked();
    let sound = Header::of(&linked.elf);
    for (field, header) in [
        ("image_size", Header { image_size: 64, ..sound }),
        ("image_size", Header { image_size: u64::MAX, ..sound }),
        ("text_offset", Header { text_offset: 1 << 40, ..sound }),
        ("flags", Header { flags: u64::MAX - 1, ..sound }),
    ] {
        let raw = flat::with_header(&linked.elf, &header);
        let image = Image::parse(&raw).unwrap();
        let is_field = |fault: &ImageFault| matches!(fault, ImageFault::BootHeader { field: found, .. } if *found == field);
        assert!(image.faults().iter().any(is_field), "{field}: {:?}", image.faults());
        let table = JumpTable::read(&image).unwrap();
        // The end of .bss is known from the size alone.
        let expected = if field == "image_size" { 9.. } else { 12.. };
        assert!(expected.contains(&table.len()), "{field}: {}", table.len());
    }
    let raw = flat::with_header(&linked.elf, &Header { pe_offset: u32::MAX, ..sound });
    let image = Image::parse(&raw).unwrap();
    assert!(image.faults().iter().any(|fault| matches!(fault, ImageFault::PeHeader { .. })));
    assert_eq!(JumpTable::read(&image).unwrap().len(), 12);
}

#[test]
fn a_header_alone_has_no_table() {
    let raw = flat::image(&demo::linked().elf);
    let image = Image::parse(&raw[..64]).unwrap();
    assert!(matches!(JumpTable::read(&image), Err(LocateError::NoChain { longest: 0, .. })));
    assert!(matches!(Image::parse(&raw[..63]), Err(ImageError::NotElf { .. })));
}

#[test]
fn damaged_raw_images_are_survived() {
    let raw = flat::image(&with_kallsyms(demo::spec(), Release::V6_4, true, |_, _| true).elf);
    for length in (0..raw.len()).step_by(raw.len() / 64) {
        check(&raw[..length]);
        let mut damaged = raw.clone();
        damaged[length..].iter_mut().step_by(509).for_each(|byte| *byte ^= 0x5a);
        check(&damaged);
    }
}
