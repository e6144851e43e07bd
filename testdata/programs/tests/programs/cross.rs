//! Programs for aarch64 and riscv64, under qemu-user. They do not test synchronisation: the
//! emulator has no instruction cache.

use crate::c::{LLD, SITES, SOURCES};
use crate::cargo::Options;
use crate::compile::{Build, CLANG_AARCH64, CLANG_RISCV64, Compiler, GCC_AARCH64, GCC_RISCV64};
use crate::folding::{FOLD, TWINS};
use crate::library::{Library, Target};
use crate::objects::plugins;
use crate::rust::{plain, two_crates};
use crate::sites::{check, last_part};
use crate::tools::check_itself;
use std::path::Path;

fn programs(compiler: Compiler, target: Target) {
    let library = Library::of(target);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let run_as = |options: &[&'static str]| program(compiler, target, options, directory);
    for options in [
        &["-O0"][..],
        &["-O2", "-fPIE", "-pie"],
        &["-O2", "-static"],
        &["-O2", "-flto"],
        &["-O3", "-ffunction-sections", "-Wl,--gc-sections", "-static"],
    ] {
        run_as(options);
    }
    // The C library of Debian 12 for riscv64 has no start code for static PIE.
    if target == Target::Aarch64 {
        run_as(&["-O2", "-static-pie"]);
    }
    let [first, second] = plugins(compiler, &["-O2"], &library, true, directory);
    let host = Build::new(compiler, &library, &["host.c"]).options(&["-O2"]).shared(&library);
    let host = host.program(&library, directory, "host");
    check_itself(target.command(&host).args([first, second]));
}

fn program(compiler: Compiler, target: Target, options: &[&'static str], directory: &Path) {
    let library = Library::of(target);
    let build = Build::new(compiler, &library, &SOURCES).options(options);
    let program = build.program(&library, directory, "program");
    check(&program, &SITES, last_part);
    check_itself(&mut target.command(&program));
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn by_clang() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for options in [&["-O0"][..], &["-O2"], &["-O2", "-fPIE", "-pie"], &["-O2", "-static"]] {
        program(CLANG_AARCH64, Target::Aarch64, options, directory.path());
        program(CLANG_RISCV64, Target::Riscv64, options, directory.path());
    }
    // lld before version 15 does not relax riscv64 code, and refuses objects that require it.
    for options in [&["-O2", "-flto", LLD][..], &FOLD] {
        program(CLANG_AARCH64, Target::Aarch64, options, directory.path());
    }
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn functions_that_differ_in_their_keys_stay_two() {
    let library = Library::of(Target::Aarch64);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let build = Build::new(CLANG_AARCH64, &library, &["twins.c"]).options(&FOLD);
    let program = build.program(&library, directory.path(), "twins");
    check(&program, &TWINS, last_part);
    check_itself(&mut Target::Aarch64.command(&program));
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn c_for_aarch64() {
    programs(GCC_AARCH64, Target::Aarch64);
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn c_for_riscv64() {
    programs(GCC_RISCV64, Target::Riscv64);
}

/// Needs no cross compiler of C: the Rust toolchain has a linker and a C library for this
/// target.
#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn rust_for_aarch64() {
    let (target, triple) = (Target::Aarch64, "aarch64-unknown-linux-musl");
    let fold = "-Clink-arg=--icf=all";
    let rustflags = ["-Clinker=rust-lld", "-Clink-self-contained=yes", fold];
    for profile in ["dev", "release", "fat"] {
        rust(target, triple, profile, &rustflags);
    }
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn rust_for_riscv64() {
    let (target, triple) = (Target::Riscv64, "riscv64gc-unknown-linux-gnu");
    for profile in ["dev", "release"] {
        rust(target, triple, profile, &["-Clinker=riscv64-linux-gnu-gcc"]);
    }
}

fn rust(target: Target, triple: &str, profile: &str, rustflags: &[&str]) {
    let project = two_crates(&format!("app-{triple}"));
    let options = Options { profile, target: Some(triple), rustflags, features: None };
    let program = project.build(options).join("app");
    check(&program, &crate::rust::SITES, plain);
    check_itself(&mut target.command(&program));
}
