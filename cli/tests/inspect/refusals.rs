//! Inputs and options that cannot be used: the exit status, and a message that
//! names the file and says what was expected.

use crate::command::{DEMO, Run, inspect, jlctl, of_program, run};
use jlctl_synthetic::broken::{headers, table};
use jlctl_synthetic::demo;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: i32 = 2;
const INPUT: i32 = 3;
const REFUSED: i32 = 4;
const SYSTEM: i32 = 5;

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, bytes).expect("it can be written");
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is UTF-8")
}

/// The run failed with `code`, says nothing on stdout, and one thing on stderr.
fn demand(run: &Run, code: i32, words: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "expected {word:?} in {:?}", run.stderr);
    }
    assert!(run.stderr.starts_with("jlctl: ") && run.stderr.ends_with('\n'), "{}", run.stderr);
}

fn demand_of_file(path: &Path, code: i32, words: &[&str]) {
    for format in ["text", "json", "jsonl", "csv"] {
        let run = inspect(&[text(path), "--format", format]);
        demand(&run, code, &[&[text(path)], words].concat());
        assert_eq!(run.stderr.matches(text(path)).count(), 1, "named once: {}", run.stderr);
    }
}

#[test]
fn files_that_are_no_image() {
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
    let cut = directory.write("gzip", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    demand_of_file(&cut, INPUT, &["gzip: expected the stream to go on", "the file was cut off"]);
}

#[test]
fn paths_that_are_no_file() {
    let directory = Directory::new();
    let file = directory.write("file", b"x");
    demand_of_file(directory.0.path(), INPUT, &["no images found", "1 other file"]);
    demand_of_file(&directory.join("missing"), INPUT, &["cannot open", "No such file"]);
    demand_of_file(&file.join("vmlinux"), INPUT, &["cannot open", "Not a directory"]);
    demand_of_file(Path::new("/dev/null"), INPUT, &["expected an ELF file, found a pipe"]);
}

/// Nobody writes to the FIFO: opening it would wait for ever.
#[test]
fn a_fifo_does_not_hang() {
    let directory = Directory::new();
    let fifo = directory.join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    demand_of_file(&fifo, INPUT, &["expected an ELF file, found a pipe"]);
}

/// Root may read everything: as root, the program runs as another user.
#[test]
fn no_permission() {
    const NOBODY: u32 = 65534;
    let directory = Directory::new();
    let image = directory.write("secret", &demo::vmlinux());
    let program = directory.join("jlctl");
    // Not fs::copy: a child of another test would inherit the file that it
    // writes, and a file that is open for writing cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_jlctl")).arg(&program).status();
    assert!(copied.expect("cp runs").success());
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode(directory.0.path(), 0o755);
    mode(&image, 0o000);
    let mut command = of_program(&program, &["inspect", text(&image)]);
    command.current_dir(directory.0.path());
    if fs::metadata(&image).expect("it is there").uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    demand(&run(&mut command), INPUT, &[text(&image), "cannot open", "Permission denied"]);
}

#[test]
fn images_of_other_machines_and_damaged_headers() {
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
        demand_of_file(&directory.write(name, &bytes), INPUT, words);
    }
}

#[test]
fn the_demo_truncated_at_every_page() {
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
        demand_of_file(&directory.write(name, &bytes), REFUSED, words);
    }
}

/// Without its symbols an image that has lost them cannot be told from one that
/// never had a table; it is damaged all the same.
#[test]
fn an_image_that_lost_its_symbols_is_unreadable() {
    let directory = Directory::new();
    let path = directory.write("lost", &headers::symtab_outside_file());
    demand_of_file(&path, INPUT, &["no jump table found", "section .symtab: expected"]);
}

/// The section ends with the file; what is there is reported, with findings.
#[test]
fn a_table_of_2_to_the_58_entries_is_read_as_far_as_it_goes() {
    let directory = Directory::new();
    for (name, bytes) in
        [("section", table::section_claims_too_much()), ("symbols", table::stop_at_top())]
    {
        let path = directory.write(name, &bytes);
        let run = inspect(&[text(&path)]);
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
fn wrong_usage() {
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
fn no_image_at_all() {
    let directory = Directory::new();
    let run = run(jlctl(&["inspect"]).current_dir(directory.0.path()));
    demand(&run, USAGE, &["no IMAGE given", "JLCTL_IMAGE", "./vmlinux"]);
}

#[test]
fn results_that_cannot_be_written() {
    let directory = Directory::new();
    let file = directory.write("file", b"x");
    for path in [directory.join("missing/report"), file.join("report"), directory.0.path().into()] {
        let run = inspect(&[DEMO, "-o", text(&path)]);
        demand(&run, SYSTEM, &[text(&path), "cannot write"]);
    }
    let run = run(&mut jlctl(&["man", text(&directory.join("missing"))]));
    demand(&run, SYSTEM, &[text(&directory.join("missing")), "cannot write"]);
}
