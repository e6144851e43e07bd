//! Programs in Rust: several crates, several levels of optimisation, two linkers.

use crate::c::{BFD, LLD};
use crate::cargo::{Crate, Options, Project, check_linker, source};
use crate::compile::{Build, GCC};
use crate::library::{Library, Target};
use crate::sites::{Expected, Jmp, Likely, Nop, Off, On, Unlikely, check, last_part};
use crate::tools::{check_itself, run, run_program};
use std::fs;
use std::process::Command;

/// The sites of `app.rs` and `parts.rs`.
pub(crate) const SITES: [Expected<'_>; 13] = [
    ("app::first_user", "parts::PARTS_ON", On, Unlikely, Jmp),
    ("app::in_function", "app::in_function::LOCAL", Off, Unlikely, Nop),
    ("app::inner_off", "app::inner::OFF", Off, Unlikely, Nop),
    ("app::off_likely", "app::OFF", Off, Likely, Jmp),
    ("app::off_unlikely", "app::OFF", Off, Unlikely, Nop),
    ("app::on_likely", "app::ON", On, Likely, Nop),
    ("app::on_unlikely", "app::ON", On, Unlikely, Jmp),
    ("app::second_user", "parts::PARTS_ON", On, Unlikely, Jmp),
    ("app::theirs", "parts::PARTS_OFF", Off, Likely, Jmp),
    ("parts::generic", "parts::PARTS_OFF", Off, Likely, Jmp),
    ("parts::generic", "parts::PARTS_OFF", Off, Likely, Jmp),
    ("parts::parts_off", "parts::PARTS_OFF", Off, Unlikely, Nop),
    ("parts::parts_on", "parts::PARTS_ON", On, Likely, Nop),
];

/// A name without generic arguments, which only one of the two mangling schemes has.
pub(crate) fn plain(name: &str) -> String {
    name.split("::<").next().unwrap_or(name).to_owned()
}

/// A project of this name with the program and its library.
pub(crate) fn two_crates(name: &str) -> Project {
    let (app, parts) = (source("app.rs"), source("parts.rs"));
    let app = Crate { name: "app", source: &app, kind: "bin", uses: &["parts"] };
    let parts = Crate { name: "parts", source: &parts, kind: "lib", uses: &[] };
    Project::new(name, &[app, parts])
}

fn program(profile: &str, linker: &str, more: &[&str]) {
    let project = two_crates(&format!("app-{profile}-{}", linker.trim_start_matches("-fuse-ld=")));
    let linker_flag = format!("-Clink-arg={linker}");
    let rustflags = [&[linker_flag.as_str()], more].concat();
    let built = project.build(Options { profile, rustflags: &rustflags, ..Options::default() });
    let program = built.join("app");
    check_linker(&program, linker == LLD);
    run_program(&program, &[]);
    check(&program, &SITES, plain);
}

const FOLD: &str = "-Clink-arg=-Wl,--icf=all";

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn without_optimisation() {
    program("dev", LLD, &[FOLD]);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn without_optimisation_by_gnu_ld() {
    program("dev", BFD, &[]);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn optimised_and_folded() {
    program("release", LLD, &[FOLD]);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn optimised_by_gnu_ld() {
    program("release", BFD, &["-Clink-arg=-Wl,-z,start-stop-gc"]);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn as_one_unit() {
    program("fat", LLD, &[FOLD]);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn as_one_unit_by_gnu_ld() {
    program("fat", BFD, &[]);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn in_sixteen_units_without_unwinding() {
    program("abort", LLD, &[FOLD]);
}

const PLUGIN: [Expected<'_>; 3] = [
    ("plugin_value", "EARLY", On, Likely, Nop),
    ("plugin_value", "PLUGIN_OFF", Off, Unlikely, Nop),
    ("plugin_value", "PLUGIN_ON", On, Likely, Nop),
];

/// Libraries in Rust, opened by a program in C that has a separate runtime.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn opened_and_closed() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let host = Build::new(GCC, &library, &["host.c"]).shared(&library);
    let host = host.program(&library, directory, "host");
    let plugin = source("plugin.rs");
    let plugin = Crate { name: "plugin", source: &plugin, kind: "cdylib", uses: &[] };
    let project = Project::new("plugin", &[plugin]);
    for linker in [LLD, BFD] {
        let plugins = [None, Some("second")].map(|features| {
            let rustflags = [&*format!("-Clink-arg={linker}")];
            let options =
                Options { profile: "release", rustflags: &rustflags, features, target: None };
            let built = project.build(options).join("libplugin.so");
            check_linker(&built, linker == LLD);
            check(&built, &PLUGIN, |name| last_part(&plain(name)));
            let plugin = directory.join(format!("{}.so", features.unwrap_or("first")));
            fs::copy(built, &plugin).expect("a copy");
            plugin
        });
        run_program(&host, &[plugins[0].as_os_str(), plugins[1].as_os_str()]);
    }
}

/// The runtime in a dynamically linked library also flips the program's keys; and crates that
/// forbid unsafe code may have keys and sites.
#[test]
fn with_the_runtime_in_a_library() {
    let (app, library) = (source("dynamic_app.rs"), source("dynamic.rs"));
    let app = Crate { name: "dynamic_app", source: &app, kind: "bin", uses: &["dynamic"] };
    let library = Crate { name: "dynamic", source: &library, kind: "dylib", uses: &[] };
    let project = Project::new("dynamic", &[app, library]);
    let standard = run(Command::new("rustc").args(["--print", "target-libdir"]));
    for profile in ["dev", "release"] {
        let rustflags = ["-Cprefer-dynamic"];
        let built = project.build(Options { profile, rustflags: &rustflags, ..Options::default() });
        let (program, library) = (built.join("dynamic_app"), built.join("libdynamic.so"));
        let site = |function, key| [(function, key, Off, Unlikely, Nop)];
        let of_program = site("dynamic_app::program_is_on", "dynamic_app::PROGRAM");
        check(&program, &of_program, plain);
        check(&library, &site("dynamic::library_is_on", "dynamic::LIBRARY"), plain);
        let paths = format!("{}:{}", built.display(), standard.trim());
        check_itself(Command::new(program).env("LD_LIBRARY_PATH", paths));
    }
}
