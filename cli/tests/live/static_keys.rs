//! A program with keys of the crate static-keys, which has a runtime of its own: its keys are
//! flipped in a copy of the file and while it runs.

use crate::command::{jlctl, run, utf8};
use crate::directory::Directory;
use crate::process::{Process, program};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

fn start(program: &Path) -> Process {
    Process::start_ready(&mut Command::new(program))
}

fn flip(process: &Process, action: &str, key: &str) -> Value {
    let done = process.ctl(&[action, key, "--format", "json"]);
    assert_eq!(done.code, 0, "{done:?}");
    done.json()
}

/// Asserts that all sites of a flipped key follow it.  Sites of other keys may be stale where they
/// are never executed: without optimisation, the crate's macros leave a site of each kind.
fn follows(process: &Process, key: &str) {
    let audit = process.audit().json();
    let stale = audit["stale"].as_array().expect("a list");
    let name = |site: &Value| site["key"].as_str().expect("a name").to_owned();
    assert!(!stale.iter().any(|site| name(site).ends_with(key)), "{audit}");
}

#[test]
fn a_running_program_is_flipped_by_jlctl_and_by_itself() {
    let exe = program("crate_keys");
    let mut process = start(&exe);
    assert_eq!(process.ask("?"), "[0, 0, 1, 1] false true");
    let flipped = flip(&process, "enable", "CRATE_OFF");
    assert_eq!((&flipped["way"], &flipped["keys"][0]["differ"]), (&"ptrace".into(), &2.into()));
    assert_eq!(process.ask("?"), "[1, 1, 1, 1] true true");
    follows(&process, "CRATE_OFF");
    // The crate's runtime continues from there.
    assert_eq!(process.ask("disable"), "[0, 0, 1, 1] false true");
    follows(&process, "CRATE_OFF");
    assert_eq!(process.ask("enable"), "[1, 1, 1, 1] true true");
    flip(&process, "disable", "CRATE_OFF");
    flip(&process, "disable", "CRATE_ON");
    assert_eq!(process.ask("?"), "[0, 0, 0, 0] false false");
    follows(&process, "CRATE_ON");
}

#[test]
fn keys_are_flipped_in_a_copy_of_the_file() {
    let exe = program("crate_keys");
    let directory = Directory::new();
    let path = |name: &str| directory.path(name).to_str().expect("the text is UTF-8").to_owned();
    let (exe, plan, copy) = (utf8(&exe), path("plan"), path("copy"));
    let planned = |wish: &str, key: &str| {
        run(&mut jlctl(&["plan", exe, wish, key, "--no-source", "-o", &plan]))
    };
    let made = planned("--disable", "CRATE_ON");
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{made:?}");
    let checked = run(&mut jlctl(&["plan", "--check", &plan, exe]));
    assert_eq!(checked.code, 0, "{checked:?}");
    let applied = run(&mut jlctl(&["apply", &plan, exe, "-o", &copy]));
    assert_eq!(applied.code, 0, "{applied:?}");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let mut process = start(Path::new(&copy));
    assert_eq!(process.ask("?"), "[0, 0, 0, 0] false false");
    assert_eq!(process.ask("enable"), "[1, 1, 0, 0] true false");
    follows(&process, "CRATE_OFF");
    // A key without bytes in the file can be flipped only while the program runs.
    assert_eq!(planned("--enable", "CRATE_OFF").code, 0);
    let refused = run(&mut jlctl(&["apply", &plan, exe, "-o", &copy]));
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("found .bss"), "{}", refused.stderr);
}
