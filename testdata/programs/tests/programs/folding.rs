//! Folding and garbage collection by linkers: functions that differ only in their keys are not
//! folded, and an entry is kept if and only if its function is.

use crate::c::{BFD, LLD, SITES, SOURCES};
use crate::compile::{Build, CLANG, CLANGXX, Compiler, GCC};
use crate::library::{Library, Target};
use crate::sites::{Expected, Nop, Off, Unlikely, check, last_part};
use crate::tools::{fixture, output, run, run_program, text};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const TWINS: [Expected<'_>; 2] =
    [("first", "first_key", Off, Unlikely, Nop), ("second", "second_key", Off, Unlikely, Nop)];

pub(crate) const FOLD: [&str; 5] =
    ["-O2", "-ffunction-sections", LLD, "-Wl,--gc-sections", "-Wl,--icf=all"];

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn functions_that_differ_in_their_keys_stay_two() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [GCC, CLANG] {
        for kind in crate::c::KINDS {
            let build = Build::new(compiler, &library, &["twins.c"]).options(&FOLD).options(kind);
            let program = build.program(&library, directory.path(), "twins");
            run_program(&program, &[]);
            check(&program, &TWINS, last_part);
            assert_ne!(address(&program, "first"), address(&program, "second"));
        }
    }
}

/// LTO, folding and garbage collection together: no site of C and C++ is lost.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn optimised_as_a_whole_then_folded_and_collected() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (compiler, sources, expected) in [
        (CLANG, &["twins.c"][..], &TWINS[..]),
        (CLANG, &SOURCES, &SITES),
        (CLANGXX, &SOURCES, &SITES),
    ] {
        let build = Build::new(compiler, &library, sources).options(&FOLD).options(&["-flto"]);
        let program = build.program(&library, directory.path(), "whole");
        run_program(&program, &[]);
        check(&program, expected, last_part);
    }
}

/// The control: without the relocation of type NONE the linker folds the functions, and the
/// program detects it.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn without_the_guard_they_are_folded() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [GCC, CLANG] {
        let program = unguarded(compiler, &library, directory.path());
        assert_eq!(address(&program, "first"), address(&program, "second"), "they are folded");
        let output = output(&mut Command::new(&program));
        assert!(!output.status.success(), "{}", text(&output.stdout));
        assert!(text(&output.stdout).contains("first() == 1 && second() == 0"));
    }
}

fn unguarded(compiler: Compiler, library: &Library, directory: &Path) -> PathBuf {
    let assembly = directory.join("twins.s");
    let mut command = compiler.command(library);
    command.args(["-O2", "-ffunction-sections", "-S", "-o"]).arg(&assembly);
    run(command.arg(fixture("c/twins.c")));
    let guarded = fs::read_to_string(&assembly).expect("assembly");
    let lines = guarded.lines();
    let unguarded: Vec<&str> = lines.filter(|line| !line.trim().starts_with(".reloc")).collect();
    assert_eq!(guarded.lines().count() - unguarded.len(), 2, "each site has one guard");
    fs::write(&assembly, unguarded.join("\n") + "\n").expect("written assembly");
    let program = directory.join("twins");
    let mut command = Command::new(compiler.program);
    command.args(FOLD).arg(&assembly).arg(library.archive()).arg("-o").arg(&program);
    run(&mut command);
    program
}

fn address(program: &Path, name: &str) -> Option<u64> {
    let bytes = fs::read(program).expect("a program");
    let file = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    file.symbol_by_name(name).map(|symbol| symbol.address())
}

const LIVE: Expected<'_> = ("live", "live_key", Off, Unlikely, Nop);
const DEAD: Expected<'_> = ("dead", "dead_key", Off, Unlikely, Nop);

/// lld drops a dead function with its entry. GNU ld keeps every function with a site as long as
/// something refers to the bounds of the table, unless `-z start-stop-gc` is given.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn an_entry_is_dropped_with_its_function_and_kept_with_it() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let drop = [LIVE];
    let keep = [DEAD, LIVE];
    for (linker, option, expected) in [
        (LLD, "-Wl,--gc-sections", &drop[..]),
        (BFD, "-Wl,-z,nostart-stop-gc", &keep[..]),
        (BFD, "-Wl,-z,start-stop-gc", &drop[..]),
    ] {
        for compiler in [GCC, CLANG] {
            let options = ["-O2", "-ffunction-sections", "-Wl,--gc-sections", linker, option];
            let build = Build::new(compiler, &library, &["dead.c"]).options(&options);
            let program = build.program(&library, directory.path(), "dead");
            run_program(&program, &[]);
            check(&program, expected, last_part);
            let is_kept = address(&program, "dead").is_some();
            assert_eq!(is_kept, expected.len() == 2, "{linker} {option}");
        }
    }
}
