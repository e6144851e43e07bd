//! Writes seeds for the target `inspect` into the directory of the first argument.

use jlctl_synthetic::broken::{self, debug, headers, modules, sites, table};
use jlctl_synthetic::spec::{ImageSpec, Machine, Relocations};
use jlctl_synthetic::{demo, split};
use std::fs;
use std::path::PathBuf;

/// Maximum size of a seed: a fuzzer is slow on large ones.
const LARGEST: usize = 64 << 10;

fn main() {
    let directory = PathBuf::from(std::env::args_os().nth(1).expect("a directory as argument"));
    fs::create_dir_all(&directory).expect("the directory can be made");
    let mut seeds =
        [sites::all(), table::all(), headers::all(), debug::all(), modules::all()].concat();
    seeds.push(("base", broken::base().build()));
    seeds.push(("demo", demo::vmlinux()));
    seeds.push(("exec", table::with_section().build()));
    seeds.push(("pie_rela", pie(Relocations::Rela)));
    seeds.push(("pie_relr", pie(Relocations::Relr)));
    seeds.push(("dwarf4", with_dwarf(4)));
    seeds.push(("module_dwarf5", module(Machine::Aarch64, 5)));
    seeds.push(("module_x86_64", module(Machine::X86_64, 4)));
    seeds.push(("module_riscv64", module(Machine::Riscv64, 5)));
    seeds.push(("few_nested", debug::deep_inlined(20)));
    seeds.push(("few_blocks", debug::deep_blocks(20)));
    let split = split::split_debug(&demo::linked().elf, "demo.debug");
    seeds.push(("stripped", split.stripped));
    seeds.push(("debug", split.debug));
    for (name, bytes) in seeds.iter().filter(|(_, bytes)| bytes.len() <= LARGEST) {
        fs::write(directory.join(name), bytes).expect("the seed can be written");
    }
}

fn pie(relocations: Relocations) -> Vec<u8> {
    let spec = table::with_section();
    let pie = ImageSpec::user_pie(relocations);
    ImageSpec { keys: spec.keys, functions: spec.functions, sites: spec.sites, ..pie }.build()
}

fn with_dwarf(version: u16) -> Vec<u8> {
    ImageSpec { dwarf: Some(version), ..broken::base() }.build()
}

fn module(machine: Machine, version: u16) -> Vec<u8> {
    ImageSpec { dwarf: Some(version), ..modules::base().on(machine) }.build()
}
