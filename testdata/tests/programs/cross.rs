//! Programs for aarch64 and riscv64, under qemu-user: they do the same.  It says nothing of
//! synchronisation, as the emulator has no instruction cache.

use crate::c::{SITES, SOURCES};
use crate::compile::{Build, Compiler, GCC_AARCH64, GCC_RISCV64};
use crate::library::{Library, Target};
use crate::objects::plugins;
use crate::sites::{check, last_part};
use crate::tools::check_itself;

fn programs(compiler: Compiler, target: Target) {
    let library = Library::of(target);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let run_as = |options: &[&'static str]| {
        let build = Build::new(compiler, &library, &SOURCES).options(options);
        let program = build.program(&library, directory, "program");
        check(&program, &SITES, last_part);
        check_itself(&mut target.command(&program));
    };
    for options in [
        &["-O0"][..],
        &["-O2", "-fPIE", "-pie"],
        &["-O2", "-static"],
        &["-O2", "-flto"],
        &["-O3", "-ffunction-sections", "-Wl,--gc-sections", "-static"],
    ] {
        run_as(options);
    }
    // The C library of Debian 12 for riscv64 has no start code for it.
    if target == Target::Aarch64 {
        run_as(&["-O2", "-static-pie"]);
    }
    let [first, second] = plugins(compiler, &["-O2"], &library, true, directory);
    let host = Build::new(compiler, &library, &["host.c"]).options(&["-O2"]).shared(&library);
    let host = host.program(&library, directory, "host");
    check_itself(target.command(&host).args([first, second]));
}

#[test]
fn c_for_aarch64() {
    programs(GCC_AARCH64, Target::Aarch64);
}

#[test]
fn c_for_riscv64() {
    programs(GCC_RISCV64, Target::Riscv64);
}
