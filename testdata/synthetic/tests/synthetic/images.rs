//! The builders, read back through `object`'s own ELF reader.

use jlctl_shim::abi::{AbsoluteEntry, JumpLabelType, RelativeEntry, StaticKey};
use jlctl_shim::insn::aarch64::{NOP, jump};
use jlctl_synthetic::elf::{Endian, consts};
use jlctl_synthetic::link::Linked;
use jlctl_synthetic::spec::{
    Branch, DataSection, FunctionSpec, ImageSpec, KeySpec, Relocations, SiteSpec,
};
use jlctl_synthetic::{broken, compress, demo, raw::Raw, split};
use object::endian::Endian as _;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

type File<'a> = ElfFile64<'a, Endian>;

fn parse(bytes: &[u8]) -> File<'_> {
    File::parse(bytes).expect("a sound image parses")
}

/// Bytes at `address`, by the sections.
fn at<'a>(file: &File<'a>, address: u64, size: u64) -> &'a [u8] {
    let section = file.sections().find(|section| {
        section.address() != 0
            && (section.address()..section.address() + section.size()).contains(&address)
    });
    let section = section.unwrap_or_else(|| panic!("no section at {address:#x}"));
    let found = section.data_range(address, size).expect("the section is readable");
    found.unwrap_or_else(|| panic!("no bytes at {address:#x}"))
}

fn user(spec: ImageSpec) -> ImageSpec {
    spec.key(KeySpec::new("on_key").initially_true())
        .key(KeySpec::new("bss_key").in_section(DataSection::Bss))
        .function(FunctionSpec::new("main", "main.c", 20))
        .site(SiteSpec::new("main+8", "main+16", "on_key"))
        .site(SiteSpec::new("main+12", "main+32", "bss_key").likely())
}

/// (code, target, key word) of each entry of a self-relative table.
fn relative(file: &File<'_>, linked: &Linked) -> Vec<[u64; 3]> {
    let endian = linked.elf.endian;
    let entry = |entry: u64| {
        let start = linked.table.start + entry * RelativeEntry::SIZE as u64;
        let bytes = at(file, start, RelativeEntry::SIZE as u64);
        let short = |field: usize| {
            let value = endian.read_i32(bytes[field..field + 4].try_into().expect("four bytes"));
            (start + field as u64).wrapping_add_signed(value.into())
        };
        let key = RelativeEntry::KEY;
        let word = endian.read_u64(bytes[key..key + 8].try_into().expect("eight bytes"));
        let key = (start + key as u64).wrapping_add(word & !3) | word & 3;
        [short(RelativeEntry::CODE), short(RelativeEntry::TARGET), key]
    };
    (0..linked.entries.len() as u64).map(entry).collect()
}

fn wanted(linked: &Linked) -> Vec<[u64; 3]> {
    let entry = |e: &jlctl_synthetic::link::Entry| {
        [e.code, e.target, e.key | u64::from(e.branch) | u64::from(e.init) << 1]
    };
    linked.entries.iter().map(entry).collect()
}

#[test]
fn the_committed_demo_image_is_the_one_that_is_built() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(demo::COMMITTED);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, demo::vmlinux()).expect("the demo image is written");
    }
    let committed = fs::read(path).expect("the demo image is committed");
    assert!(committed == demo::vmlinux(), "UPDATE_EXPECT=1 cargo test -p jlctl-synthetic rewrites");
    assert!(committed.len() < 64 << 10, "{} bytes", committed.len());
}

#[test]
fn the_demo_table_reads_back_in_both_byte_orders() {
    for endian in [Endian::Little, Endian::Big] {
        let mut spec = demo::spec();
        spec.endian = endian;
        let linked = spec.link();
        let bytes = linked.bytes();
        let file = parse(&bytes);
        assert_eq!(relative(&file, &linked), wanted(&linked));
        assert_eq!(linked.entries.len(), 12);
        let symbol = |name: &str| file.symbol_by_name(name).map(|symbol| symbol.address());
        assert_eq!(symbol("__start___jump_table"), Some(linked.table.start));
        assert_eq!(symbol("__stop___jump_table"), Some(linked.table.end));
        assert!(file.section_by_name("__jump_table").is_none());
    }
}

/// Every site of the demo holds the instruction that its key's state requires, and its target
/// is in its function.
#[test]
fn the_demo_is_consistent() {
    let linked = demo::linked();
    let bytes = linked.bytes();
    let file = parse(&bytes);
    let mut kinds = HashSet::new();
    for entry in &linked.entries {
        let section = file.sections().find(|section| {
            (section.address()..section.address() + section.size()).contains(&entry.key)
        });
        let in_file = section.expect("each key has a section").name() != Ok(".bss");
        let key = if in_file { at(&file, entry.key, 16) } else { &[0; 16] };
        let field = |offset: usize| {
            u64::from_le_bytes(key[offset..offset + 8].try_into().expect("eight bytes"))
        };
        let on = StaticKey::is_initially_true(field(StaticKey::TYPE));
        assert_eq!(on, field(StaticKey::ENABLED) & 0xffff_ffff != 0);
        let insn = match JumpLabelType::wanted(on, entry.branch) {
            JumpLabelType::Nop => NOP,
            JumpLabelType::Jmp => jump(entry.code, entry.target).expect("the target is near"),
        };
        kinds.insert((on, entry.branch));
        assert_eq!(at(&file, entry.code, 4), insn.to_le_bytes());
        let function = file.symbols().find(|symbol| {
            let range = symbol.address()..symbol.address() + symbol.size();
            range.contains(&entry.code) && range.contains(&entry.target)
        });
        assert!(function.is_some(), "{entry:x?}");
    }
    assert_eq!(kinds.len(), 4, "each of the four combinations occurs");
}

#[test]
fn an_absolute_table_reads_back() {
    let linked = user(ImageSpec::user_exec()).link();
    let bytes = linked.bytes();
    let file = parse(&bytes);
    let table = file.section_by_name("__jump_table").expect("the table has a section");
    assert_eq!(table.size(), 2 * AbsoluteEntry::SIZE as u64);
    let words = table.data().expect("the table has bytes").chunks(8);
    let words: Vec<u64> =
        words.map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect();
    assert_eq!(words, wanted(&linked).concat());
    assert_eq!(file.elf_header().e_type.get(Endian::Little), consts::ET_EXEC);
}

#[test]
fn a_rela_table_is_zero_until_relocated() {
    let linked = user(ImageSpec::user_pie(Relocations::Rela)).link();
    let bytes = linked.bytes();
    let file = parse(&bytes);
    let table = file.section_by_name("__jump_table").expect("the table has a section");
    assert!(table.data().expect("the table has bytes").iter().all(|byte| *byte == 0));
    let rela = file.section_by_name(".rela.dyn").expect("the image is relocated");
    let words: Vec<u64> = rela.data().expect("it has bytes").chunks(8).map(word).collect();
    let relocations = words.chunks(3);
    let places = (linked.table.start..linked.table.end).step_by(8);
    for ((found, place), value) in relocations.zip(places).zip(wanted(&linked).concat()) {
        assert_eq!(found, [place, 1027, value]);
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

#[test]
fn a_relr_table_holds_its_addends() {
    let linked = user(ImageSpec::user_pie(Relocations::Relr)).link();
    let bytes = linked.bytes();
    let file = parse(&bytes);
    let table = at(&file, linked.table.start, linked.table.end - linked.table.start);
    let words: Vec<u64> = table.chunks(8).map(word).collect();
    assert_eq!(words, wanted(&linked).concat());
    let relr = file.section_by_name(".relr.dyn").expect("the image is relocated");
    let relr: Vec<u64> = relr.data().expect("it has bytes").chunks(8).map(word).collect();
    // Six words: the first by address, five by bits 1 to 5.
    assert_eq!(relr, [linked.table.start, 0b11_1111]);
}

#[test]
fn local_symbols_follow_their_file() {
    let bytes = demo::vmlinux();
    let file = parse(&bytes);
    let mut scope = String::new();
    let mut keys = Vec::new();
    for symbol in file.symbols() {
        let name = symbol.name().expect("names are UTF-8");
        match symbol.kind() {
            object::SymbolKind::File => name.clone_into(&mut scope),
            _ if name == "___once_key.0" => keys.push(scope.clone()),
            _ => {}
        }
    }
    assert_eq!(keys, ["demo.c", "demo_net.c"]);
}

#[test]
fn address_expressions_are_resolved() {
    let linked = demo::linked();
    let key = linked.address("net/core/demo_net.c:___once_key.0");
    assert_eq!(linked.entries[9].key, key);
    assert_ne!(linked.address("demo.c:___once_key.0"), key);
    assert_eq!(linked.entries[6].key, linked.address("cpu_hwcap_keys") + 32);
    let offset = Raw::new(linked.bytes()).offset_of(linked.entries[0].code);
    let offset = offset.expect("the site is in the file");
    assert_eq!(linked.bytes()[offset..offset + 4], linked.entries[0].word.to_le_bytes());
    assert_eq!(Raw::new(linked.bytes()).offset_of(linked.address("demo_bss_key")), None);
}

#[test]
#[should_panic(expected = "ambiguous")]
fn an_ambiguous_address_expression_is_refused() {
    let spec = demo::spec().site(SiteSpec::new("demo_open", "demo_open", "___once_key.0"));
    let _ = spec.build();
}

#[test]
#[should_panic(expected = "cannot reach")]
fn a_branch_out_of_range_is_refused() {
    let target = 0xffff_8000_9000_0000;
    let mut site = SiteSpec::new("other_fn+4", target, "broken_key");
    site.branch = Branch::Likely;
    let _ = broken::with_site(site).build();
}

#[test]
fn broken_images_differ_from_one_another() {
    let all = broken::all();
    let names: HashSet<_> = all.iter().map(|(name, _)| *name).collect();
    let images: HashSet<_> = all.iter().map(|(_, bytes)| bytes).collect();
    assert_eq!((names.len(), images.len()), (all.len(), all.len()));
    assert!(!images.contains(&broken::base().build()));
}

#[test]
fn a_split_image_refers_to_its_debug_file() {
    let linked = demo::linked();
    let split::Split { stripped, debug } = split::split_debug(&linked.elf, "demo.debug");
    let (image, symbols) = (parse(&stripped), parse(&debug));
    let link = image.gnu_debuglink().expect("the link is sound").expect("there is a link");
    let mut crc = flate2::Crc::new();
    crc.update(&debug);
    assert_eq!(link, (&b"demo.debug"[..], crc.sum()));
    assert_eq!(image.build_id(), symbols.build_id());
    assert!(image.build_id().expect("the note is sound").is_some());
    assert_eq!((image.symbols().count(), image.has_debug_symbols()), (0, false));
    assert!(symbols.symbol_by_name("demo_open").is_some() && symbols.has_debug_symbols());
    assert_eq!(at(&image, linked.entries[0].code, 4), linked.entries[0].word.to_le_bytes());
}

#[test]
fn compressed_sections_decompress() {
    use std::io::Read;
    let mut linked = demo::linked();
    let plain = linked.bytes();
    compress::debug_sections(&mut linked.elf);
    let bytes = linked.bytes();
    let (file, plain) = (parse(&bytes), parse(&plain));
    let compressed = file.section_by_name(".debug_info").expect("there is debug info");
    let stream = &compressed.data().expect("it has bytes")[compress::HEADER_BYTES..];
    let mut text = Vec::new();
    flate2::read::ZlibDecoder::new(stream).read_to_end(&mut text).expect("the stream is sound");
    let expected = plain.section_by_name(".debug_info").expect("there is debug info");
    assert_eq!(text, expected.data().expect("it has bytes"));
}
