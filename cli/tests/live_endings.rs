//! `jlctl ctl` by ptrace when its writes fail, or when it is killed in the middle: strace makes
//! them, at each write in turn.
#![allow(unsafe_code, reason = "sites")]

mod common;
#[path = "live/target.rs"]
mod target;

use common::{Run, jlctl, run};
use std::process::Command;
use target::{Target, is_target};

const OFF: &str = "[0, 0, 1, 1] false true";
const ON: &str = "[1, 1, 1, 1] true true";
/// Writes of a flip of LIVE_FALSE: two sites, and the key's count.
const WRITES: usize = 3;

/// A flip under strace, which does `injection` to its writes into the process; and how jlctl
/// ended, none if by a signal.
fn flip(target: &Target, injection: &str) -> (Option<i32>, String) {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject=pwrite64:{injection}")])
        .args([env!("CARGO_BIN_EXE_jlctl"), "ctl", &target.pid(), "enable", "LIVE_FALSE"])
        .output()
        .expect("this test needs strace");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn audit(target: &Target) -> Run {
    run(&mut jlctl(&["audit", "--pid", &target.pid()]))
}

fn ctl(target: &Target, action: &str) {
    let run = run(&mut jlctl(&["ctl", &target.pid(), action, "LIVE_FALSE"]));
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn a_write_that_fails_is_taken_back() {
    if is_target() {
        return;
    }
    let mut target = Target::with("a_write_that_fails_is_taken_back", &[]);
    for write in 1..=WRITES {
        let (code, told) = flip(&target, &format!("error=EIO:when={write}"));
        assert_eq!(code, Some(5), "{write}: {told}");
        assert!(told.contains("what was written was taken back"), "{write}: {told}");
        assert_eq!(audit(&target).code, 0, "{write}");
        assert_eq!(target.ask("?"), OFF, "{write}");
    }
    // Where taking back fails too, that is said, found, and mended by the same command.
    let (code, told) = flip(&target, "error=EIO:when=2+");
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("taking back failed too"), "{told}");
    let found = audit(&target);
    assert_eq!(found.code, 1, "{found:?}");
    ctl(&target, "enable");
    assert_eq!(audit(&target).code, 0);
    assert_eq!(target.ask("?"), ON);
}

#[test]
fn whoever_is_killed_leaves_whole_sites_and_running_threads() {
    if is_target() {
        return;
    }
    let mut target = Target::with("whoever_is_killed_leaves_whole_sites_and_running_threads", &[]);
    for write in 1..=WRITES {
        let (code, told) = flip(&target, &format!("signal=KILL:when={write}"));
        assert_eq!((code, told.as_str()), (None, ""), "{write}: jlctl is killed");
        // It answers, so that no thread is left stopped; the count is not published.
        assert!(target.ask("?").contains(" false true"), "{write}");
        let found = audit(&target);
        assert!([0, 1].contains(&found.code), "{write}: {found:?}");
        assert!(!found.stdout.contains("found other"), "{write}: {found:?}");
        ctl(&target, "enable");
        assert_eq!(audit(&target).code, 0, "{write}");
        assert_eq!(target.ask("?"), ON, "{write}");
        ctl(&target, "disable");
        assert_eq!(target.ask("?"), OFF, "{write}");
    }
}
