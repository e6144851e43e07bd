//! Tests that pass, fail, crash and hang on purpose: the host's tests expect these results.
#![cfg(target_arch = "aarch64")]
#![expect(unsafe_code, reason = "an undefined instruction has to be written")]

use std::arch::asm;
use std::env;
use std::io::{Write, stderr};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

#[test]
fn a_passes() {
    let mut environment: Vec<String> =
        env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    environment.sort();
    println!("{}", environment.join("\n"));
}

#[test]
fn b_fails() {
    println!("printed by b_fails");
    assert_eq!(1 + 1, 3, "wrong on purpose");
}

#[test]
#[ignore = "the host's tests expect an ignored test in this suite"]
fn c_is_ignored() {
    panic!("an ignored test ran");
}

#[test]
fn d_dies() {
    stderr().write_all(b"written before d_dies\n").expect("stderr is open");
    // SAFETY: the instruction is permanently undefined: it raises SIGILL and never returns.
    unsafe { asm!("udf #0", options(nomem, nostack, noreturn)) }
}

#[test]
fn e_hangs() {
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

#[test]
#[should_panic(expected = "as it should")]
fn f_panics() {
    panic!("as it should");
}

/// The other process holds the standard error of this process open.
#[test]
fn g_leaves_a_process_behind() {
    let program = env::current_exe().expect("procfs is mounted");
    // A thread waits for the child, and ends with this process.
    let mut command = Command::new(program);
    command.args(["--exact", "e_hangs"]).stdout(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    thread::spawn(move || child.wait());
}
