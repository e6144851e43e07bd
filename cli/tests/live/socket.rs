//! `jlctl ctl` and `jlctl apply --pid` over the control socket of a process, which flips its keys
//! itself without stopping a thread.

use crate::command::{jlctl, of_program, run, utf8};
use crate::directory::Directory;
use crate::process::{Process, plan_flips, program, rounds, shim_keys};
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

/// A program with a control socket in a directory of its own.
fn start() -> (Process, Directory) {
    let directory = Directory::new();
    let control = directory.path("%p");
    let target = Process::start_ready(shim_keys().envs([("JLSHIM_CONTROL", utf8(&control))]));
    (target, directory)
}

fn socket(target: &Process, directory: &Directory) -> String {
    utf8(&directory.path(&target.pid())).to_owned()
}

#[test]
fn keys_are_flipped_without_stopping_threads() {
    let (mut target, _directory) = start();
    let flipped = target.ctl(&["enable", "LIVE_FALSE", "--format", "json"]).json();
    assert_eq!(
        [&flipped["way"], &flipped["sync_level"], &flipped["threads"], &flipped["pause_ns"]],
        [&"control-socket".into(), &"strict".into(), &Value::Null, &Value::Null]
    );
    assert_eq!(flipped["synchronised_by"], "membarrier-sync-core");
    let key = &flipped["keys"][0];
    assert_eq!(
        [&key["old_enabled"], &key["enabled"], &key["sites"], &key["differ"]],
        [0, 1, 2, 2].map(Value::from).each_ref()
    );
    assert_eq!(target.ask("?"), "[1, 1, 1, 1] true true");
    let text = target.ctl(&["disable", "LIVE_TRUE", "LIVE_FALSE"]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    assert!(text.stdout.contains("on → off, 2 sites patched"), "{}", text.stdout);
    assert!(
        text.stdout.contains("by its control socket; no thread was stopped"),
        "{}",
        text.stdout
    );
    assert_eq!(target.ask("?"), "[0, 0, 0, 0] false false");
    let again = target.ctl(&["disable", "LIVE_TRUE"]);
    assert!(again.stdout.contains("off already") && !again.stdout.contains("sync"), "{again:?}");
    let audit = run(&mut jlctl(&["audit", "--pid", &target.pid()]));
    assert_eq!(audit.code, 0, "{audit:?}");
}

#[test]
fn a_plan_is_applied_by_the_process() {
    let (mut target, directory) = start();
    let plan = plan_flips(&program("shim_keys"), &directory);
    let applied = target.apply(&plan, &[]).json();
    let process = &applied["process"];
    assert_eq!((&process["sites"], &process["key_words"]), (&4.into(), &2.into()), "{applied}");
    assert_eq!(process["way"], "control-socket");
    // The keys no longer have the state that the plan expects.
    target.apply(&plan, &[]).fails(4, &["must have the count"]);
    let back = target.apply(&plan, &["--reverse"]).json();
    assert_eq!(back["process"]["sites"], 4);
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
}

#[test]
fn the_socket_of_another_process_is_not_used() {
    let directory = Directory::new();
    let path = directory.path("one");
    let variable = [("JLSHIM_CONTROL", utf8(&path))];
    let mut first = Process::start_ready(shim_keys().envs(variable));
    let mut second = Process::start_ready(shim_keys().envs(variable));
    let flipped = second.ctl(&["enable", "LIVE_FALSE", "--format", "json"]).json();
    assert_eq!(flipped["way"], "ptrace");
    assert_eq!(second.ask("?"), "[1, 1, 1, 1] true true");
    assert_eq!(first.ask("?"), "[0, 0, 1, 1] false true");
    let verbose = second.ctl(&["-v", "disable", "LIVE_FALSE"]);
    assert!(verbose.stderr.contains("serves it, and not"), "{verbose:?}");
    let named = second.ctl(&["--socket", variable[0].1, "enable", "LIVE_FALSE"]);
    assert_eq!(named.code, 5, "{named:?}");
    assert!(named.stderr.contains(&format!("process {} serves it", first.pid())), "{named:?}");
    let nowhere = first.ctl(&["--socket", "/nowhere", "enable", "LIVE_FALSE"]);
    assert_eq!(nowhere.code, 5, "{nowhere:?}");
}

/// A copy of jlctl that every user may execute.
fn for_all(directory: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let copy = directory.join("jlctl");
    fs::copy(env!("CARGO_BIN_EXE_jlctl"), &copy).expect("the file is copied");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    copy
}

#[test]
#[cfg_attr(not(feature = "privileged"), ignore = "needs root: testdata/check runs it")]
fn another_user_is_refused_by_the_socket() {
    let (mut target, directory) = start();
    let program = for_all(directory.root());
    let socket = socket(&target, &directory);
    let as_nobody = |args: &[&str]| {
        let mut command = of_program(&program, &["ctl", &target.pid()]);
        run(command.args(args).current_dir("/").uid(NOBODY).gid(NOBODY))
    };
    // The user neither finds the socket nor has permission to open it.
    let refused = as_nobody(&["enable", "LIVE_FALSE"]);
    assert!(refused.code == 5 && refused.stdout.is_empty(), "{refused:?}");
    let refused = as_nobody(&["--socket", &socket, "enable", "LIVE_FALSE"]);
    assert!(refused.code == 5 && refused.stderr.contains("ermission denied"), "{refused:?}");
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
}

#[test]
fn ten_thousand_flips_over_the_socket() {
    use jlctl_patch_engine::process::{Control, ControlOp};
    let (mut target, directory) = start();
    let listed = target.ctl(&["list", "--format", "json"]).json();
    let keys = listed["keys"].as_array().expect("a list");
    let address = |name: &str| {
        let key =
            keys.iter().find(|key| key["name"].as_str().is_some_and(|full| full.ends_with(name)));
        let text = key.expect("the key is listed")["address"].as_str().expect("an address");
        u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number")
    };
    let (off, on) = (address("LIVE_FALSE"), address("LIVE_TRUE"));
    let pid = target.child.id().cast_signed();
    let mut control = Control::connect(pid, Path::new(&socket(&target, &directory)))
        .expect("the process listens");
    for flip in 0..rounds(10_000, 400) {
        let is_back = flip % 2 == 1;
        let op = |address, is_on: bool| ControlOp {
            address,
            is_on: is_on != is_back,
            expected: Some(i32::from(is_on == is_back)),
        };
        let done =
            control.apply(&[op(off, true), op(on, false)]).expect("the process applies the ops");
        assert_eq!(done.sites, 4, "{flip}");
        if flip % 100 < 2 {
            let wanted = ["[1, 1, 0, 0] true false", "[0, 0, 1, 1] false true"][flip % 2];
            assert_eq!(target.ask("?"), wanted, "after {flip} flips");
        }
    }
}
