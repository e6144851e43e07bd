//! Programs with the crate static-keys, whose keys are flipped in a copy of the file and while
//! it runs.  No runtime of jlctl's is asked: the crate has its own.

use crate::command::{jlctl, run};
use crate::process::{Process, json, program};
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
    json(&done)
}

/// All sites of a key that was flipped follow it.  Of others those may not that are never
/// executed: without optimisation the crate's macros leave a site of each kind.
fn follows(process: &Process, key: &str) {
    let audit = json(&process.audit());
    let stale = audit["stale"].as_array().expect("a list");
    let name = |site: &Value| site["key"].as_str().expect("a name").to_owned();
    assert!(!stale.iter().any(|site| name(site).ends_with(key)), "{audit}");
}

#[test]
fn a_running_program_is_flipped_from_both_sides() {
    let exe = program("crate_keys");
    let mut process = start(&exe);
    assert_eq!(process.ask("?"), "[0, 0, 1, 1] false true");
    let flipped = flip(&process, "enable", "CRATE_OFF");
    assert_eq!((&flipped["way"], &flipped["keys"][0]["differ"]), (&"ptrace".into(), &2.into()));
    assert_eq!(process.ask("?"), "[1, 1, 1, 1] true true");
    follows(&process, "CRATE_OFF");
    // Its own runtime goes on from there.
    assert_eq!(process.ask("disable"), "[0, 0, 1, 1] false true");
    follows(&process, "CRATE_OFF");
    assert_eq!(process.ask("enable"), "[1, 1, 1, 1] true true");
    flip(&process, "disable", "CRATE_OFF");
    flip(&process, "disable", "CRATE_ON");
    assert_eq!(process.ask("?"), "[0, 0, 0, 0] false false");
    follows(&process, "CRATE_ON");
}

#[test]
fn keys_are_flipped_in_the_file() {
    let exe = program("crate_keys");
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (exe, plan, copy) = (exe.to_str().expect("UTF-8"), path("plan"), path("copy"));
    let planned = |wish: &str, key: &str| {
        run(&mut jlctl(&["plan", exe, wish, key, "--no-source", "-o", &plan]))
    };
    let made = planned("--disable", "CRATE_ON");
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{made:?}");
    let checked = run(&mut jlctl(&["plan", "--check", &plan, exe]));
    assert_eq!(checked.code, 0, "{checked:?}");
    let applied = run(&mut jlctl(&["apply", &plan, exe, "-o", &copy]));
    assert_eq!(applied.code, 0, "{applied:?}");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut process = start(Path::new(&copy));
    assert_eq!(process.ask("?"), "[0, 0, 0, 0] false false");
    assert_eq!(process.ask("enable"), "[1, 1, 0, 0] true false");
    follows(&process, "CRATE_OFF");
    // A key whose bytes are not in the file can only be flipped while the program runs.
    assert_eq!(planned("--enable", "CRATE_OFF").code, 0);
    let refused = run(&mut jlctl(&["apply", &plan, exe, "-o", &copy]));
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("found .bss"), "{}", refused.stderr);
}
