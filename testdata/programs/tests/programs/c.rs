//! Programs in C, also compiled as C++, with two compilers, two linkers, and every kind of
//! linking.

use crate::compile::{Build, CLANG, CLANGXX, Compiler, GCC, GXX};
use crate::library::{Library, Target};
use crate::sites::{Expected, Jmp, Likely, Nop, Off, On, Unlikely, check, has_none, last_part};
use crate::tools::run_program;
use std::path::Path;

/// The sites of `main.c` and `other.c`.
pub(crate) const SITES: [Expected<'_>; 9] = [
    ("first_user", "shared_off", Off, Unlikely, Nop),
    ("in_function", "local", Off, Unlikely, Nop),
    ("off_likely", "off", Off, Likely, Jmp),
    ("off_unlikely", "off", Off, Unlikely, Nop),
    ("on_likely", "on", On, Likely, Nop),
    ("on_unlikely", "on", On, Unlikely, Jmp),
    ("other_off", "shared_off", Off, Likely, Jmp),
    ("other_on", "shared_on", On, Unlikely, Jmp),
    ("second_user", "shared_off", Off, Unlikely, Nop),
];

pub(crate) const SOURCES: [&str; 2] = ["main.c", "other.c"];

/// The levels of optimisation.
pub(crate) const LEVELS: [&[&str]; 4] = [
    &["-O0"],
    &["-O2"],
    &["-O2", "-flto"],
    &["-O3", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"],
];

/// The kinds of linking.
pub(crate) const KINDS: [&[&str]; 3] = [&["-fPIE", "-pie"], &["-static-pie"], &["-static"]];

/// Calls `each` with the options of each configuration of a compiler and a linker.
pub(crate) fn for_each_configuration(
    compiler: Compiler,
    linker: &'static str,
    each: impl Fn(&[&'static str]),
) {
    for level in LEVELS {
        // lld cannot read GCC's LTO objects, which need GCC's linker plug-in.
        if level.contains(&"-flto") && linker == LLD && !compiler.is_clang() {
            continue;
        }
        for kind in KINDS {
            each(&[level, kind, &[linker]].concat());
        }
    }
}

/// GNU ld, which is the default of both compilers.
pub(crate) const BFD: &str = "-fuse-ld=bfd";
pub(crate) const LLD: &str = "-fuse-ld=lld";

fn matrix(compiler: Compiler, linker: &'static str) {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for_each_configuration(compiler, linker, |options| {
        let build = Build::new(compiler, &library, &SOURCES).options(options);
        let program = build.program(&library, directory.path(), "program");
        run_program(&program, &[]);
        check(&program, &SITES, last_part);
    });
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn gcc_and_gnu_ld() {
    matrix(GCC, BFD);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn gcc_and_lld() {
    matrix(GCC, LLD);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn clang_and_gnu_ld() {
    matrix(CLANG, BFD);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn clang_and_lld() {
    matrix(CLANG, LLD);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn gxx_and_gnu_ld() {
    matrix(GXX, BFD);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn gxx_and_lld() {
    matrix(GXX, LLD);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn clangxx_and_gnu_ld() {
    matrix(CLANGXX, BFD);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn clangxx_and_lld() {
    matrix(CLANGXX, LLD);
}

/// A program with the library but without sites runs, and its flips patch nothing.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn a_program_without_sites_runs() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [GCC, CLANGXX] {
        for linker in [BFD, LLD] {
            for kind in KINDS {
                let build = Build::new(compiler, &library, &["none.c"]);
                let build = build.options(kind).options(&[linker, "-O2", "-Wl,--gc-sections"]);
                without_sites(&build.program(&library, directory.path(), "program"));
            }
            let build = Build::new(compiler, &library, &["none.c"]).options(&[linker]);
            let build = build.shared(&library);
            without_sites(&build.program(&library, directory.path(), "program"));
        }
    }
}

fn without_sites(program: &Path) {
    run_program(program, &[]);
    assert!(has_none(program), "{}", program.display());
}

/// Keys in namespaces, classes and templates, and sites in functions of which each file has a
/// copy: the linker drops the entries with the copies.
const TEMPLATES: [Expected<'_>; 8] = [
    (
        "app::(anonymous namespace)::checked(int)",
        "app::(anonymous namespace)::checks",
        On,
        Likely,
        Nop,
    ),
    ("app::Counter::add(int)", "app::Counter::enabled", Off, Unlikely, Nop),
    ("app::Gauge<2>::read()", "app::Gauge<2>::key", Off, Unlikely, Nop),
    ("app::Gauge<3>::read()", "app::Gauge<3>::key", Off, Unlikely, Nop),
    ("app::doubled(int)", "app::trace", Off, Likely, Jmp),
    ("check_trace(int)::lambda::operator()(int) const", "app::trace", Off, Unlikely, Nop),
    ("double app::traced<double>(double)", "app::trace", Off, Unlikely, Nop),
    ("int app::traced<int>(int)", "app::trace", Off, Unlikely, Nop),
];

/// Compilers differ in the names of lambdas.
fn lambda(name: &str) -> String {
    name.replace("{lambda(int)#1}", "lambda").replace("$_0", "lambda")
}

fn templates(compiler: Compiler) {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sources = ["templates.cc", "templates_other.cc"];
    for linker in [BFD, LLD] {
        for_each_configuration(compiler, linker, |options| {
            let build = Build::new(compiler, &library, &sources).options(options);
            let program = build.program(&library, directory.path(), "program");
            run_program(&program, &[]);
            check(&program, &TEMPLATES, |name| {
                lambda(name).replace("_GLOBAL__N_1", "(anonymous namespace)")
            });
        });
    }
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn templates_by_gxx() {
    templates(GXX);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn templates_by_clangxx() {
    templates(CLANGXX);
}
