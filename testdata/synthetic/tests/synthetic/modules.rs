//! Modules, read back through `object`'s own ELF reader and loaded here by the
//! rules of the psABIs.
#![allow(clippy::cast_possible_truncation, reason = "fields keep the low bits of a value")]

use jlctl_synthetic::broken::modules;
use jlctl_synthetic::elf::{Content, Endian, consts};
use jlctl_synthetic::link::{Linked, Location};
use jlctl_synthetic::spec::{
    DataSection, FunctionSpec, ImageSpec, KeySpec, Layout, Machine, SiteSpec, TextSection,
};
use object::endian::Endian as _;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, Relocation, RelocationFlags, RelocationTarget};
use std::collections::HashMap;

type File<'a> = ElfFile64<'a, Endian>;

const ELSEWHERE: &str = "__tracepoint_sched_switch";

fn spec(machine: Machine) -> ImageSpec {
    let file = "drivers/demo.c";
    ImageSpec::module("demo")
        .on(machine)
        .undefined("memory_key")
        .undefined(ELSEWHERE)
        .key(KeySpec::new("global_key"))
        .key(KeySpec::new("local_key").local_to(file).initially_true())
        .key(KeySpec::new("holder").local_to(file).interior(8, 64))
        .key(KeySpec::new("bss_key").in_section(DataSection::Bss))
        .key(KeySpec::new("late_key").local_to(file).in_section(DataSection::RoAfterInit))
        .key(KeySpec::new("mostly_key").in_section(DataSection::ReadMostly))
        .function(FunctionSpec::new("first_fn", file, 12))
        .function(FunctionSpec::new("demo_fn", file, 48))
        .function(FunctionSpec::new("demo_cold", file, 8).in_section(TextSection::Unlikely))
        .function(FunctionSpec::new("demo_init", file, 16).in_section(TextSection::Init))
        .function(FunctionSpec::new("demo_exit", file, 16).in_section(TextSection::Exit).local())
        .site(SiteSpec::new("demo_fn+8", "demo_fn+0x40", "global_key"))
        .site(SiteSpec::new("demo_fn+16", "demo_fn+0x40", "local_key"))
        .site(SiteSpec::new("demo_fn+24", "demo_fn+4", "holder+8").likely())
        .site(SiteSpec::new("demo_fn+32", "demo_cold+8", "__tracepoint_sched_switch+8"))
        .site(SiteSpec::new("demo_fn+40", "demo_cold+4", "memory_key").likely())
        .site(SiteSpec::new("demo_init+8", "demo_init+0x18", "late_key"))
        .site(SiteSpec::new("demo_init+16", "demo_cold+4", "mostly_key").likely().init())
        .site(SiteSpec::new("demo_exit+8", "demo_exit+0x18", "bss_key").likely())
}

fn variants() -> Vec<(&'static str, ImageSpec)> {
    let mut riscv = spec(Machine::Riscv64);
    (riscv.module.pcrel32, riscv.module.relax) = (true, true);
    let absolute = |machine| ImageSpec { layout: Layout::Absolute, ..spec(machine) };
    let mut at_zero = spec(Machine::Aarch64);
    at_zero.module.data_address = 0;
    vec![
        ("aarch64", spec(Machine::Aarch64)),
        ("aarch64 absolute", absolute(Machine::Aarch64)),
        ("aarch64 big-endian", ImageSpec { endian: Endian::Big, ..spec(Machine::Aarch64) }),
        ("aarch64, .data at 0", at_zero),
        ("x86_64", spec(Machine::X86_64)),
        ("x86_64 absolute", absolute(Machine::X86_64)),
        ("riscv64", spec(Machine::Riscv64)),
        ("riscv64 pcrel", riscv),
        ("riscv64 absolute", absolute(Machine::Riscv64)),
    ]
}

/// A module in memory, at addresses independent of the builder's.
struct Loaded {
    endian: Endian,
    sections: HashMap<String, (u64, Vec<u8>)>,
    undefined: HashMap<String, u64>,
}

impl Loaded {
    fn new(file: &File<'_>) -> Self {
        let mut loaded =
            Self { endian: file.endian(), sections: HashMap::new(), undefined: HashMap::new() };
        for (section, index) in file.sections().zip(1u64..) {
            let name = section.name().expect("names are UTF-8").to_owned();
            let mut bytes = section.data().expect("sections are readable").to_vec();
            bytes.resize(usize::try_from(section.size()).expect("small"), 0);
            loaded.sections.insert(name, (index * 0x2000, bytes));
        }
        for (symbol, index) in file.symbols().filter(ObjectSymbol::is_undefined).zip(1u64..) {
            let name = symbol.name().expect("names are UTF-8").to_owned();
            loaded.undefined.insert(name, 0x7_0000 + index * 0x1000);
        }
        for section in file.sections() {
            let name = section.name().expect("names are UTF-8");
            for (offset, relocation) in section.relocations() {
                loaded.apply(file, name, offset, &relocation);
            }
        }
        loaded
    }

    fn symbol(&self, file: &File<'_>, relocation: &Relocation) -> u64 {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            assert_eq!(relocation.target(), RelocationTarget::Absolute);
            return 0;
        };
        let symbol = file.symbol_by_index(index).expect("the symbol exists");
        let Some(section) = symbol.section_index() else {
            return self.undefined[symbol.name().expect("names are UTF-8")];
        };
        let section = file.section_by_index(section).expect("the section exists");
        // The symbol table counts from the section's start in any ET_REL.
        self.sections[section.name().expect("names are UTF-8")].0 + symbol.address()
    }

    fn apply(&mut self, file: &File<'_>, name: &str, offset: u64, relocation: &Relocation) {
        let RelocationFlags::Elf { r_type, .. } = relocation.flags() else { panic!("ELF") };
        let value = self.symbol(file, relocation).wrapping_add_signed(relocation.addend());
        let endian = self.endian;
        let (base, bytes) = self.sections.get_mut(name).expect("the section exists");
        let distance = value.wrapping_sub(*base + offset);
        let slot = &mut bytes[usize::try_from(offset).expect("small")..];
        let short = |value: u64| endian.write_u32(value as u32);
        let old = u32::from_le_bytes(slot[..4].try_into().expect("four bytes"));
        let old_u64 = |slot: &[u8]| u64::from_le_bytes(slot[..8].try_into().expect("eight"));
        match (file.elf_header().e_machine.get(endian), r_type.0) {
            (consts::EM_AARCH64, 257) | (consts::EM_X86_64, 1) | (consts::EM_RISCV, 2) => {
                slot[..8].copy_from_slice(&endian.write_u64(value));
            }
            (consts::EM_AARCH64, 260) | (consts::EM_X86_64, 24) => {
                slot[..8].copy_from_slice(&endian.write_u64(distance));
            }
            (consts::EM_AARCH64, 261) | (consts::EM_X86_64, 2 | 4) | (consts::EM_RISCV, 57) => {
                slot[..4].copy_from_slice(&short(distance));
            }
            (consts::EM_AARCH64, 282) => {
                assert_eq!(old, 0x1400_0000);
                let word = old | (distance as u32 >> 2) & 0x3ff_ffff;
                slot[..4].copy_from_slice(&word.to_le_bytes());
            }
            (consts::EM_RISCV, 35) => slot[..4].copy_from_slice(&short(u64::from(old) + value)),
            (consts::EM_RISCV, 39) => {
                slot[..4].copy_from_slice(&short(u64::from(old).wrapping_sub(value)));
            }
            (consts::EM_RISCV, 36) => {
                let sum = old_u64(slot).wrapping_add(value);
                slot[..8].copy_from_slice(&sum.to_le_bytes());
            }
            (consts::EM_RISCV, 40) => {
                let difference = old_u64(slot).wrapping_sub(value);
                slot[..8].copy_from_slice(&difference.to_le_bytes());
            }
            (consts::EM_RISCV, 17) => {
                assert_eq!(old & 0xfff, 0x6f);
                slot[..4].copy_from_slice(&jal(distance));
            }
            (consts::EM_RISCV, 51) | (consts::EM_X86_64, 0) => {}
            (machine, other) => panic!("machine {machine:?} has no relocation {other} here"),
        }
    }

    /// The loaded address of an address of the builder.
    fn address(&self, linked: &Linked, address: u64) -> u64 {
        match linked.location(address).expect("everything lies somewhere") {
            Location::Section { name, offset } => self.sections[&name].0 + offset,
            Location::Undefined { name, offset } => self.undefined[&name] + offset,
        }
    }

    fn bytes(&self, address: u64, length: u64) -> &[u8] {
        let found = self
            .sections
            .values()
            .find(|(base, bytes)| (*base..*base + bytes.len() as u64).contains(&address));
        let (base, bytes) = found.expect("a section has the address");
        let start = usize::try_from(address - base).expect("small");
        &bytes[start..start + usize::try_from(length).expect("small")]
    }

    fn table(&self, layout: Layout) -> Vec<[u64; 3]> {
        let (base, bytes) = &self.sections["__jump_table"];
        let word =
            |at: usize| self.endian.read_u64(bytes[at..at + 8].try_into().expect("eight bytes"));
        if layout == Layout::Absolute {
            let starts = (0..bytes.len()).step_by(24);
            return starts.map(|at| [word(at), word(at + 8), word(at + 16)]).collect();
        }
        let short = |at: usize| {
            let value = self.endian.read_i32(bytes[at..at + 4].try_into().expect("four bytes"));
            (base + at as u64).wrapping_add_signed(value.into())
        };
        let starts = (0..bytes.len()).step_by(16);
        starts
            .map(|at| {
                let key = word(at + 8);
                let address = (base + at as u64 + 8).wrapping_add(key & !3);
                [short(at), short(at + 4), address | key & 3]
            })
            .collect()
    }
}

/// `j` over `distance` bytes.
fn jal(distance: u64) -> [u8; 4] {
    let d = distance as u32;
    let imm = (d >> 20 & 1) << 31 | (d >> 1 & 0x3ff) << 21 | (d >> 11 & 1) << 20 | d & 0xf_f000;
    (imm | 0x6f).to_le_bytes()
}

fn parse(bytes: &[u8]) -> File<'_> {
    File::parse(bytes).expect("a sound module parses")
}

#[test]
fn a_loaded_table_reads_back_on_every_machine() {
    for (name, spec) in variants() {
        let linked = spec.link();
        let bytes = linked.bytes();
        let loaded = Loaded::new(&parse(&bytes));
        let wanted: Vec<[u64; 3]> = linked
            .entries
            .iter()
            .map(|entry| {
                let [code, target, key] =
                    [entry.code, entry.target, entry.key].map(|a| loaded.address(&linked, a));
                [code, target, key | u64::from(entry.branch) | u64::from(entry.init) << 1]
            })
            .collect();
        assert_eq!(loaded.table(spec.layout), wanted, "{name}");
    }
}

#[test]
fn a_loaded_site_jumps_to_its_target_or_is_a_nop() {
    for (name, spec) in variants() {
        let linked = spec.link();
        let bytes = linked.bytes();
        let loaded = Loaded::new(&parse(&bytes));
        for entry in &linked.entries {
            let code = loaded.address(&linked, entry.code);
            let site = loaded.bytes(code, entry.insn.length());
            let distance = entry.jump.map(|to| loaded.address(&linked, to).wrapping_sub(code));
            let wanted = match (spec.machine, distance) {
                (Machine::Aarch64, None) => vec![0x1f, 0x20, 0x03, 0xd5],
                (Machine::X86_64, None) => vec![0x0f, 0x1f, 0x44, 0, 0],
                (Machine::Riscv64, None) => vec![0x13, 0, 0, 0],
                (Machine::Aarch64, Some(distance)) => {
                    (0x1400_0000 | distance as u32 >> 2 & 0x3ff_ffff).to_le_bytes().to_vec()
                }
                (Machine::X86_64, Some(distance)) => {
                    [&[0xe9][..], &(distance as u32).wrapping_sub(5).to_le_bytes()].concat()
                }
                (Machine::Riscv64, Some(distance)) => jal(distance).to_vec(),
            };
            assert_eq!(site, wanted, "{name} {entry:x?}");
        }
        let jumps = linked.entries.iter().filter(|entry| entry.jump.is_some()).count();
        assert_eq!(jumps, 5, "{name}");
    }
}

/// objtool leaves `R_X86_64_NONE` if it replaced a jump with a NOP.
#[test]
fn an_x86_nop_keeps_a_relocation_without_effect() {
    let bytes = spec(Machine::X86_64).build();
    let file = parse(&bytes);
    let text = file.section_by_name(".text").expect("a module has .text");
    let kinds: Vec<(u64, u32)> = text
        .relocations()
        .map(|(offset, relocation)| {
            let RelocationFlags::Elf { r_type, .. } = relocation.flags() else { panic!("ELF") };
            (offset, r_type.0)
        })
        .collect();
    // demo_fn+32 is a NOP, demo_fn+40 a jump, both to .text.unlikely.
    assert_eq!(kinds, [(0x51, 0), (0x59, 4)]);
}

/// The same relocations as in the tables of real arm64 modules (`readelf -r`).
#[test]
fn the_table_is_zero_and_its_relocations_are_the_kernels() {
    let linked = spec(Machine::Aarch64).link();
    let bytes = linked.bytes();
    let file = parse(&bytes);
    assert_eq!(file.elf_header().e_type.get(Endian::Little), consts::ET_REL);
    let table = file.section_by_name("__jump_table").expect("the module has a table");
    assert!(table.data().expect("it has bytes").iter().all(|byte| *byte == 0));
    assert_eq!((table.address(), table.size()), (0, 8 * 16));
    let shown: Vec<String> = table
        .relocations()
        .map(|(offset, relocation)| {
            let RelocationTarget::Symbol(index) = relocation.target() else { panic!("a symbol") };
            let symbol = file.symbol_by_index(index).expect("the symbol exists");
            let name = match symbol.kind() {
                object::SymbolKind::Section => {
                    let index = symbol.section_index().expect("a section symbol has one");
                    let section = file.section_by_index(index).expect("the section exists");
                    section.name().expect("names are UTF-8").to_owned()
                }
                _ => symbol.name().expect("names are UTF-8").to_owned(),
            };
            let RelocationFlags::Elf { r_type, .. } = relocation.flags() else { panic!("ELF") };
            format!("{offset:x} {} {name}+{:x}", r_type.0, relocation.addend())
        })
        .collect();
    assert_eq!(
        shown[..12],
        [
            "0 261 .text+38",
            "4 261 .text+70",
            "8 260 global_key+0",
            "10 261 .text+40",
            "14 261 .text+70",
            "18 260 .data+10",
            "20 261 .text+48",
            "24 261 .text+34",
            "28 260 .data+29",
            "30 261 .text+50",
            "34 261 .text.unlikely+8",
            "38 260 __tracepoint_sched_switch+8",
        ]
    );
    assert_eq!(shown[14], "48 260 memory_key+1");
    assert_eq!(shown[20], "68 260 mostly_key+3");
    let relocated = file.section_by_name(".rela__jump_table").expect("there are relocations");
    let object::SectionFlags::Elf { sh_flags, .. } = relocated.flags() else { panic!("ELF") };
    assert_eq!(sh_flags, consts::SHF_INFO_LINK);
}

#[test]
fn a_module_states_its_name_and_release() {
    let bytes = spec(Machine::Aarch64).build();
    let file = parse(&bytes);
    let data = |name: &str| {
        let section = file.section_by_name(name).unwrap_or_else(|| panic!("no section {name}"));
        section.data().expect("it has bytes")
    };
    let modinfo = String::from_utf8(data(".modinfo").to_vec()).expect("it is text");
    let strings: Vec<&str> = modinfo.split_terminator('\0').collect();
    assert!(strings.contains(&"name=demo"), "{strings:?}");
    let vermagic = "vermagic=6.12.0-jlctl-demo SMP preempt mod_unload modversions aarch64";
    assert!(strings.contains(&vermagic), "{strings:?}");
    assert!(data(".gnu.linkonce.this_module")[24..].starts_with(b"demo\0"));
    assert_eq!(file.build_id().expect("the note is sound").map(<[u8]>::len), Some(20));
    for section in file.sections() {
        let address = if section.name() == Ok(".data") { 0x2a8 } else { 0 };
        assert_eq!(section.address(), address, "{:?}", section.name());
    }
    assert_eq!(file.segments().count(), 0);
    let undefined: Vec<&str> = file
        .symbols()
        .filter(ObjectSymbol::is_undefined)
        .map(|symbol| symbol.name().expect("names are UTF-8"))
        .collect();
    assert_eq!(undefined, ["memory_key", ELSEWHERE]);
    let demo_fn = file.symbol_by_name("demo_fn").expect("the symbol is there");
    assert_eq!((demo_fn.address(), demo_fn.size()), (0x30, 0xc0));
}

fn table_relocations(bytes: &[u8]) -> Vec<(u64, u32, i64)> {
    let file = parse(bytes);
    let table = file.section_by_name("__jump_table").expect("the module has a table");
    table
        .relocations()
        .map(|(offset, relocation)| {
            let RelocationFlags::Elf { r_type, .. } = relocation.flags() else { panic!("ELF") };
            (offset, r_type.0, relocation.addend())
        })
        .collect()
}

/// Only the intended field is damaged.
#[test]
fn broken_relocations_are_broken_in_one_respect() {
    let sound = table_relocations(&modules::base().build());
    assert_eq!(sound.len(), 6);
    assert_eq!(table_relocations(&modules::no_relocations()), []);
    assert_eq!(table_relocations(&modules::relocation_missing()).len(), 5);
    let unknown = table_relocations(&modules::relocation_unknown());
    assert_eq!(unknown[1], (4, modules::UNKNOWN, sound[1].2));
    assert_eq!((unknown[0], &unknown[2..]), (sound[0], &sound[2..]));
    let past = table_relocations(&modules::relocation_past_section());
    assert_eq!(past[..6], sound);
    assert_eq!(past[6..].iter().map(|r| r.0).collect::<Vec<_>>(), [0x1000, 0x1c, u64::MAX - 3]);

    let rel = modules::rel_instead_of_rela();
    let file = parse(&rel);
    let section = file.section_by_name(".rel__jump_table").expect("there are relocations");
    let object::SectionFlags::Elf { sh_type, .. } = section.flags() else { panic!("ELF") };
    assert_eq!((sh_type, section.size()), (consts::SHT_REL, 6 * 16));
    // A REL relocation has its addend in the section, which `object` reports.
    let table = file.section_by_name("__jump_table").expect("the module has a table");
    let mut relocations = table.relocations();
    assert!(relocations.all(|(_, relocation)| relocation.has_implicit_addend()));
}

#[test]
fn two_modules_define_one_key() {
    let [first, second] = modules::one_key_twice();
    for bytes in [&first, &second] {
        let file = parse(bytes);
        let key = file.symbol_by_name("broken_key").expect("the key is defined");
        assert!(key.is_global() && key.is_definition());
    }
    assert_ne!(first, second);
}

#[test]
fn a_short_x86_site_has_two_bytes() {
    let site = |at: &str, key: &str| SiteSpec::new(at, "demo_fn+0x60", key).short();
    let linked = spec(Machine::X86_64)
        .site(site("demo_fn+0x50", "global_key"))
        .site(site("demo_fn+0x53", "local_key"))
        .link();
    let Some(Content::Bytes(text)) = linked.elf.section(".text").map(|text| &text.content) else {
        panic!("a module has .text")
    };
    assert_eq!(text[0x80..0x86], [0x66, 0x90, 0x90, 0xeb, 0x0b, 0x90]);
}

#[test]
#[should_panic(expected = "no symbol")]
fn an_undeclared_symbol_is_refused() {
    let _ = spec(Machine::Aarch64).site(SiteSpec::new("demo_fn", "demo_fn", "missing")).build();
}
