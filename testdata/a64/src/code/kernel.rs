//! The parts that only a kernel has: banner, exported symbols, jump table and marker symbols.

use super::dynamic::add_relocations;
use super::insn::Insn;
use super::program::Program;
use jlctl_shim::abi::{ENTRY_BRANCH, RelativeEntry, StaticKey};
use jlctl_synthetic::elf::{Elf, consts};
use jlctl_synthetic::link::{Definitions, Pool, banner, code, nobits, read_only, writable};
use jlctl_synthetic::spec::{ImageSpec, Scope, TextSection};

/// Bytes of `struct kernel_symbol` (include/linux/export.h, Linux 5.10, with
/// CONFIG_HAVE_ARCH_PREL32_RELOCATIONS).
const SYMBOL_BYTES: u64 = 12;
const SYMBOLS: &str = "__ksymtab";
const STRINGS: &str = "__ksymtab_strings";
const TABLE: &str = "__jump_table";
/// The section of the one key that all sites have; it is false.
const KEYS: &str = ".data.demo_key";
const KEY: &str = "demo_key";
const BANNER: &str = ".rodata.banner";

fn exported(program: &Program) -> Vec<(usize, &str)> {
    let all = program.functions.iter().enumerate();
    let exported = all.filter(|(_, function)| function.is_exported);
    exported.map(|(number, function)| (number, function.name.as_str())).collect()
}

pub(super) fn add_sections(pool: &mut Pool, program: &Program) {
    pool.add_section(code(".head.text", jlctl_synthetic::link::PAGE));
    pool.add(".head.text", 64, 4);
    pool.add_section(code(".text", 64));
    pool.add_section(writable(".rodata", jlctl_synthetic::link::PAGE));
    pool.add_section(writable(BANNER, 8));
    pool.add(BANNER, banner(&ImageSpec::kernel()).len() as u64, 8);
    pool.add_section(writable(TABLE, 8));
    pool.add(TABLE, RelativeEntry::SIZE as u64 * program.sites().count() as u64, 8);
    pool.add_section(writable(SYMBOLS, 4));
    pool.add_section(read_only(STRINGS, 1));
    for (_, name) in exported(program) {
        pool.add(SYMBOLS, SYMBOL_BYTES, 4);
        pool.add(STRINGS, name.len() as u64 + 1, 1);
    }
    pool.add_section(code(TextSection::Init.name(), 8));
    pool.add_section(code(TextSection::Exit.name(), 8));
    add_relocations(pool, program, None);
    pool.add_section(writable(".data", 64));
    pool.add_section(writable(KEYS, 8));
    pool.add(KEYS, StaticKey::SIZE as u64, 8);
    pool.add_section(nobits(".bss", 64));
    pool.add(".bss", 64, 8);
}

pub(super) fn define(names: &mut Definitions, program: &Program, pool: &Pool) {
    if let Some(head) = pool.section(".head.text") {
        names.mark("_text", ".head.text", head.address);
    }
    let section = |name: &str| pool.section(name).filter(|section| !section.content.is_empty());
    let mut object = |name: &str, scope: Scope, of: &str, extent: (u64, u64)| {
        names.define((name, scope), consts::STT_OBJECT, of, extent);
    };
    if let (Some(symbols), Some(strings)) = (section(SYMBOLS), section(STRINGS)) {
        let (mut entry, mut string) = (symbols.address, strings.address);
        for (number, name) in exported(program) {
            let file = || Scope::Local(program.functions[number].file.clone());
            object(&format!("__ksymtab_{name}"), file(), SYMBOLS, (entry, SYMBOL_BYTES));
            object(&format!("__kstrtab_{name}"), file(), STRINGS, (string, name.len() as u64 + 1));
            entry += SYMBOL_BYTES;
            string += name.len() as u64 + 1;
        }
    }
    for (name, of) in [("linux_banner", BANNER), (KEY, KEYS)] {
        if let Some(found) = section(of) {
            object(name, Scope::Global, of, (found.address, found.content.len()));
        }
    }
    for (start, end, of) in [
        ("_stext", "_etext", ".text"),
        ("_sinittext", "_einittext", ".init.text"),
        ("__exittext_begin", "__exittext_end", ".exit.text"),
        ("_sdata", "_edata", ".data"),
        ("__bss_start", "__bss_stop", ".bss"),
        ("__start___ksymtab", "__stop___ksymtab", SYMBOLS),
        ("__start___jump_table", "__stop___jump_table", TABLE),
    ] {
        if let Some(found) = section(of) {
            names.mark(start, of, found.address);
            names.mark(end, of, found.end());
        }
    }
}

/// Fills the parts that only a kernel has; `addresses` are those of its functions.
pub(super) fn fill(elf: &mut Elf, program: &Program, addresses: &[(String, u64)]) {
    let at = |elf: &Elf, name: &str| elf.section(name).map(|section| section.address);
    let near = |from: u64, to: u64| {
        let distance = to.wrapping_sub(from).cast_signed();
        i32::try_from(distance).expect("a test image is small").to_le_bytes()
    };
    let banner_at = at(elf, BANNER).expect("a kernel has a banner");
    elf.poke(banner_at, &banner(&ImageSpec::kernel()));
    if let (Some(mut entry), Some(mut string)) = (at(elf, SYMBOLS), at(elf, STRINGS)) {
        for (number, name) in exported(program) {
            elf.poke(entry, &near(entry, addresses[number].1));
            elf.poke(entry + 4, &near(entry + 4, string));
            elf.poke(string, name.as_bytes());
            entry += SYMBOL_BYTES;
            string += name.len() as u64 + 1;
        }
    }
    let key = at(elf, KEYS).expect("a kernel has a key");
    let Some(table) = at(elf, TABLE) else { return };
    for (entry, (number, offset, insn)) in
        (table..).step_by(RelativeEntry::SIZE).zip(program.sites())
    {
        let Insn::Site { to, jumps } = insn else { continue };
        let function = addresses[number].1;
        let target = program.functions[number].label(to);
        let target = function + target.unwrap_or_else(|| panic!("no label {to}"));
        let field = |field: usize| entry + field as u64;
        let (code, target_at) = (field(RelativeEntry::CODE), field(RelativeEntry::TARGET));
        elf.poke(code, &near(code, function + offset));
        elf.poke(target_at, &near(target_at, target));
        // The key is false: a site jumps if it is marked as a branch.
        let branch = if *jumps { ENTRY_BRANCH } else { 0 };
        let key_at = field(RelativeEntry::KEY);
        elf.poke(key_at, &(key | branch).wrapping_sub(key_at).to_le_bytes());
    }
}
