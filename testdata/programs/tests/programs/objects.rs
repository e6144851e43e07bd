//! Shared objects with separate tables: opened, flipped, closed, opened again.

use crate::c::{BFD, LLD, SOURCES};
use crate::compile::{Build, CLANG, CLANGXX, Compiler, GCC, GXX};
use crate::library::{Library, Target};
use crate::sites::{Expected, Likely, Nop, Off, On, Unlikely, check, last_part};
use crate::tools::{check_itself, run_program};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_shim::insn::x86_64;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const PLUGIN: [Expected<'_>; 3] = [
    ("plugin_value", "early", Off, Unlikely, Nop),
    ("plugin_value", "plugin_off", Off, Unlikely, Nop),
    ("plugin_value", "plugin_on", On, Likely, Nop),
];

const HOST: [Expected<'_>; 1] = [("host_value", "host_key", Off, Unlikely, Nop)];

/// Two libraries, the second with different code at the same addresses.
pub(crate) fn plugins(
    compiler: Compiler,
    options: &[&'static str],
    library: &Library,
    is_shared: bool,
    directory: &Path,
) -> [PathBuf; 2] {
    ["-DNUMBER=1", "-DNUMBER=2"].map(|number| {
        let build = Build::new(compiler, library, &["plugin.c"]).options(options);
        let build = build.options(&["-fPIC", "-shared", number]);
        let build = if is_shared { build.shared(library) } else { build };
        let plugin = build.program(library, directory, &format!("plugin{number}.so"));
        check(&plugin, &PLUGIN, last_part);
        plugin
    })
}

fn host(
    compiler: Compiler,
    options: &[&'static str],
    library: &Library,
    directory: &Path,
) -> PathBuf {
    let build = Build::new(compiler, library, &["host.c"]).options(options).shared(library);
    let host = build.program(library, directory, "host");
    check(&host, &HOST, last_part);
    host
}

fn opened_and_closed(compiler: Compiler) {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    for linker in [BFD, LLD] {
        for level in [&["-O0"][..], &["-O2", "-ffunction-sections", "-Wl,--gc-sections"]] {
            let options = [level, &[linker]].concat();
            let host = host(compiler, &options, &library, directory);
            let [first, second] = plugins(compiler, &options, &library, true, directory);
            run_program(&host, &[first.as_os_str(), second.as_os_str()]);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn by_gcc() {
    opened_and_closed(GCC);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn by_clang() {
    opened_and_closed(CLANG);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn by_gxx() {
    opened_and_closed(GXX);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn by_clangxx() {
    opened_and_closed(CLANGXX);
}

/// Several copies of the runtime in one process, each with the tables of its objects.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn with_a_runtime_in_each_library() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    for linker in [BFD, LLD] {
        let options = ["-O2", linker];
        let [first, second] = plugins(GCC, &options, &library, false, directory);
        let arguments = [first.as_os_str(), second.as_os_str()];
        run_program(&host(GCC, &options, &library, directory), &arguments);
        let build = Build::new(GCC, &library, &["host.c"]).options(&options);
        run_program(&build.program(&library, directory, "static-host"), &arguments);
    }
}

/// At exit the program's destructors run before those of its libraries: the report still counts
/// its table.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn the_report_at_exit_counts_the_programs_table() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let report = directory.path().join("report.json");
    for is_shared in [false, true] {
        let build = Build::new(GCC, &library, &SOURCES);
        let build = if is_shared { build.shared(&library) } else { build };
        let program = build.program(&library, directory.path(), "program");
        check_itself(Command::new(program).env("JLSHIM_REPORT", &report));
        let text = fs::read(&report).expect("a report");
        let report: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!((&report["tables"], &report["sites"]), (&1.into(), &9.into()), "{report:#}");
        assert_eq!(report["uncovered"], 0, "{report:#}");
        assert!(report["patches"].as_u64() > Some(20), "{report:#}");
    }
}

/// `jlctl apply` may change a file that is not running: here a library whose key was defined on
/// and is now off, and whose sites match.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn a_library_whose_key_was_flipped_in_its_file() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let [plugin, _] = plugins(GCC, &["-O2"], &library, true, directory);
    flip_in_file(&plugin, "plugin_on");
    let late = Build::new(GCC, &library, &["late.c"]).options(&["-O2"]).shared(&library);
    run_program(&late.program(&library, directory, "late"), &[plugin.as_os_str()]);
}

/// Flips the key `name` from on to off: its word, and its NOPs, which become jumps.
fn flip_in_file(path: &Path, name: &str) {
    let mut bytes = fs::read(path).expect("a library");
    let mut changes: Vec<(u64, Vec<u8>)> = Vec::new();
    let image = Image::parse(&bytes).expect("an image");
    let table = JumpTable::read(&image).expect("a table");
    let mut change = |address: Svma, bytes: &[u8]| {
        let offset = image.file_offset(address).expect("bytes in the file");
        changes.push((offset.0, bytes.to_vec()));
    };
    for key in table.keys().iter().filter(|key| key.name(&image) == name) {
        change(key.address, &0i32.to_le_bytes());
        for site in &key.sites {
            let entry = table.entry(*site);
            assert_eq!(table.site(*site).insn, SiteInsn::Nop);
            let jump = x86_64::jump(entry.code.0, entry.target.0, 5).expect("it is near");
            change(entry.code, jump.as_slice());
        }
    }
    assert_eq!(changes.len(), 2, "a key with one site");
    for (offset, new) in changes {
        let offset = usize::try_from(offset).expect("an offset in memory");
        bytes[offset..offset + new.len()].copy_from_slice(&new);
    }
    fs::write(path, bytes).expect("the changed library");
}
