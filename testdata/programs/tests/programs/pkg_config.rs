//! Builds as a build system does: with the flags of pkg-config for an installed library.

use crate::compile::{CLANG, Compiler, GCC, compile};
use crate::library::{Library, Target};
use crate::sites::{check, last_part};
use crate::tools::{check_itself, fixture, run};
use std::path::{Path, PathBuf};
use std::process::Command;

fn flags(library: &Library, options: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(options).args(["--cflags", "--libs", "jlshim"]);
    command.env_remove("PKG_CONFIG_PATH").env_remove("PKG_CONFIG_SYSROOT_DIR");
    let said = run(command.env("PKG_CONFIG_LIBDIR", library.lib().join("pkgconfig")));
    said.split_whitespace().map(str::to_owned).collect()
}

fn build(compiler: Compiler, flags: &[String], options: &[&str], directory: &Path) -> PathBuf {
    let program = directory.join("program");
    let mut command = Command::new(compiler.program);
    command.args(["-O2", "-Wall", "-Werror"]).args(options);
    command.args(crate::c::SOURCES.map(|name| fixture("c").join(name)));
    compile(command.args(flags).arg("-o").arg(&program));
    check(&program, &crate::c::SITES, last_part);
    program
}

/// The shared libraries that a program needs.
fn needed(program: &Path) -> Vec<String> {
    let text = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(program));
    let names = text.lines().filter(|line| line.contains("(NEEDED)"));
    names
        .filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned()))
        .collect()
}

#[test]
#[cfg_attr(
    not(feature = "tools"),
    ignore = "needs compilers and pkg-config: testdata/check runs it"
)]
fn with_the_shared_library() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [GCC, CLANG] {
        let program = build(compiler, &flags(&library, &[]), &[], directory.path());
        assert!(needed(&program).contains(&"libjlshim.so.0".to_owned()));
        check_itself(Command::new(program).env("LD_LIBRARY_PATH", library.lib()));
    }
}

#[test]
#[cfg_attr(
    not(feature = "tools"),
    ignore = "needs compilers and pkg-config: testdata/check runs it"
)]
fn with_the_archive() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [GCC, CLANG] {
        let flags = flags(&library, &["--static"]);
        assert!(flags.contains(&"-lpthread".to_owned()), "{flags:?}");
        let program = build(compiler, &flags, &["-static"], directory.path());
        assert_eq!(needed(&program), [""; 0]);
        check_itself(&mut Command::new(program));
    }
}
