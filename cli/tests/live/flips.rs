//! `jlctl ctl`, `jlctl audit` and `jlctl apply --pid` on a program with keys of jlctl's runtime.
//!
//! These tests run natively, and under an arm64 kernel in the virtual machine.  A user-mode
//! emulator does not do: its process is not that of the emulated program.  The virtual machine has
//! no other programs; tests that need some are in `endings` and `refusals`.

use crate::command::{jlctl, run, utf8};
use crate::directory::Directory;
use crate::process::{Process, plan_flips, program, rounds, shim_keys};
use jlctl_patch_engine::process::{Memory, MemoryEdit, MemoryEdits, apply};
use serde_json::Value;

/// A pattern for keys whose names contain `name`.
fn pattern(name: &str) -> String {
    format!("/{name}/")
}

#[test]
fn keys_are_listed_and_flipped_by_name() {
    let mut target = Process::start_ready(&mut shim_keys());
    let (off, on) = (pattern("LIVE_FALSE"), pattern("LIVE_TRUE"));
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
    let listed = target.ctl(&["list", "--format", "json"]).json();
    assert_eq!(
        (listed["schema"].as_str(), listed["keys"].as_array().map(Vec::len)),
        (Some("jlctl.ctl/1"), Some(2))
    );
    let flipped = target.ctl(&["enable", &off, "--format", "json"]).json();
    assert_eq!(
        (&flipped["way"], &flipped["synchronised_by"]),
        (&"ptrace".into(), &"ptrace-stop".into())
    );
    assert_eq!(flipped["threads"], 8, "{flipped}");
    assert!(flipped["pause_ns"].as_u64().is_some_and(|pause| pause > 0));
    let key = &flipped["keys"][0];
    assert_eq!(
        (&key["old_enabled"], &key["enabled"], &key["differ"]),
        (&0.into(), &1.into(), &2.into())
    );
    assert_eq!(target.ask("?"), "[1, 1, 1, 1] true true");
    let again = target.ctl(&["enable", &off, "--format", "json"]).json();
    assert_eq!((&again["synchronised_by"], &again["threads"]), (&Value::Null, &Value::Null));
    let text = target.ctl(&["disable", &on]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    assert!(text.stdout.contains("on → off, 2 sites patched"), "{}", text.stdout);
    assert!(text.stdout.contains("by stopping 8 threads"), "{}", text.stdout);
    assert_eq!(target.ask("?"), "[1, 1, 0, 0] true false");
    let list = target.ctl(&["list", &off]);
    assert!(list.stdout.starts_with("on ") && list.stdout.contains("(2 sites)"), "{}", list.stdout);
    assert_eq!(target.audit().code, 0);
}

#[test]
fn the_program_flips_keys_that_jlctl_flipped() {
    let mut target = Process::start_ready(&mut shim_keys());
    let off = pattern("LIVE_FALSE");
    assert_eq!(target.ask("flip"), "[1, 1, 1, 1] true true");
    assert_eq!(target.ctl(&["disable", &off]).code, 0);
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
    assert_eq!(target.ask("flip"), "[1, 1, 1, 1] true true");
    assert_eq!(target.audit().code, 0);
}

#[test]
fn a_stale_site_is_found_and_repaired() {
    let mut target = Process::start_ready(&mut shim_keys());
    let off = pattern("LIVE_FALSE");
    let listed = target.ctl(&["list", &off, "--format", "json"]).json();
    let address = listed["keys"][0]["address"].as_str().expect("an address");
    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("a number");
    // The count alone says that the key is on.
    let memory = std::fs::File::options().write(true).open(format!("/proc/{}/mem", target.pid()));
    std::os::unix::fs::FileExt::write_all_at(&memory.expect("the file is open"), &[1], address)
        .expect("the file is written");
    let found = target.audit();
    assert_eq!(found.code, 1, "{found:?}");
    let stale = found.json();
    assert_eq!(stale["stale"].as_array().map(Vec::len), Some(2), "{stale}");
    let mut expected: Vec<_> =
        [0, 1].map(|at| stale["stale"][at]["expected"].as_str().map(str::to_owned)).to_vec();
    expected.sort();
    assert_eq!(expected, [Some("jmp".to_owned()), Some("nop".to_owned())]);
    assert!(stale["stale"][0]["function"].as_str().is_some_and(|name| name.contains("sees")));
    assert_eq!(target.ctl(&["enable", &off]).code, 0);
    assert_eq!(target.audit().code, 0);
    assert_eq!(target.ask("?"), "[1, 1, 1, 1] true true");
}

#[test]
fn a_plan_is_applied_and_reversed() {
    let mut target = Process::start_ready(&mut shim_keys());
    let directory = Directory::new();
    let plan = plan_flips(&program("shim_keys"), &directory);
    let applied = target.apply(&plan, &[]).json();
    let process = &applied["process"];
    assert_eq!((&process["sites"], &process["key_words"]), (&4.into(), &2.into()), "{applied}");
    assert_eq!(process["synchronised_by"], "ptrace-stop");
    let twice = target.apply(&plan, &[]);
    assert_eq!(twice.code, 4, "{twice:?}");
    assert!(twice.stderr.contains("nothing was written"), "{}", twice.stderr);
    assert_eq!(target.ask("?"), "[1, 1, 0, 0] true false");
    let back = target.apply(&plan, &["--reverse"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
    assert_eq!(target.audit().code, 0);
}

/// A plan that flips both keys from their initial state, as edits of the program's memory, and
/// the plan that reverses it.
fn there_and_back(target: &Process) -> [MemoryEdits; 2] {
    let exe = program("shim_keys");
    let made = ["plan", utf8(&exe), "--flip", "/LIVE_/", "--no-source"];
    let plan = run(&mut jlctl(&[&made[..], &["--format", "json"]].concat())).json();
    let number = |value: &Value| {
        let text = value.as_str().expect("text").trim_start_matches("0x");
        u64::from_str_radix(text, 16).expect("hex")
    };
    let bias = number(&target.audit().json()["images"][0]["bias"]);
    let bytes = |value: &Value| -> Vec<u8> {
        let digits = value.as_str().expect("text").as_bytes();
        let byte = |pair: &[u8]| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")
        };
        digits.chunks(2).map(byte).collect()
    };
    let edit = |op: &Value| MemoryEdit {
        address: number(&op["address"]).wrapping_add(bias),
        old: bytes(&op["old"]),
        new: bytes(&op["new"]),
    };
    let list = |name: &str| -> Vec<MemoryEdit> {
        plan[name].as_array().expect("a list").iter().map(edit).collect()
    };
    let there = MemoryEdits { code: list("ops"), words: list("key_writes") };
    let turn = |edits: &[MemoryEdit]| -> Vec<MemoryEdit> {
        let turn = |edit: &MemoryEdit| MemoryEdit {
            old: edit.new.clone(),
            new: edit.old.clone(),
            ..*edit
        };
        edits.iter().map(turn).collect()
    };
    let back = MemoryEdits { code: turn(&there.code), words: turn(&there.words) };
    [there, back]
}

/// Flips both keys of `target` `count` times.  Returns the least and the greatest number of
/// threads that a flip stopped.
fn flip(target: &mut Process, count: usize) -> [usize; 2] {
    let plans = there_and_back(target);
    let memory = Memory::open(target.child.id().cast_signed(), true).expect("tracing is permitted");
    let mut stopped = [usize::MAX, 0];
    for flip in 0..count {
        let pause = apply(&memory, &plans[flip % 2], &|| false).expect("the edits are written");
        stopped = [stopped[0].min(pause.threads), stopped[1].max(pause.threads)];
        if flip % 100 < 2 {
            let wanted = ["[1, 1, 0, 0] true false", "[0, 0, 1, 1] false true"][flip % 2];
            assert_eq!(target.ask("?"), wanted, "after {flip} flips");
        }
    }
    stopped
}

#[test]
fn ten_thousand_flips_under_load() {
    let mut target = Process::start_ready(&mut shim_keys());
    assert_eq!(flip(&mut target, rounds(10_000, 400)), [8, 8]);
}

#[test]
fn threads_that_start_and_exit_during_a_flip_are_stopped() {
    let mut target = Process::start_ready(shim_keys().envs([("JLCTL_TEST_SPAWNS", "1")]));
    // The threads of every target, one that starts others, and at times one of those.
    let [least, most] = flip(&mut target, rounds(1_000, 50));
    assert!(least >= 9 && most >= 10, "{least} to {most}");
    assert_eq!(target.audit().code, 0);
}
