//! `jlctl ctl` by ptrace when a write fails, when jlctl is interrupted or killed, and when its
//! target dies.  strace injects each event at each write in turn.

use crate::command::interrupt;
use crate::process::{OFF, ON, Process, shim_keys};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Writes of a flip of LIVE_FALSE: two sites, and the key's count.
const WRITES: usize = 3;

/// A flip under strace, which injects `injection` into its writes to the process.
fn flipping(target: &Process, injection: &str) -> Child {
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject=pwrite64:{injection}")])
        .args([env!("CARGO_BIN_EXE_jlctl"), "ctl", &target.pid(), "enable", "LIVE_FALSE"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace starts")
}

/// The exit code of jlctl, unless a signal ended it, and its messages.
fn end(flip: Child) -> (Option<i32>, String) {
    let output = flip.wait_with_output().expect("a child");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn flip(target: &Process, injection: &str) -> (Option<i32>, String) {
    end(flipping(target, injection))
}

fn set(target: &Process, action: &str) {
    let run = target.ctl(&[action, "LIVE_FALSE"]);
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs strace: testdata/check runs it")]
fn a_failed_write_is_rolled_back() {
    let mut target = Process::start_ready(&mut shim_keys());
    for write in 1..=WRITES {
        let (code, told) = flip(&target, &format!("error=EIO:when={write}"));
        assert_eq!(code, Some(5), "{write}: {told}");
        assert!(told.contains("all writes were undone"), "{write}: {told}");
        assert_eq!(target.audit().code, 0, "{write}");
        assert_eq!(target.ask("?"), OFF, "{write}");
    }
    // A failed rollback is reported, found by the audit, and repaired by the same command.
    let (code, told) = flip(&target, "error=EIO:when=2+");
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("undoing failed too"), "{told}");
    let found = target.audit();
    assert_eq!(found.code, 1, "{found:?}");
    set(&target, "enable");
    assert_eq!(target.audit().code, 0);
    assert_eq!(target.ask("?"), ON);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs strace: testdata/check runs it")]
fn a_killed_jlctl_leaves_whole_sites_and_running_threads() {
    let mut target = Process::start_ready(&mut shim_keys());
    for write in 1..=WRITES {
        let (code, told) = flip(&target, &format!("signal=KILL:when={write}"));
        assert_eq!((code, told.as_str()), (None, ""), "{write}: jlctl is killed");
        // The target answers, so that no thread is left stopped; the count is not published.
        assert!(target.ask("?").contains(" false true"), "{write}");
        let found = target.audit();
        assert!([0, 1].contains(&found.code), "{write}: {found:?}");
        assert!(!found.stdout.contains("found other"), "{write}: {found:?}");
        set(&target, "enable");
        assert_eq!(target.audit().code, 0, "{write}");
        assert_eq!(target.ask("?"), ON, "{write}");
        set(&target, "disable");
        assert_eq!(target.ask("?"), OFF, "{write}");
    }
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs strace: testdata/check runs it")]
fn an_interrupted_jlctl_rolls_back() {
    let mut target = Process::start_ready(&mut shim_keys());
    let flip = flipping(&target, "delay_enter=500000:when=1+");
    interrupt(&tracer(&target));
    let (code, told) = end(flip);
    assert!(told.contains("interrupted; all writes were undone"), "{code:?} {told}");
    assert_eq!(code, Some(5), "{told}");
    assert_eq!(target.audit().code, 0);
    assert_eq!(target.ask("?"), OFF);
}

/// Waits until a process traces the target, and returns its id.
fn tracer(target: &Process) -> String {
    let status = format!("/proc/{}/status", target.pid());
    loop {
        let status = fs::read_to_string(&status).expect("the process runs");
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:\t"));
        match tracer.expect("a line of every process") {
            "0" => thread::yield_now(),
            tracer => return tracer.to_owned(),
        }
    }
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs strace: testdata/check runs it")]
fn a_target_that_dies_during_the_flip_is_reported() {
    for write in 1..=WRITES {
        let mut target = Process::start_ready(&mut shim_keys());
        let flip = flipping(&target, &format!("delay_enter=2000000:when={write}"));
        tracer(&target);
        // Long enough for the write to begin, and too short for it to end.
        thread::sleep(Duration::from_millis(500));
        target.child.kill().expect("the process runs");
        let (code, told) = end(flip);
        assert!(told.contains("no such process; it has ended"), "{write}: {code:?} {told}");
        assert_eq!(code, Some(3), "{write}: {told}");
    }
}
