//! Refused inputs and options: the exit status, and a message that names the file and the
//! expectation.

use crate::command::{DEMO, Run, inspect, jlctl, of_program, run, utf8};
use crate::directory::Directory;
use jlctl_synthetic::broken::{headers, table};
use jlctl_synthetic::demo;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

const USAGE: i32 = 2;
const INPUT: i32 = 3;
const REFUSED: i32 = 4;
const SYSTEM: i32 = 5;

/// Asserts that the run fails with `code`, and that its complaint has `words` and the form of
/// jlctl's messages.
fn demand(run: &Run, code: i32, words: &[&str]) {
    run.fails(code, words);
    assert!(run.stderr.starts_with("jlctl: ") && run.stderr.ends_with('\n'), "{}", run.stderr);
}

fn demand_of_file(path: &Path, code: i32, words: &[&str]) {
    for format in ["text", "json", "jsonl", "csv"] {
        let run = inspect(&[utf8(path), "--format", format]);
        demand(&run, code, &[&[utf8(path)], words].concat());
        assert_eq!(run.stderr.matches(utf8(path)).count(), 1, "named once: {}", run.stderr);
    }
}

#[test]
fn files_of_other_formats_are_refused() {
    let directory = Directory::new();
    for (name, bytes, found) in [
        ("empty", &b""[..], "found an empty file"),
        ("script", b"#!/bin/sh\nexit 0\n", "found text"),
        ("archive", b"!<arch>\n/               0", "found an ar archive"),
        ("zeroes", &[0; 4096], "found other bytes"),
    ] {
        let path = directory.write(name, bytes);
        demand_of_file(&path, INPUT, &["expected an ELF file", found]);
    }
    let cut = directory.write("gzip", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    demand_of_file(&cut, INPUT, &["gzip: expected more of the stream", "the file is truncated"]);
}

#[test]
fn missing_files_directories_and_devices_are_refused() {
    let directory = Directory::new();
    let file = directory.write("file", b"x");
    demand_of_file(directory.root(), INPUT, &["no images found", "1 other file"]);
    demand_of_file(&directory.path("missing"), INPUT, &["cannot open", "No such file"]);
    demand_of_file(&file.join("vmlinux"), INPUT, &["cannot open", "Not a directory"]);
    demand_of_file(Path::new("/dev/null"), INPUT, &["expected an ELF file, found a pipe"]);
}

/// No process writes to the FIFO, so that opening it would block for ever.
#[test]
fn a_fifo_does_not_hang() {
    let directory = Directory::new();
    let fifo = directory.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    demand_of_file(&fifo, INPUT, &["expected an ELF file, found a pipe"]);
}

/// Root may read every file, so that jlctl runs as another user if the test runs as root.
#[test]
fn a_file_without_read_permission_is_refused() {
    const NOBODY: u32 = 65534;
    let directory = Directory::new();
    let image = directory.write("secret", demo::vmlinux());
    let program = directory.path("jlctl");
    fs::copy(env!("CARGO_BIN_EXE_jlctl"), &program).expect("the program is copied");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
    };
    mode(directory.root(), 0o755);
    mode(&image, 0o000);
    let mut command = of_program(&program, &["inspect", utf8(&image)]);
    command.current_dir(directory.root());
    if fs::metadata(&image).expect("the file is there").uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    demand(&run(&mut command), INPUT, &[utf8(&image), "cannot open", "Permission denied"]);
}

#[test]
fn other_machines_and_damaged_headers_are_refused() {
    let directory = Directory::new();
    for (name, bytes, words) in [
        ("i386", headers::i386(), &["expected a 64-bit image", "EI_CLASS"][..]),
        (
            "ppc64",
            headers::ppc64(),
            &["expected a supported architecture (arm64, x86_64, riscv64)", "PPC64"],
        ),
        (
            "section_headers_outside_file",
            headers::section_headers_outside_file(),
            &["section headers", "0x10000000000", "truncated?"],
        ),
        ("header_only", headers::header_only(), &["section headers", "0x40", "truncated?"]),
        ("half", headers::truncated(), &["section headers", "truncated?"]),
        ("magic", b"\x7fELF".to_vec(), &["expected an ELF header of 64 bytes", "4 bytes"]),
    ] {
        demand_of_file(&directory.write(name, bytes), INPUT, words);
    }
}

#[test]
fn images_truncated_at_any_page_are_refused() {
    let directory = Directory::new();
    let whole = demo::vmlinux();
    assert!(whole.len() > 2 * 4096);
    for length in (4096..whole.len()).step_by(4096) {
        let path = directory.write("cut", &whole[..length]);
        demand_of_file(&path, INPUT, &["section headers", "truncated?"]);
    }
}

#[test]
fn images_without_a_table_are_refused() {
    let directory = Directory::new();
    for (name, bytes, words) in [
        ("missing", table::missing(), &["expected symbols __start___jump_table"][..]),
        ("reversed", table::stop_before_start(), &["lies before __start___jump_table"]),
        ("stop_missing", table::stop_missing(), &["but not __stop___jump_table"]),
        ("start_missing", table::start_missing(), &["but not __start___jump_table"]),
    ] {
        demand_of_file(&directory.write(name, bytes), REFUSED, words);
    }
}

/// Without symbols, an image with a damaged symbol table looks like one without a jump table; the
/// damage decides.
#[test]
fn an_image_with_a_damaged_symbol_table_is_unreadable() {
    let directory = Directory::new();
    let path = directory.write("lost", headers::symtab_outside_file());
    demand_of_file(&path, INPUT, &["no jump table found", "section .symtab: expected"]);
}

/// The table is cut at the end of the file; the entries before it are reported, with findings.
#[test]
fn a_table_of_2_to_the_58_entries_is_read_as_far_as_it_goes() {
    let directory = Directory::new();
    for (name, bytes) in
        [("section", table::section_claims_too_much()), ("symbols", table::stop_at_top())]
    {
        let path = directory.write(name, bytes);
        let run = inspect(&[utf8(&path)]);
        assert_eq!((run.code, run.stderr.as_str()), (1, ""));
        assert!(run.stdout.contains("JT011"), "{}", run.stdout);
    }
}

#[test]
fn filters_that_match_nothing_are_refused() {
    for (option, value) in [
        ("--key", "demo_no_such_key"),
        ("--key", "/no_such/"),
        ("--function", "no_such_function"),
        ("--section", ".no_such_section"),
    ] {
        demand(&inspect(&[DEMO, option, value]), REFUSED, &[DEMO, option, value]);
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for (args, word) in [
        (&["--key", "/(/"][..], "--key /(/: expected a glob or /REGEX/"),
        (&["--function", "["], "--function [: expected a glob or /REGEX/"),
        (&["--format", "csv", "--keys", "--sites"], "expected one of --keys and --sites"),
    ] {
        demand(&inspect(&[&[DEMO], args].concat()), USAGE, &[word]);
    }
    for args in [&["--format", "xml"][..], &["--no-such-option"], &["-q", "-v"]] {
        let run = inspect(&[&[DEMO], args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (USAGE, ""), "{args:?}");
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
    for args in [&[][..], &["no-such-command"]] {
        let run = run(&mut jlctl(args));
        assert_eq!((run.code, run.stdout.as_str()), (USAGE, ""), "{args:?}");
    }
}

#[test]
fn a_missing_image_argument_is_a_usage_error() {
    let directory = Directory::new();
    let run = run(jlctl(&["inspect"]).current_dir(directory.root()));
    demand(&run, USAGE, &["no IMAGE given", "JLCTL_IMAGE", "./vmlinux"]);
}

#[test]
fn unwritable_outputs_are_system_errors() {
    let directory = Directory::new();
    let file = directory.write("file", b"x");
    for path in [directory.path("missing/report"), file.join("report"), directory.root().into()] {
        let run = inspect(&[DEMO, "-o", utf8(&path)]);
        demand(&run, SYSTEM, &[utf8(&path), "cannot write"]);
    }
    let run = run(&mut jlctl(&["man", utf8(&directory.path("missing"))]));
    demand(&run, SYSTEM, &[utf8(&directory.path("missing")), "cannot write"]);
}
