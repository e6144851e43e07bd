//! Frames of modules, from their own debug information, whose sections need relocations, and from a
//! debug file with another layout.

use super::chains;
use super::chains::Chain;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::{DebugInfo, find_debug_file};
use jlctl_analyzer::image::{Image, ImageError};
use jlctl_synthetic::elf::{
    Content, Elf, Endian, Relocation, Section, SymbolRef, SymbolSection, consts,
};
use jlctl_synthetic::link::{Linked, Location};
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, Machine, SiteSpec, TextSection};
use jlctl_synthetic::{compress, split};
use std::fs;
use std::path::{Path, PathBuf};

fn spec(machine: Machine, version: u16) -> ImageSpec {
    let file = "drivers/demo.c";
    let module = ImageSpec::module("demo")
        .on(machine)
        .undefined("memory_key")
        .key(KeySpec::new("demo_key"))
        .function(FunctionSpec::new("demo_fn", file, 48))
        .function(
            FunctionSpec::new("demo_init", "drivers/init.c", 16).in_section(TextSection::Init),
        )
        .function(FunctionSpec::new("demo_exit", file, 16).in_section(TextSection::Exit))
        .site(SiteSpec::new("demo_fn+8", "demo_fn+0x40", "demo_key"))
        .site(
            SiteSpec::new("demo_fn+24", "demo_fn+0x40", "memory_key")
                .inlined_from("static_key_false", "include/linux/jump_label.h", 200)
                .inlined_from("demo_is_on", file, 12),
        )
        .site(SiteSpec::new("demo_init+8", "demo_init+0x20", "demo_key").likely().at_line(777))
        .site(SiteSpec::new("demo_exit+8", "demo_exit+0x20", "demo_key"));
    ImageSpec { dwarf: Some(version), build_id: Some((1..=20).collect()), ..module }
}

fn variants() -> Vec<ImageSpec> {
    let mut all: Vec<ImageSpec> =
        Machine::ALL.iter().flat_map(|machine| [4, 5].map(|dwarf| spec(*machine, dwarf))).collect();
    all.push(ImageSpec { endian: Endian::Big, ..spec(Machine::Aarch64, 5) });
    all
}

/// The addresses that `image` gives to the sites.
fn codes(image: &Image<'_>, linked: &Linked) -> Vec<Svma> {
    let code = |code| {
        let Some(Location::Section { name, offset }) = linked.location(code) else {
            panic!("sites lie in sections")
        };
        image.section_named(&name).expect("the file is there").range.start().wrapping_add(offset)
    };
    linked.entries.iter().map(|entry| code(entry.code)).collect()
}

/// The chains of the sites of `image` in the debug information of `debug`, and its faults.
fn look_up(image: &Image<'_>, linked: &Linked, debug: &[u8]) -> (Vec<Chain>, Vec<String>) {
    let sections = Image::parse_sections(debug).unwrap().placed_as(image.sections()).unwrap();
    let debug_info = DebugInfo::new(&sections).expect("there is debug information");
    let codes = codes(image, linked);
    let frames = debug_info.frames(&codes, Path::new("/nonexistent/image"), &|_| {});
    let faults = frames.faults().iter().map(ToString::to_string).collect();
    (chains::of_frames(&frames, codes.len()), faults)
}

fn demand_declared(spec: &ImageSpec, linked: &Linked, module: &[u8], debug: &[u8]) {
    let image = Image::parse(module).unwrap();
    let wanted = chains::declared(spec, linked);
    assert_eq!(wanted.iter().map(Vec::len).collect::<Vec<_>>(), [2, 4, 2, 2]);
    let what = format!("{:?} {:?}", spec.machine, spec.dwarf);
    assert_eq!(look_up(&image, linked, debug), (wanted, Vec::new()), "{what}");
}

#[test]
fn each_site_of_a_module_has_the_declared_chain() {
    for spec in variants() {
        let mut linked = spec.link();
        let plain = linked.bytes();
        demand_declared(&spec, &linked, &plain, &plain);
        // Without its relocations, the file does not have these addresses.
        let image = Image::parse(&plain).unwrap();
        let mut bare = linked.elf.clone();
        bare.sections.retain(|section| !section.name.starts_with(".rela.debug"));
        let (found, _) = look_up(&image, &linked, &bare.write());
        assert!(found.iter().all(Vec::is_empty), "{found:?}");

        compress::debug_sections(&mut linked.elf);
        let compressed = linked.bytes();
        demand_declared(&spec, &linked, &compressed, &compressed);
    }
}

/// Leaves out sections.  Their symbols stay, since relocations name symbols by
/// position.
fn without(elf: &mut Elf, is_left_out: impl Fn(&Section) -> bool) {
    let is_kept = |section: &Section| !is_left_out(section);
    elf.sections.retain(is_kept);
    for symbol in &mut elf.symbols {
        if matches!(&symbol.section, SymbolSection::In(name) if elf.sections.iter().all(|s| s.name != *name))
        {
            symbol.section = SymbolSection::Absolute;
        }
    }
}

/// The module without debug information, as distributions install it.
fn installed(elf: &Elf) -> Vec<u8> {
    let mut module = elf.clone();
    without(&mut module, |section| section.name.contains(".debug_"));
    module.write()
}

/// A debug file as from `objcopy --only-keep-debug`: loaded sections other than notes have no bytes,
/// the order of sections differs, one section is added and one removed.
fn debug_file(elf: &Elf) -> Elf {
    let mut debug = elf.clone();
    for section in debug.sections.iter_mut().filter(|section| section.is_loaded()) {
        if section.sh_type != consts::SHT_NOTE {
            section.content = Content::NoBits(section.content.len());
            section.sh_type = consts::SHT_NOBITS;
        }
    }
    without(&mut debug, |section| {
        let is_of_code = section.name.starts_with(".rela") && !section.name.contains(".debug_");
        is_of_code || section.name == ".modinfo"
    });
    debug.sections.reverse();
    let extra = Section::new(".extra", vec![0; 40]).loaded(0, consts::SHF_EXECINSTR, 32);
    debug.sections.push(extra);
    debug
}

#[test]
fn a_debug_file_may_have_another_layout() {
    for spec in variants() {
        let linked = spec.link();
        let (module, debug) = (installed(&linked.elf), debug_file(&linked.elf).write());
        demand_declared(&spec, &linked, &module, &debug);
        let image = Image::parse(&module).unwrap();
        let sections = Image::parse_sections(&debug).unwrap();
        let placed = sections.placed_as(image.sections()).unwrap();
        let extra = placed.named(".extra").unwrap().range;
        assert!(extra.start() > image.sections().iter().map(|s| s.range.end()).max().unwrap());
    }
}

#[test]
fn a_debug_file_of_another_size_is_refused() {
    let linked = spec(Machine::Aarch64, 5).link();
    let mut debug = debug_file(&linked.elf);
    debug.section_mut(".init.text").unwrap().content = Content::NoBits(0x50);
    let (module, debug) = (installed(&linked.elf), debug.write());
    let image = Image::parse(&module).unwrap();
    let error = Image::parse_sections(&debug).unwrap().placed_as(image.sections()).unwrap_err();
    assert!(matches!(error, ImageError::OtherLayout { .. }));
    assert_eq!(
        error.to_string(),
        "debug file: expected 0x40 bytes in section .init.text, as in the module, found 0x50: are both from one build?"
    );
    let directory = tempfile::tempdir().unwrap();
    let (path, roots) = install(directory.path(), &module, "lib/modules", "demo.ko", &debug);
    assert!(find(&path, &roots).is_none());
}

const RELEASE: &str = "6.12.0-jlctl-demo";

/// A tree with the module `lib/modules/RELEASE/kernel/drivers/demo.ko.xz`, and
/// its debug file in a root of debug files.
fn install(
    tree: &Path,
    module: &[u8],
    modules: &str,
    debug_name: &str,
    debug: &[u8],
) -> (PathBuf, [PathBuf; 1]) {
    let path = tree.join("lib/modules").join(RELEASE).join("kernel/drivers/demo.ko.xz");
    let root = tree.join("debug");
    let debug_path = root.join(modules).join(RELEASE).join("kernel/drivers").join(debug_name);
    for (path, bytes) in [(&path, module), (&debug_path, debug)] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // The test does not read the compressed module.
        fs::write(path, bytes).unwrap();
    }
    (path, [root])
}

fn find(path: &Path, roots: &[PathBuf]) -> Option<PathBuf> {
    let module = fs::read(path).unwrap();
    let sections = Image::parse_sections(&module).unwrap();
    find_debug_file(path, &sections, roots).map(|found| found.file.path().to_owned())
}

#[test]
fn debug_files_of_modules_are_found_by_path() {
    let linked = spec(Machine::Aarch64, 5).link();
    let (module, debug) = (installed(&linked.elf), debug_file(&linked.elf).write());
    for modules in ["lib/modules", "usr/lib/modules"] {
        for name in ["demo.ko", "demo.ko.debug"] {
            let directory = tempfile::tempdir().unwrap();
            let (path, roots) = install(directory.path(), &module, modules, name, &debug);
            let found = find(&path, &roots).expect("the debug file is found");
            assert!(found.ends_with(format!("{RELEASE}/kernel/drivers/{name}")));
        }
    }
}

#[test]
fn debug_files_of_other_builds_and_odd_releases_are_not_found() {
    let sound = spec(Machine::Aarch64, 5);
    let linked = sound.link();
    let (module, debug) = (installed(&linked.elf), debug_file(&linked.elf).write());
    let other = ImageSpec { build_id: Some(vec![9; 20]), ..sound.clone() };
    let other = debug_file(&other.link().elf).write();
    // A path instead of a release, which leads to the debug file.
    let outside = ImageSpec { release: format!("x/../{RELEASE}"), ..sound };
    let outside = installed(&outside.link().elf);
    for (module, debug) in [(&module, &other), (&outside, &debug)] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("debug/lib/modules/x")).unwrap();
        let (path, roots) = install(directory.path(), module, "lib/modules", "demo.ko", debug);
        assert_eq!(find(&path, &roots), None);
    }
}

#[test]
fn symbols_are_adopted_by_section_name() {
    let linked = spec(Machine::Riscv64, 5).link();
    let mut bare = split::strip(&linked.elf);
    bare.sections.retain(|section| !section.name.starts_with(".rela"));
    let (bare, debug) = (bare.write(), debug_file(&linked.elf).write());
    let mut image = Image::parse(&bare).unwrap();
    assert!(image.symbols().is_empty());
    assert!(image.adopt_symbols(&debug));
    let found = |image: &Image<'_>, name: &str| {
        let symbol = *image.symbols().named(name).next().expect("the symbol is adopted").1;
        let section = image.section(symbol.section.expect("the symbol is defined"));
        assert!(section.range.contains(symbol.address), "{name}");
        (section.name.to_owned(), symbol.address.0 - section.range.start().0)
    };
    assert_eq!(found(&image, "demo_init"), (".init.text".to_owned(), 0));
    assert_eq!(found(&image, "demo_exit"), (".exit.text".to_owned(), 0));
    let code = codes(&image, &linked)[2];
    let function = image.symbols().function_at(code).expect("a function is there");
    assert_eq!((&*image.symbols().name(function.symbol), function.offset), ("demo_init", 8));

    let mut other = debug_file(&linked.elf);
    other.section_mut(".text").unwrap().content = Content::NoBits(8);
    let other = other.write();
    assert!(!Image::parse(&bare).unwrap().adopt_symbols(&other));
}

/// The module with relocations of `.debug_info` edited.
fn damaged(edit: impl FnOnce(&mut Vec<Relocation>)) -> (Linked, Vec<u8>) {
    let mut linked = spec(Machine::Aarch64, 5).link();
    let section = linked.elf.section_mut(".rela.debug_info").expect("the section is relocated");
    let Content::Relocations(list) = &mut section.content else { panic!("relocations") };
    edit(list);
    let bytes = linked.bytes();
    (linked, bytes)
}

#[test]
fn relocations_that_cannot_be_applied_are_counted() {
    let whole = chains::declared(&spec(Machine::Aarch64, 5), &spec(Machine::Aarch64, 5).link());
    let extra = |offset, kind, symbol| {
        let relocation = Relocation { offset, kind, symbol: SymbolRef::Number(symbol), addend: 0 };
        damaged(move |list| list.extend(vec![relocation; 3000]))
    };
    for ((linked, bytes), wanted) in [
        (
            extra(0, 0x3fff, 0),
            "of unknown name (type 16383) at .debug_info+0x0: expected a type that fills a word of data",
        ),
        (
            extra(8, 257, 0x00ff_ffff),
            "R_AARCH64_ABS64 (type 257) at .debug_info+0x8: expected an index into the symbol table, found 16777215, which is beyond its end",
        ),
        (
            extra(1 << 40, 257, 0),
            "R_AARCH64_ABS64 (type 257) at .debug_info+0x10000000000: expected a field inside the ",
        ),
        (
            extra(u64::MAX, 258, 0),
            "R_AARCH64_ABS32 (type 258) at .debug_info+0xffffffffffffffff: expected a field inside the ",
        ),
    ] {
        let image = Image::parse(&bytes).unwrap();
        let (found, faults) = look_up(&image, &linked, &bytes);
        assert_eq!(found, whole);
        let start = format!(
            "debug information: 3000 relocation(s) of .debug_info not applied; the first, {wanted}"
        );
        assert!(faults.len() == 1 && faults[0].starts_with(&start), "{faults:?}");
    }
}

#[test]
fn invalid_relocation_sections_are_reported() {
    let edited = |edit: &dyn Fn(&mut Elf)| {
        let mut linked = spec(Machine::Aarch64, 5).link();
        edit(&mut linked.elf);
        let bytes = linked.bytes();
        let image = Image::parse(&bytes).unwrap();
        look_up(&image, &linked, &bytes).1
    };
    let section = ".rela.debug_line";
    let faults = edited(&|elf| elf.section_mut(section).unwrap().sh_type = consts::SHT_REL);
    assert_eq!(
        faults,
        [format!(
            "debug information: relocation section {section}: expected relocations with addends (SHT_RELA), found relocations without (SHT_REL)"
        )]
    );
    let faults = edited(&|elf| elf.section_mut(section).unwrap().link = None);
    assert_eq!(
        faults,
        [format!(
            "debug information: relocation section {section}: expected sh_link to name the symbol table, found section 0"
        )]
    );
    let faults = edited(&|elf| {
        let again = elf.section(section).unwrap().clone();
        elf.sections.push(again);
    });
    assert_eq!(
        faults,
        [format!(
            "debug information: relocation section {section}: expected one relocation section for each section, found 1 more, not applied"
        )]
    );
}
