//! The parts that only a module has: its sections, `.modinfo` and `struct module`.

use super::note;
use super::pool::{Pool, code, nobits, read_only, writable};
use crate::elf::{Elf, consts};
use crate::spec::{ImageSpec, TextSection};

/// The section of the kernel's `struct module`.
pub const THIS_MODULE: &str = ".gnu.linkonce.this_module";
/// Size of `struct module` (include/linux/module.h, Linux 6.12, arm64).
const THIS_MODULE_BYTES: u64 = 0x500;
/// Offset of its `name`, after `state` and `list`.
pub const THIS_MODULE_NAME: u64 = 24;
/// The section of string literals.
pub(super) const STRINGS: &str = ".rodata.str1.8";
/// The section of `key=value` strings.
pub const MODINFO: &str = ".modinfo";

/// Adds the sections of a module; returns the name of the one that holds the table.
pub fn sections(pool: &mut Pool, spec: &ImageSpec) -> &'static str {
    let texts = [TextSection::Text, TextSection::Unlikely, TextSection::Init, TextSection::Exit];
    for text in texts {
        pool.add_section(code(text.name(), 8));
    }
    pool.add_section(writable("__jump_table", 8));
    for data in ["__dyndbg", ".data", ".data..read_mostly", ".data..ro_after_init"] {
        pool.add_section(writable(data, 8));
    }
    pool.add_section(writable(THIS_MODULE, 64));
    pool.add(THIS_MODULE, THIS_MODULE_BYTES, 64);
    let mut strings = read_only(STRINGS, 8);
    strings.entry_size = 1;
    strings.flags.0 |= consts::SHF_MERGE.0 | consts::SHF_STRINGS.0;
    pool.add_section(strings);
    pool.add_section(read_only(".rodata", 8));
    pool.add_section(read_only(MODINFO, 1));
    pool.add(MODINFO, modinfo(spec).len() as u64, 1);
    note::add_section(pool, spec, ".note.gnu.build-id");
    pool.add_section(nobits(".bss", 8));
    "__jump_table"
}

/// The `key=value` strings of `.modinfo`, each with its NUL.
pub fn modinfo(spec: &ImageSpec) -> Vec<u8> {
    let name = &spec.module.name;
    let (release, machine) = (&spec.release, spec.machine.vermagic());
    format!(
        "license=GPL\0depends=\0intree=Y\0name={name}\0\
         vermagic={release} SMP preempt mod_unload modversions {machine}\0"
    )
    .into_bytes()
}

/// Fills the parts that only a module has.
pub(super) fn fill(elf: &mut Elf, spec: &ImageSpec) {
    let at = |elf: &Elf, name: &str| elf.section(name).map(|section| section.address);
    if let Some(address) = at(elf, MODINFO) {
        elf.poke(address, &modinfo(spec));
    }
    if let Some(address) = at(elf, THIS_MODULE) {
        elf.poke(address + THIS_MODULE_NAME, spec.module.name.as_bytes());
    }
}
