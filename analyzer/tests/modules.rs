//! Relocatable files (ET_REL) of every machine are read back as they were built.

use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::{Image, ImageKind};
use jlctl_analyzer::jump_table::{JumpTable, KeyStorage, LocateError, LocatedBy, Severity};
use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::link::{Linked, Location};
use jlctl_synthetic::spec::{
    DataSection, FunctionSpec, ImageSpec, KeySpec, Layout, Machine, SiteSpec, TextSection,
};

fn spec(machine: Machine) -> ImageSpec {
    let file = "drivers/demo.c";
    ImageSpec::module("demo")
        .on(machine)
        .undefined("memory_key")
        .undefined("__tracepoint_sched_switch")
        .key(KeySpec::new("global_key"))
        .key(KeySpec::new("local_key").local_to(file).initially_true())
        .key(KeySpec::new("holder").local_to(file).interior(8, 64))
        .key(KeySpec::new("bss_key").in_section(DataSection::Bss))
        .function(FunctionSpec::new("demo_fn", file, 48))
        .function(FunctionSpec::new("demo_fn.cold", file, 8).in_section(TextSection::Unlikely))
        .function(FunctionSpec::new("demo_init", file, 16).in_section(TextSection::Init))
        .site(SiteSpec::new("demo_fn+8", "demo_fn+0x40", "global_key"))
        .site(SiteSpec::new("demo_fn+16", "demo_fn+0x40", "local_key"))
        .site(SiteSpec::new("demo_fn+24", "demo_fn+4", "holder+8").likely())
        .site(SiteSpec::new("demo_fn+32", "demo_fn.cold+8", "__tracepoint_sched_switch+8"))
        .site(SiteSpec::new("demo_fn+40", "demo_fn.cold+4", "memory_key").likely())
        .site(SiteSpec::new("demo_init+8", "demo_init+0x18", "bss_key").likely())
}

fn variants() -> Vec<ImageSpec> {
    let mut riscv = spec(Machine::Riscv64);
    (riscv.module.pcrel32, riscv.module.relax) = (true, true);
    let absolute = |machine| ImageSpec { layout: Layout::Absolute, ..spec(machine) };
    let mut moved = spec(Machine::Aarch64);
    moved.module.data_address = 0x2a8;
    vec![
        spec(Machine::Aarch64),
        absolute(Machine::Aarch64),
        ImageSpec { endian: Endian::Big, ..spec(Machine::Aarch64) },
        moved,
        spec(Machine::X86_64),
        absolute(Machine::X86_64),
        spec(Machine::Riscv64),
        riscv,
        absolute(Machine::Riscv64),
    ]
}

/// The builder's address as the image should show it.
fn text(linked: &Linked, address: u64) -> String {
    match linked.location(address).expect("everything lies somewhere") {
        Location::Section { name, offset } => format!("{name}+{offset:#x}"),
        Location::Undefined { name, offset: 0 } => name,
        Location::Undefined { name, offset } => format!("{name}+{offset:#x}"),
    }
}

#[test]
fn entries_have_the_addresses_of_the_builder() {
    for spec in variants() {
        let (linked, bytes) = (spec.link(), spec.build());
        let image = Image::parse(&bytes).unwrap();
        assert_eq!(image.kind(), ImageKind::Rel);
        let table = JumpTable::read(&image).unwrap();
        let what = format!("{:?} {:?}", spec.machine, spec.layout);
        assert_eq!(table.location().by, LocatedBy::Section);
        assert_eq!(table.diagnostics(), [], "{what}");
        assert_eq!(table.len(), linked.entries.len(), "{what}");
        for (id, wanted) in table.site_ids().zip(&linked.entries) {
            let entry = table.entry(id);
            for (found, wanted) in
                [(entry.code, wanted.code), (entry.target, wanted.target), (entry.key, wanted.key)]
            {
                assert_eq!(image.address_text(found), text(&linked, wanted), "{what}");
            }
            assert_eq!(entry.branch, wanted.branch, "{what}");
            if let SiteInsn::Jmp { to } = table.site(id).insn {
                assert_eq!(to, entry.target, "{what}: relocated branches too");
            }
        }
        let counts = table.insn_counts();
        assert!(counts.jmp >= 3 && counts.other == 0, "{what}: {counts:?}");
    }
}

#[test]
fn keys_of_other_images_are_external() {
    let bytes = spec(Machine::Aarch64).build();
    let image = Image::parse(&bytes).unwrap();
    let table = JumpTable::read(&image).unwrap();
    let elsewhere: Vec<_> = table
        .keys()
        .iter()
        .filter(|key| key.storage == KeyStorage::Elsewhere)
        .map(|key| (key.name(&image).into_owned(), key.section, key.enabled(), key.sites.len()))
        .collect();
    let undefined = |name: &str| (name.to_owned(), None, None, 1);
    assert_eq!(elsewhere, [undefined("memory_key"), undefined("__tracepoint_sched_switch+0x8")]);
}

#[test]
fn messages_give_addresses_of_the_file() {
    let bytes = spec(Machine::Aarch64).build();
    let image = Image::parse(&bytes).unwrap();
    let table = JumpTable::read(&image).unwrap();
    let entry = table.entry(table.site_ids().nth(3).unwrap());
    let message = format!("site {}: key {} of 0x10 bytes", entry.code, entry.key);
    let code = image.address_text(entry.code);
    assert!(code.starts_with(".text+0x"), "{code}");
    assert_eq!(
        image.localize(&message),
        format!("site {code}: key __tracepoint_sched_switch+0x8 of 0x10 bytes")
    );
}

/// The module with the table's SHT_RELA section (4) turned into SHT_PROGBITS (1).
fn without_relocations(mut bytes: Vec<u8>) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let half = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let (count, strings) = (usize::from(half(60)), usize::from(half(62)));
    let headers = usize::try_from(word(&bytes, 40)).unwrap();
    let header = |index: usize| headers + 64 * index;
    let names = usize::try_from(word(&bytes, header(strings) + 24)).unwrap();
    for index in 0..count {
        let name = u32::from_le_bytes(bytes[header(index)..][..4].try_into().unwrap());
        if bytes[names + usize::try_from(name).unwrap()..].starts_with(b".rela__jump_table\0") {
            bytes[header(index) + 4] = 1;
        }
    }
    bytes
}

#[test]
fn a_table_without_relocations_is_refused() {
    let bytes = without_relocations(spec(Machine::Aarch64).build());
    let image = Image::parse(&bytes).unwrap();
    let error = JumpTable::read(&image).unwrap_err();
    assert_eq!(error, LocateError::NoRelocations { size: 6 * 16 });
}

#[test]
fn truncated_modules_are_survived() {
    for machine in [Machine::Aarch64, Machine::X86_64, Machine::Riscv64] {
        let bytes = spec(machine).build();
        for end in 0..bytes.len() {
            let Ok(image) = Image::parse(&bytes[..end]) else { continue };
            if let Ok(table) = JumpTable::read(&image) {
                let is_damaged = table
                    .diagnostics()
                    .iter()
                    .any(|found| found.defect.severity() >= Severity::Warning);
                assert!(is_damaged, "{machine:?} cut at {end}");
            }
        }
    }
}
