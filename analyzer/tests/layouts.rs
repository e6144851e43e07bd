//! Tables of every layout and byte order are read back as they were linked.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::{Image, ImageKind};
use jlctl_analyzer::jump_table::{EntryLayout, JumpTable, KeyStorage, LocatedBy};
use jlctl_shim::abi::StaticKey;
use jlctl_synthetic::demo;
use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::link::Linked;
use jlctl_synthetic::spec::{
    DataSection, ElfType, Flavour, FunctionSpec, ImageSpec, KeySpec, Locate, Relocations, SiteSpec,
};
use jlctl_synthetic::spec::{Layout as SpecLayout, Scope};
use std::collections::BTreeMap;

/// Keys in every section and state, and sites of both senses.
fn filled(spec: ImageSpec) -> ImageSpec {
    spec.key(KeySpec::new("off_key"))
        .key(KeySpec::new("on_key").initially_true())
        .key(KeySpec::new("counted_key").initially_true().enabled(7))
        .key(KeySpec::new("first_enable_key").initially_true().enabled(-1))
        .key(KeySpec::new("bss_key").in_section(DataSection::Bss))
        .key(KeySpec::new("array_key").array(3))
        .function(FunctionSpec::new("main", "main.c", 24))
        .site(SiteSpec::new("main+0x4", "main+0x20", "off_key"))
        .site(SiteSpec::new("main+0x8", "main+0x24", "on_key").likely())
        .site(SiteSpec::new("main+0xc", "main+0x28", "on_key").init())
        .site(SiteSpec::new("main+0x10", "main+0x4", "counted_key"))
        .site(SiteSpec::new("main+0x14", "main+0x30", "first_enable_key").likely())
        .site(SiteSpec::new("main+0x18", "main+0x34", "bss_key").likely().init())
        .site(SiteSpec::new("main+0x1c", "main+0x38", "array_key+0x20"))
}

fn variants() -> Vec<(&'static str, ImageSpec)> {
    let mut variants = vec![("demo", demo::spec()), ("kernel", filled(ImageSpec::kernel()))];
    variants.push(("exec", filled(ImageSpec::user_exec())));
    variants.push(("rela", filled(ImageSpec::user_pie(Relocations::Rela))));
    variants.push(("relr", filled(ImageSpec::user_pie(Relocations::Relr))));
    // The kernels of arm64 up to 4.19: absolute entries, relocated at boot.
    let old = ImageSpec { layout: SpecLayout::Absolute, ..filled(ImageSpec::kernel()) };
    for relocations in [Relocations::None, Relocations::Rela, Relocations::Relr] {
        variants.push(("old kernel", ImageSpec { relocations, ..old.clone() }));
    }
    let sectioned = ImageSpec { locate: Locate::Section, ..filled(ImageSpec::kernel()) };
    variants.push(("kernel with a section", sectioned));
    for (name, spec) in variants.clone() {
        assert_eq!(spec.endian, Endian::Little, "{name}");
        variants.push((name, ImageSpec { endian: Endian::Big, ..spec }));
    }
    variants
}

/// Address, `enabled`, `type` and whether in `.bss`, of every key declared.
fn declared(spec: &ImageSpec, linked: &Linked) -> BTreeMap<u64, (i32, bool, bool)> {
    let mut keys = BTreeMap::new();
    for key in &spec.keys {
        let name = match &key.scope {
            Scope::Global => key.name.clone(),
            Scope::Local(file) => format!("{file}:{}", key.name),
        };
        let first = linked.address(&name) + key.offset;
        let in_bss = key.section == DataSection::Bss;
        for index in 0..key.count {
            let state = (key.enabled, key.initially_true, in_bss);
            keys.insert(first + index * StaticKey::SIZE as u64, state);
        }
    }
    keys
}

#[test]
fn entries_and_sites_are_those_that_were_linked() {
    for (name, spec) in variants() {
        let linked = spec.link();
        let bytes = linked.bytes();
        let image = Image::parse(&bytes).expect("the image can be read");
        let table = JumpTable::read(&image).expect("there is a table");
        assert_eq!(table.len(), linked.entries.len(), "{name}");
        for (id, wanted) in table.site_ids().zip(&linked.entries) {
            let (entry, site) = (table.entry(id), table.site(id));
            let found = (entry.code, entry.target, entry.key, entry.branch, entry.init);
            let [code, target, key] = [wanted.code, wanted.target, wanted.key].map(Svma);
            assert_eq!(found, (code, target, key, wanted.branch, wanted.init), "{name} {id:?}");
            assert_eq!(site.bytes, Some(&wanted.word.to_le_bytes()[..]), "{name} {id:?}");
            assert_eq!(table.key(table.key_of(id)).address, key);
        }
        assert_eq!(table.diagnostics(), [], "{name}");
    }
}

#[test]
fn the_table_is_located_and_its_layout_recognised() {
    for (name, spec) in variants() {
        let linked = spec.link();
        let bytes = linked.bytes();
        let image = Image::parse(&bytes).expect("the image can be read");
        let table = JumpTable::read(&image).expect("there is a table");
        let range = table.location().range;
        assert_eq!((range.start().0, range.end().0), (linked.table.start, linked.table.end));
        let by = match spec.locate {
            Locate::Symbols => LocatedBy::Symbols,
            Locate::Section => LocatedBy::Section,
        };
        assert_eq!(table.location().by, by, "{name}");
        let (layout, size) = match spec.layout {
            SpecLayout::Relative => (EntryLayout::Relative, 16),
            SpecLayout::Absolute => (EntryLayout::Absolute, 24),
        };
        assert_eq!((table.layout(), table.layout().entry_size()), (layout, size), "{name}");
        let kind = match spec.elf_type {
            ElfType::Exec => ImageKind::Exec,
            ElfType::Dyn => ImageKind::Dyn,
            ElfType::Rel => panic!("{name}: no module is among the variants"),
        };
        assert_eq!((image.kind(), image.is_big_endian()), (kind, spec.endian == Endian::Big));
        assert_eq!(image.build_id(), spec.build_id.as_deref(), "{name}");
        if spec.flavour == Flavour::Kernel {
            assert_eq!(image.release(), Some(spec.release.as_str()), "{name}");
        }
    }
}

#[test]
fn keys_have_the_state_that_was_declared() {
    for (name, spec) in variants() {
        let linked = spec.link();
        let bytes = linked.bytes();
        let image = Image::parse(&bytes).expect("the image can be read");
        let table = JumpTable::read(&image).expect("there is a table");
        let declared = declared(&spec, &linked);
        let mut used: Vec<u64> = linked.entries.iter().map(|entry| entry.key).collect();
        used.sort_unstable();
        used.dedup();
        let found: Vec<u64> = table.keys().iter().map(|key| key.address.0).collect();
        assert_eq!(found, used, "{name}");
        for key in table.keys() {
            let (enabled, initially_true, in_bss) = declared[&key.address.0];
            let storage = if in_bss {
                KeyStorage::ZeroFilled
            } else {
                KeyStorage::File { enabled, initially_true }
            };
            assert_eq!(key.storage, storage, "{name} {}", key.name(&image));
            assert_eq!(key.is_on(), Some(enabled != 0 && !in_bss));
            let sites = linked.entries.iter().enumerate();
            let sites = sites.filter(|(_, entry)| entry.key == key.address.0);
            let found: Vec<usize> = key.sites.iter().map(|id| id.index()).collect();
            assert_eq!(found, sites.map(|(index, _)| index).collect::<Vec<_>>());
        }
    }
}

#[test]
fn keys_and_functions_are_named() {
    let bytes = demo::vmlinux();
    let image = Image::parse(&bytes).expect("the image can be read");
    let table = JumpTable::read(&image).expect("there is a table");
    let rows: Vec<String> = table
        .site_ids()
        .map(|id| {
            let function = table.site(id).function.expect("every site has a function");
            let name = image.symbols().name(function.symbol);
            let key = table.key(table.key_of(id));
            let file = key.symbol.and_then(|at| image.symbols().file(at.symbol));
            let key = key.name(&image);
            format!("{name}+{:#x} {}:{key}", function.offset, file.unwrap_or_default())
        })
        .collect();
    let wanted = [
        "demo_open+0x8 :demo_false_key",
        "demo_open+0x1c :demo_true_key",
        "demo_read+0x4 :demo_true_key",
        "demo_read+0x14 :demo_false_key",
        "demo_read+0x24 :__tracepoint_demo_event+0x8",
        "demo_poll+0x18 demo.c:___once_key.0",
        "demo_has_feature+0x8 :cpu_hwcap_keys+0x20",
        "demo_has_feature+0x10 :demo_ro_key",
        "demo_xmit+0x0 :demo_bss_key",
        "demo_xmit+0x14 demo_net.c:___once_key.0",
        "demo_init+0xc :demo_ro_key",
        "demo_net_exit+0x8 :demo_bss_key",
    ];
    assert_eq!(rows, wanted);
}
