//! Each broken image has exactly the diagnostics of its defect.

use jlctl_analyzer::image::{Image, ImageError};
use jlctl_analyzer::jump_table::{
    Diagnostic, JumpTable, LocateError, MAX_ENTRIES, Severity, SiteId,
};
use jlctl_synthetic::broken::{self, debug, headers, sites, table};
use jlctl_synthetic::elf::Content;
use jlctl_synthetic::{demo, spec::ImageSpec};
use std::collections::BTreeSet;

/// A diagnostic: its code and, for defects of sites, the entry.
type Found = Vec<(&'static str, Option<usize>)>;

/// The name and bytes of an image, and its diagnostics.
type WrongSite = (&'static str, Vec<u8>, &'static [(&'static str, usize)]);

fn diagnostics(bytes: &[u8]) -> Vec<Diagnostic> {
    let image = Image::parse(bytes).expect("the image can be read");
    JumpTable::read(&image).expect("there is a table").diagnostics().to_vec()
}

fn found(bytes: &[u8]) -> Found {
    let place = |found: &Diagnostic| (found.defect.code(), found.site.map(SiteId::index));
    diagnostics(bytes).iter().map(place).collect()
}

fn refusal(bytes: &[u8]) -> LocateError {
    let image = Image::parse(bytes).expect("the image can be read");
    JumpTable::read(&image).expect_err("there is no table")
}

#[test]
fn sound_images_have_no_diagnostics() {
    let relocated = |relocations| {
        let spec = table::with_section();
        let pie = ImageSpec::user_pie(relocations);
        ImageSpec { keys: spec.keys, functions: spec.functions, sites: spec.sites, ..pie }.build()
    };
    for (name, bytes) in [
        ("base", broken::base().build()),
        ("demo", demo::vmlinux()),
        ("exec", table::with_section().build()),
        ("rela", relocated(jlctl_synthetic::spec::Relocations::Rela)),
        ("relr", relocated(jlctl_synthetic::spec::Relocations::Relr)),
        ("big_endian", headers::big_endian()),
        ("empty", table::empty()),
        ("program_headers_outside_file", headers::program_headers_outside_file()),
        ("symtab_entry_size_zero", headers::symtab_entry_size_zero()),
        ("symbol_values_wild", headers::symbol_values_wild()),
    ] {
        assert_eq!(found(&bytes), [], "{name}");
    }
    // Damaged debug information does not concern the table.
    for (name, bytes) in debug::all() {
        assert_eq!(found(&bytes), [], "{name}");
    }
}

#[test]
fn each_wrong_site_is_reported_at_its_entry() {
    // Entry 0 is the sound one of the base image.
    let expected: [WrongSite; 18] = [
        ("site_in_data", sites::site_in_data(), &[("JT001", 1)]),
        ("site_outside", sites::site_outside_sections(), &[("JT001", 1), ("JT002", 1)]),
        ("site_misaligned", sites::site_misaligned(), &[("JT007", 1)]),
        ("site_holds_ret", sites::site_holds_ret(), &[("JT002", 1)]),
        ("site_holds_undefined", sites::site_holds_undefined(), &[("JT002", 1)]),
        ("jump_elsewhere", sites::jump_elsewhere(), &[("JT003", 1)]),
        ("nop_contradicts_state", sites::nop_contradicts_state(), &[("JT004", 1)]),
        ("jump_contradicts_state", sites::jump_contradicts_state(), &[("JT004", 1)]),
        ("target_outside_function", sites::target_outside_function(), &[("JT005", 1)]),
        ("target_in_data", sites::target_in_data(), &[("JT005", 1)]),
        ("target_out_of_range", sites::target_out_of_range(), &[("JT006", 1), ("JT005", 1)]),
        ("target_misaligned", sites::target_misaligned(), &[("JT007", 1)]),
        ("key_outside_sections", sites::key_outside_sections(), &[("JT008", 1)]),
        ("key_in_text", sites::key_in_text(), &[("JT008", 1)]),
        ("key_misaligned", sites::key_misaligned(), &[("JT013", 1)]),
        ("two_keys_at_one_site", sites::two_keys_at_one_site(), &[("JT009", 2)]),
        ("same_entry_twice", sites::same_entry_twice(), &[("JT012", 2)]),
        ("enabled_contradicts_type", sites::enabled_contradicts_type(), &[("JT004", 1)]),
    ];
    assert_eq!(expected.len(), sites::all().len(), "every image of the module is here");
    for (name, bytes, wanted) in expected {
        let of_sites: Vec<_> =
            found(&bytes).into_iter().filter_map(|(code, site)| Some((code, site?))).collect();
        assert_eq!(of_sites, wanted, "{name}");
        let of_table = found(&bytes).into_iter().filter(|(_, site)| site.is_none()).count();
        assert_eq!(of_table, usize::from(name == "enabled_contradicts_type"), "{name}");
    }
    let flipped = found(&sites::enabled_contradicts_type());
    assert_eq!(flipped, [("JT014", None), ("JT004", Some(1))]);
}

#[test]
fn partially_readable_tables_are_reported() {
    for (name, bytes, wanted) in [
        // Between symbols the eight bytes are missing; in a section they are present.
        ("size_not_multiple", table::size_not_multiple(), &["JT011", "JT010"][..]),
        ("section_size", table::section_size_not_multiple(), &["JT010"]),
        ("stop_beyond_file", table::stop_beyond_file(), &["JT011"]),
        ("stop_at_top", table::stop_at_top(), &["JT011"]),
        ("outside_sections", table::outside_sections(), &["JT011"]),
        ("rodata_outside_file", headers::rodata_outside_file(), &["JT101", "JT011"]),
    ] {
        let wanted: Found = wanted.iter().map(|code| (*code, None)).collect();
        assert_eq!(found(&bytes), wanted, "{name}");
    }
}

/// The bytes after the section are read as entries, each of which is wrong.
#[test]
fn a_table_of_2_to_the_58_entries_ends_with_the_file() {
    let found = found(&table::section_claims_too_much());
    let of_table: Vec<_> = found.iter().filter(|(_, site)| site.is_none()).collect();
    assert_eq!(of_table, [&("JT101", None), &("JT101", None), &("JT011", None)]);
    assert!(found.iter().all(|(_, site)| site.is_none_or(|site| (2..200).contains(&site))));
}

#[test]
fn images_without_a_table_are_errors_with_a_reason() {
    assert!(matches!(refusal(&table::missing()), LocateError::NoTable { .. }));
    assert!(matches!(refusal(&table::stop_before_start()), LocateError::Reversed { .. }));
    for bytes in [table::stop_missing(), table::start_missing()] {
        assert!(matches!(refusal(&bytes), LocateError::OneEnd { .. }));
    }
    let stripped = refusal(&headers::symtab_outside_file());
    assert!(matches!(stripped, LocateError::NoChain { .. }));
    assert!(matches!(refusal(&headers::strtab_outside_file()), LocateError::NoTable { .. }));
}

#[test]
fn damaged_headers_are_reported_with_what_they_damage() {
    for (name, bytes, wanted) in [
        ("sections_overlap", headers::sections_overlap(), &["JT101", "JT015", "JT008"][..]),
        ("too_many_section_headers", headers::too_many_section_headers(), &["JT101"]),
        ("text_outside_file", headers::text_outside_file(), &["JT101", "JT002"]),
        ("section_size_overflows", headers::section_size_overflows(), &["JT101"]),
        ("symbol_names_wild", headers::symbol_names_wild(), &["JT101"]),
        ("text_nobits", headers::text_nobits(), &["JT002"]),
    ] {
        let codes: Vec<_> = found(&bytes).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, wanted, "{name}");
    }
}

#[test]
fn unreadable_files_are_errors() {
    let error = |bytes: Vec<u8>| Image::parse(&bytes).expect_err("nothing can be read");
    let headers_cut = |bytes| matches!(error(bytes), ImageError::SectionHeaders { .. });
    assert!(headers_cut(headers::section_headers_outside_file()));
    assert!(headers_cut(headers::truncated()) && headers_cut(headers::header_only()));
    assert!(matches!(error(headers::i386()), ImageError::Header { field: "EI_CLASS", .. }));
    assert!(matches!(error(headers::ppc64()), ImageError::Machine { machine: 21, .. }));
    assert!(matches!(error(Vec::new()), ImageError::NotElf { found: "an empty file" }));
    assert!(matches!(error(b"#!/bin/sh\n".to_vec()), ImageError::NotElf { found: "text" }));
}

/// One entry more than the limit, all of them equal.
#[test]
fn a_table_with_too_many_entries_is_truncated() {
    let mut linked = table::with_section().link();
    let section = linked.elf.section_mut("__jump_table").expect("the program has the section");
    let Content::Bytes(bytes) = &mut section.content else { panic!("the section has bytes") };
    bytes.truncate(24);
    *bytes = bytes.repeat(MAX_ENTRIES + 1);
    section.address = 0x1000_0000;
    linked.elf.segments.clear();
    let bytes = linked.bytes();
    let image = Image::parse(&bytes).expect("the image can be read");
    let read = JumpTable::read(&image).expect("there is a table");
    assert_eq!(read.len(), MAX_ENTRIES);
    let found = read.diagnostics();
    assert_eq!((found[0].defect.code(), found[0].site), ("JT016", None));
    assert!(found[1..].iter().all(|found| found.defect.code() == "JT012"));
    assert_eq!(found.len(), MAX_ENTRIES);
}

/// JT001 to JT017 and JT101 all occur.  JT018 needs a raw image with symbols (raw_image.rs); JT102 is
/// about debug information, and the codes after it are about sets.
#[test]
fn every_code_has_an_image_and_a_severity() {
    let mut codes = BTreeSet::from(["JT016"]);
    for (_, bytes) in broken::all() {
        let Ok(image) = Image::parse(&bytes) else { continue };
        let Ok(table) = JumpTable::read(&image) else { continue };
        for Diagnostic { defect, .. } in table.diagnostics() {
            codes.insert(defect.code());
            let wanted = match defect.code() {
                "JT014" => Severity::Note,
                "JT005" | "JT013" | "JT015" => Severity::Warning,
                "JT101" => defect.severity(),
                _ => Severity::Error,
            };
            assert_eq!(defect.severity(), wanted, "{defect}");
        }
    }
    let wanted: Vec<_> = (1..=17).chain([101]).map(|code| format!("JT{code:03}")).collect();
    assert_eq!(Vec::from_iter(codes), wanted);
}
