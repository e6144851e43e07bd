//! Programs of real code, read back through `object`'s own ELF reader.

use jlctl_a64::code::asm::{
    address, adrp, b, bl, br, cbz, enter, isb, label, ldr_literal, leave_ret, nop, quad, ret, site,
    site_jump, x,
};
use jlctl_a64::code::{Function, Object, Program};
use jlctl_synthetic::elf::{Endian, consts};
use jlctl_synthetic::spec::{Relocations, TextSection};
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSection, ObjectSymbol, RelocationFlags};

type File<'a> = ElfFile64<'a, Endian>;

fn parse(bytes: &[u8]) -> File<'_> {
    File::parse(bytes).expect("a sound image parses")
}

fn at<'a>(file: &File<'a>, address: u64, size: u64) -> &'a [u8] {
    let find = |section: &object::read::elf::ElfSection64<'a, '_, Endian>| {
        section.data_range(address, size).ok().flatten()
    };
    file.sections().find_map(|s| find(&s)).unwrap_or_else(|| panic!("nothing at {address:#x}"))
}

fn word(file: &File<'_>, address: u64) -> u32 {
    u32::from_le_bytes(at(file, address, 4).try_into().expect("four bytes"))
}

fn long(file: &File<'_>, address: u64) -> u64 {
    u64::from_le_bytes(at(file, address, 8).try_into().expect("eight bytes"))
}

fn short(file: &File<'_>, address: u64) -> u64 {
    address.wrapping_add_signed(i64::from(word(file, address).cast_signed()))
}

fn symbol(file: &File<'_>, name: &str) -> u64 {
    let mut found = file.symbols().filter(|symbol| symbol.name() == Ok(name));
    found.next().unwrap_or_else(|| panic!("no symbol {name}")).address()
}

/// The target of the B or BL at `address`.
fn goes_to(file: &File<'_>, address: u64) -> u64 {
    let imm = i64::from((word(file, address) << 6).cast_signed() >> 6);
    address.wrapping_add_signed(imm * 4)
}

#[test]
fn calls_prefer_the_local_function_of_their_file() {
    let set = || Function::new("set", [ret()]).local();
    let file = Program::kernel()
        .functions([
            set(),
            set().local_to("b.c"),
            Function::new("a", [bl("set"), bl("b.c:set"), ret()]),
            Function::new("b", [bl("set"), bl("demo.c:set"), ret()]).in_file("b.c").alias("c"),
        ])
        .build();
    let file = parse(&file);
    let sets: Vec<u64> =
        file.symbols().filter(|s| s.name() == Ok("set")).map(|s| s.address()).collect();
    assert_eq!(sets.len(), 2);
    let (a, b) = (symbol(&file, "a"), symbol(&file, "b"));
    assert_eq!([a, a + 4].map(|at| goes_to(&file, at)), [sets[0], sets[1]]);
    assert_eq!([b, b + 4].map(|at| goes_to(&file, at)), [sets[1], sets[0]]);
    assert_eq!(symbol(&file, "c"), b);
}

#[test]
fn a_kernel_has_its_banner_exports_and_sites() {
    let body = [site("far"), nop(), site_jump("far"), ret(), label("far"), ret()];
    let image = Program::kernel()
        .functions([
            Function::new("first", [ret()]),
            Function::new("demo", body).exported().aligned(4096),
            Function::new("boot", [ret()]).in_section(TextSection::Init),
        ])
        .build();
    let file = parse(&image);
    assert!(at(&file, symbol(&file, "linux_banner"), 14).starts_with(b"Linux version "));
    let demo = symbol(&file, "demo");
    assert_eq!(demo % 4096, 0);
    let entry = symbol(&file, "__ksymtab_demo");
    assert_eq!(short(&file, entry), demo);
    assert_eq!(at(&file, short(&file, entry + 4), 5), b"demo\0");
    let table = symbol(&file, "__start___jump_table");
    assert_eq!(symbol(&file, "__stop___jump_table") - table, 32);
    for (entry, code, branch) in [(table, demo, 0), (table + 16, demo + 8, 1)] {
        assert_eq!(short(&file, entry), code);
        assert_eq!(short(&file, entry + 4), demo + 16);
        let key = (entry + 8).wrapping_add(long(&file, entry + 8));
        assert_eq!(key, symbol(&file, "demo_key") + branch);
    }
    assert_eq!((word(&file, demo), goes_to(&file, demo + 8)), (0xd503_201f, demo + 16));
    let init = file.section_by_name(".init.text").expect("it has one");
    assert_eq!(init.address(), symbol(&file, "boot"));
}

/// The analyzer recognises the kernel, and reports no diagnostic for its table.
#[test]
fn the_analyzer_reads_a_kernel() {
    use jlctl_analyzer::image::Image;
    use jlctl_analyzer::jump_table::JumpTable;
    let body = [site("far"), nop(), site_jump("far"), ret(), label("far"), ret()];
    let bytes = Program::kernel().functions([Function::new("demo", body)]).build();
    let image = Image::parse(&bytes).expect("a sound image");
    assert!(image.is_kernel() && image.faults().is_empty());
    let table = JumpTable::read(&image).expect("a table");
    assert_eq!((table.len(), table.diagnostics().len()), (2, 0));
}

#[test]
fn pointers_have_each_kind_of_relocation() {
    for relocations in [Relocations::None, Relocations::Rela, Relocations::Relr] {
        for program in [Program::kernel(), Program::user()] {
            let body = [ldr_literal(x(1), "pool"), br(x(1)), label("pool"), quad("other")];
            let program = program
                .relocated(relocations)
                .functions([Function::new("demo", body), Function::new("other", [ret()])])
                .object(Object::pointers("table", &["demo", "", "other"]));
            let bytes = program.build();
            let file = parse(&bytes);
            let (demo, other) = (symbol(&file, "demo"), symbol(&file, "other"));
            let table = symbol(&file, "table");
            let places = [(demo + 8, other), (table, demo), (table + 16, other)];
            if relocations == Relocations::Rela {
                let rela = file.section_by_name(".rela.dyn").expect("it is there");
                for ((place, value), at) in places.iter().zip((rela.address()..).step_by(24)) {
                    assert_eq!((long(&file, at), long(&file, at + 16)), (*place, *value));
                    assert_eq!((long(&file, at + 8), long(&file, *place)), (1027, 0));
                }
            } else {
                assert!(places.iter().all(|(place, value)| long(&file, *place) == *value));
            }
            let has_relr = file.section_by_name(".relr.dyn").is_some();
            assert_eq!(has_relr, relocations == Relocations::Relr);
            assert_eq!(word(&file, demo), 0x5800_0041);
        }
    }
}

#[test]
fn a_library_calls_imports_through_stubs() {
    let bytes = Program::user()
        .stripped()
        .functions([
            Function::new("demo", [enter(), bl("mprotect"), bl("syscall"), leave_ret()]).exported(),
            Function::new("hidden", [bl("mprotect"), ret()]).local(),
        ])
        .build();
    let file = parse(&bytes);
    assert_eq!(file.symbols().count(), 0);
    let names: Vec<&str> = file.dynamic_symbols().map(|s| s.name().expect("a name")).collect();
    assert_eq!(names, ["mprotect", "syscall", "demo"]);
    let demo = file.dynamic_symbols().last().expect("three").address();
    let plt = file.section_by_name(".plt").expect("stubs").address();
    let got = file.section_by_name(".got.plt").expect("their table").address();
    assert_eq!([demo + 12, demo + 16].map(|at| goes_to(&file, at)), [plt + 32, plt + 48]);
    for (stub, slot) in [(plt + 32, got + 24), (plt + 48, got + 32)] {
        // ADRP and the offsets of LDR and ADD give the address of the slot.
        let adrp = word(&file, stub);
        let pages = u64::from(adrp >> 5 & 0x7_ffff) << 2 | u64::from(adrp >> 29 & 3);
        let page = (stub & !0xfff) + (pages << 12);
        assert_eq!(page + u64::from(word(&file, stub + 4) >> 10 & 0xfff) * 8, slot);
        assert_eq!(page + u64::from(word(&file, stub + 8) >> 10 & 0xfff), slot);
        assert_eq!((word(&file, stub + 12), long(&file, slot)), (0xd61f_0220, plt));
    }
    let relocations = file.section_by_name(".rela.plt").expect("slots").address();
    assert_eq!(
        (long(&file, relocations), long(&file, relocations + 8)),
        (got + 24, 1 << 32 | 1026)
    );
}

#[test]
fn frames_describe_the_functions() {
    use gimli::UnwindSection;
    let bytes = Program::user()
        .stripped()
        .functions([
            Function::new("demo", [nop(), ret()]).local(),
            Function::new("other", [nop(), nop(), ret()]).local().aligned(64),
        ])
        .build();
    let file = parse(&bytes);
    let section = file.section_by_name(".eh_frame").expect("frames");
    let text = file.section_by_name(".text").expect("code").address();
    let frames = gimli::EhFrame::new(section.data().expect("bytes"), gimli::LittleEndian);
    let bases = gimli::BaseAddresses::default().set_eh_frame(section.address());
    let mut entries = frames.entries(&bases);
    let mut found = Vec::new();
    while let Some(entry) = entries.next().expect("sound frames") {
        if let gimli::CieOrFde::Fde(partial) = entry {
            let fde = partial.parse(gimli::EhFrame::cie_from_offset).expect("a sound frame");
            found.push((fde.initial_address(), fde.len()));
        }
    }
    assert_eq!(found, [(text, 8), (text + 64, 12)]);
    let bare = Program::user().without_frames().functions([Function::new("demo", [ret()])]).build();
    assert!(parse(&bare).section_by_name(".eh_frame").is_none());
}

#[test]
fn a_module_leaves_its_calls_to_the_loader() {
    let body = [
        enter(),
        cbz(x(0), "out"),
        bl("static_key_enable"),
        bl("helper"),
        address(x(0), "helper"),
        adrp(x(1), "ops"),
        label("out"),
        leave_ret(),
        b("static_key_disable"),
    ];
    let bytes = Program::module("demo")
        .functions([
            Function::new("helper", [isb(), ret()]).local().aligned(64),
            Function::new("demo", body),
        ])
        .object(Object::pointers("ops", &["demo", "static_key_enable"]))
        .build();
    let file = parse(&bytes);
    let of = |section: &str| {
        let section = file.section_by_name(section).expect("it is there");
        let relocations = section.relocations().map(|(at, relocation)| {
            let RelocationFlags::Elf { r_type } = relocation.flags() else { panic!("not ELF") };
            let object::RelocationTarget::Symbol(index) = relocation.target() else {
                panic!("no symbol")
            };
            let symbol = file.symbol_by_index(index).expect("it is there");
            let name = symbol.name().unwrap_or_default().to_owned();
            (at, r_type.0, name, relocation.addend())
        });
        relocations.collect::<Vec<_>>()
    };
    let entry = |at: u64, kind: consts::RelocationType, name: &str, addend: i64| {
        (at, kind.0, name.to_owned(), addend)
    };
    // Section symbols have no name; the helper is the first function symbol.
    assert_eq!(
        of(".text"),
        [
            entry(24, consts::R_AARCH64_CALL26, "static_key_enable", 0),
            entry(28, consts::R_AARCH64_CALL26, "", 0),
            entry(32, consts::R_AARCH64_ADR_PREL_PG_HI21, "", 0),
            entry(36, consts::R_AARCH64_ADD_ABS_LO12_NC, "", 0),
            entry(40, consts::R_AARCH64_ADR_PREL_PG_HI21, "ops", 0),
            entry(56, consts::R_AARCH64_JUMP26, "static_key_disable", 0),
        ]
    );
    let pointers = [("demo", 0), ("static_key_enable", 8)];
    let pointers = pointers.map(|(name, at)| entry(at, consts::R_AARCH64_ABS64, name, 0));
    assert_eq!(of(".data"), pointers);
    assert!(file.sections().all(|section| section.address() == 0));
    assert!(file.section_by_name(".modinfo").is_some());
}

#[test]
#[should_panic(expected = "undefined symbol")]
fn a_kernel_imports_nothing() {
    let _ = Program::kernel().functions([Function::new("demo", [bl("panic")])]).build();
}
