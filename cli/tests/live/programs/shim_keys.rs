//! A program with keys of jlctl's runtime, which tests flip from outside: threads that execute
//! the sites all the time, and a main thread that answers each line with what all of them see
//! from then on.
#![allow(dead_code, reason = "modules of the runtime's tests have more than it uses")]
#![allow(unsafe_code, reason = "sites, and a system call")]

// Modules of the runtime's tests, for emulated machines.
#[path = "../../../../runtime-shim/tests/common/emulator.rs"]
mod emulator;
#[path = "../../../../runtime-shim/tests/common/memory.rs"]
mod memory;
#[path = "../../../../runtime-shim/tests/common/refetch.rs"]
mod refetch;
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "addresses of 64 bits")]
#[path = "../../../../runtime-shim/tests/common/sites.rs"]
mod sites;

use jlctl_shim::{
    define_static_key_false, define_static_key_true, static_branch_likely, static_branch_unlikely,
};
use refetch::refetch;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

define_static_key_false!(static LIVE_FALSE);
define_static_key_true!(static LIVE_TRUE);

/// The variable that makes the program start threads, one after the other, which exit at once.
const SPAWNS: &str = "JLCTL_TEST_SPAWNS";

#[inline(never)]
fn sees() -> [bool; 4] {
    [
        static_branch_unlikely!(LIVE_FALSE),
        static_branch_likely!(LIVE_FALSE),
        static_branch_unlikely!(LIVE_TRUE),
        static_branch_likely!(LIVE_TRUE),
    ]
}

/// Threads that execute the sites, beside the main thread.
const WORKERS: usize = 7;

/// The number of questions that the main thread has asked the others.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Executes the sites in a loop, and sends what it sees after each question to `answers`.
fn work(answers: &mpsc::Sender<[bool; 4]>) {
    let mut answered = 0;
    loop {
        let asked = ASKED.load(Ordering::Acquire);
        let seen = sees();
        if asked != answered && answers.send(seen).is_err() {
            return;
        }
        if asked == answered {
            // Flips meet sleeping threads as well.
            thread::sleep(Duration::from_micros(seen.map(u64::from).iter().sum::<u64>() * 10));
        }
        answered = asked;
    }
}

/// Lets any process of the user trace this one, where Yama restricts that to ancestors
/// (`Documentation/admin-guide/LSM/Yama.rst`, Linux 6.12), unless the environment keeps it.
fn allow_tracing() {
    let any = libc::c_ulong::MAX;
    if env::var_os("JLCTL_TEST_KEEPS_YAMA").is_none() {
        // SAFETY: the call takes a number.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, any, 0, 0, 0) };
    }
}

/// Answers each line with what all threads see from then on, `0` and `1` for each site, and with
/// the state of both keys.
fn main() {
    allow_tracing();
    let (to, answers) = mpsc::channel();
    for _ in 0..WORKERS {
        let to = to.clone();
        thread::spawn(move || work(&to));
    }
    if env::var_os(SPAWNS).is_some() {
        thread::spawn(|| while thread::spawn(sees).join().is_ok() {});
    }
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        if line == "flip" {
            LIVE_FALSE.enable().expect("the shim flips");
        }
        refetch(&[&LIVE_FALSE, &LIVE_TRUE]);
        let seen = sees();
        ASKED.fetch_add(1, Ordering::Release);
        let stale = answers.iter().take(WORKERS).filter(|other| *other != seen).count();
        let stale = if stale == 0 { String::new() } else { format!(", {stale} stale") };
        let (off, on) = (LIVE_FALSE.is_enabled(), LIVE_TRUE.is_enabled());
        println!("{:?} {off} {on}{stale}", seen.map(u8::from));
    }
}
