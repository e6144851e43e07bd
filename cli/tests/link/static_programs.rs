//! `jlctl link` of static programs, which contain the runtime afterwards.

use super::bench::{ARM64, Bench, Machine, NATIVE, Names, holds, succeeds};
use crate::command::{run, utf8};
use std::fs;
use std::process::Command;

/// The variables that flip both keys when the program starts.
const FLIP: [(&str, &str); 2] = [("JLSHIM_ENABLE", "off_key"), ("JLSHIM_DISABLE", "on_key")];

fn compile(bench: &Bench, compiler: &[&str], out: &str, options: &[&str]) {
    bench.compile(compiler, "static.c", out, &[&["-Wall", "-Werror"], options].concat());
}

/// The standard output and standard error of a program that runs with `variables` in its
/// environment.
fn run_with(bench: &Bench, program: &str, variables: &[(&str, &str)]) -> (String, String) {
    let mut command = bench.command(program);
    command.args(["one", "two"]).env("SAID", "something").envs(variables.iter().copied());
    let run = run(&mut command);
    assert_eq!(run.code, 0, "{program}: {run:?}");
    (run.stdout, run.stderr)
}

/// Asserts that a program that runs with `variables` finds its keys at `values`, its arguments
/// and its environment as they were, and complains of nothing.
fn sees(bench: &Bench, program: &str, variables: &[(&str, &str)], values: &str) {
    let stdout = format!("seen: {values}, 2 arguments, something, x\n");
    assert_eq!(run_with(bench, program, variables), (stdout, String::new()), "{program}");
}

/// Links `name`.  The linked program must run and be well formed, also when it is stripped by
/// each of `strips`, and must give back the original file.
fn round_trip(bench: &Bench, name: &str, strips: &[&str]) {
    sees(bench, name, &FLIP, "0 1");
    let report = bench.ok(&["link", name, "-o", "linked", "--shim", "prefix/lib"]);
    assert!(report.contains("2 sites of 2 keys, 2 of them named"), "{name}: {report}");
    sees(bench, "linked", &[], "0 1");
    sees(bench, "linked", &FLIP, "1 0");
    let path = bench.path("report");
    let variables = [FLIP[0], ("JLSHIM_DISABLE", "gone"), ("JLSHIM_REPORT", utf8(&path))];
    let (stdout, stderr) = run_with(bench, "linked", &variables);
    assert!(stdout.starts_with("seen: 1 1,"), "{name}: {stdout}");
    assert_eq!(stderr, "jlshim: JLSHIM_DISABLE: gone: no key has this name\n", "{name}");
    let report = fs::read_to_string(&path).expect("a report");
    for line in ["\"tables\": 1,", "\"sites\": 2,", "\"patches\": 1,", "\"uncovered\": 0,"] {
        assert!(report.contains(line), "{name}: {report}");
    }
    let read = bench.well_formed(name, "linked");
    assert!(!read.contains(" RWE "), "{name}: no segment is writable and executable");
    bench.has_two_keys(name, Names::Kept);
    bench.has_two_keys("linked", Names::Kept);
    for strip in strips {
        fs::copy(bench.path("linked"), bench.path("stripped")).expect("a copy");
        succeeds(Command::new(strip).arg(bench.path("stripped")));
        sees(bench, "stripped", &FLIP, "1 0");
        bench.ok(&["link", "--remove", "stripped", "-o", "bare"]);
        sees(bench, "bare", &FLIP, "0 1");
        bench.has_two_keys("stripped", Names::Kept);
        // eu-strip leaves the symbol table of some programs.
        let is_bare = !holds(&bench.read("bare"), b".symtab");
        bench.has_two_keys("bare", if is_bare { Names::Stripped } else { Names::Kept });
    }
    bench.refused(&["linked", "--shim", "prefix/lib"], 4, &["already linked"]);
    bench.gives_back("linked", name);
}

fn programs(machine: Machine) {
    let bench = Bench::with_library(machine);
    let Machine { cc, clang, strip, .. } = bench.machine;
    for (name, compiler, options) in [
        ("fixed", cc, &["-static"][..]),
        ("pie", cc, &["-static-pie"]),
        ("collected", cc, &["-static", "-ffunction-sections", "-Wl,--gc-sections"]),
        ("by-lld", clang, &["-static", "-fuse-ld=lld"]),
    ] {
        compile(&bench, compiler, name, options);
        // llvm-strip refuses static programs of GNU ld, linked or not.
        round_trip(&bench, name, &[strip, "eu-strip"]);
    }
}

#[test]
#[cfg_attr(
    not(feature = "tools"),
    ignore = "needs clang, lld, binutils and elfutils: testdata/check runs it"
)]
fn native_programs_are_linked_and_taken_back() {
    programs(NATIVE);
}

#[test]
#[cfg_attr(
    not(all(feature = "tools", feature = "emulation")),
    ignore = "needs clang, lld, binutils, elfutils and qemu-aarch64: testdata/check runs it"
)]
fn arm64_programs_are_linked_and_taken_back() {
    programs(ARM64);
}

#[test]
fn refusals_write_no_file() {
    let bench = Bench::with_library(NATIVE);
    compile(&bench, bench.machine.cc, "program", &["-static"]);
    for (shim, words) in [
        (&["--shim", "prefix/lib", "--sync-icache"][..], "a static program"),
        (&["--shim", "prefix/lib", "--runpath", "/lib"], "omit --runpath"),
        (&["--shim", "nowhere"], "nowhere"),
        (&["--shim", "prefix/lib/libjlshim.so.0"], "expected the symbol jlshim_embedded_config"),
        (&["--shim", "program"], "expected the symbol"),
    ] {
        bench.refused(&[&["program"], shim].concat(), 4, &[words]);
    }
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs objcopy: testdata/check runs it")]
fn a_program_without_notes_has_no_room_for_a_program_header() {
    let bench = Bench::with_library(NATIVE);
    compile(&bench, bench.machine.cc, "full", &["-static", "-Wl,--build-id=none"]);
    let strip = ["--remove-section", ".note.gnu.property", "--remove-section", ".note.ABI-tag"];
    succeeds(Command::new("objcopy").args(strip).arg(bench.path("full")));
    bench.refused(&["full", "--shim", "prefix/lib"], 4, &["no room for 1 more"]);
}

#[test]
fn a_control_socket_of_a_static_program_is_refused_when_it_starts() {
    let bench = Bench::with_library(NATIVE);
    compile(&bench, bench.machine.cc, "program", &["-static"]);
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    let path = bench.path("control");
    let (_, stderr) = run_with(&bench, "linked", &[("JLSHIM_CONTROL", utf8(&path))]);
    assert!(stderr.contains("cannot start a thread: ENOTSUP"), "{stderr}");
    assert!(!path.exists());
}

/// Whichever byte of the runtime's image is damaged, jlctl ends with one of its exit codes.
#[test]
fn damage_of_the_image_is_refused() {
    let bench = Bench::with_library(NATIVE);
    compile(&bench, bench.machine.cc, "program", &["-static"]);
    let whole = bench.read("prefix/lib/jlshim-embedded.so");
    for at in (0..64).chain((64..2048).step_by(37)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bench.directory.write("damaged.so", &bytes);
        let run = bench.jlctl(&["link", "program", "-o", "out", "--shim", "damaged.so"]);
        assert!([0, 3, 4].contains(&run.code), "{at}: {run:?}");
    }
    bench.directory.write("damaged.so", &whole[..whole.len() / 2]);
    let run = bench.jlctl(&["link", "program", "-o", "never", "--shim", "damaged.so"]);
    assert_eq!(run.code, 4, "{run:?}");
}
