//! A program with keys of jlctl's runtime, which tests flip from outside: threads that execute
//! the sites all the time, and a main thread that answers each line with what all of them see
//! from then on.
#![allow(unsafe_code, reason = "sites, the jump table, and a system call")]

use jlctl_shim::abi::RelativeEntry;
use jlctl_shim::{
    define_static_key_false, define_static_key_true, static_branch_likely, static_branch_unlikely,
};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, io, ptr, slice, thread};

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

unsafe extern "C" {
    #[link_name = "__start___jump_table"]
    static START: RelativeEntry;
    #[link_name = "__stop___jump_table"]
    static STOP: RelativeEntry;
}

/// Has an emulated arm64 machine translate the sites anew, by storing each instruction again.  The
/// CPUs of such a machine may keep a translation of the old code that was begun before a patch
/// (`runtime-shim/tests/common/refetch.rs`).
fn retranslate() -> io::Result<()> {
    let (start, stop) = (&raw const START, &raw const STOP);
    let count = (stop.addr() - start.addr()) / RelativeEntry::SIZE;
    // SAFETY: the linker's bounds of one section.
    let entries = unsafe { slice::from_raw_parts(start, count) };
    let memory = File::options().read(true).write(true).open("/proc/self/mem")?;
    for entry in entries {
        let code = (ptr::from_ref(entry).addr() as u64).wrapping_add_signed(entry.code.into());
        let mut insn = [0; 4];
        memory.read_exact_at(&mut insn, code)?;
        memory.write_all_at(&insn, code)?;
    }
    Ok(())
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
    let is_emulated = env::var_os("JLSHIM_TEST_EMULATED_MACHINE").is_some();
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        if line == "flip" {
            LIVE_FALSE.enable().expect("the shim flips");
        }
        if is_emulated {
            retranslate().expect("the program's memory is accessible");
        }
        let seen = sees();
        ASKED.fetch_add(1, Ordering::Release);
        let stale = answers.iter().take(WORKERS).filter(|other| *other != seen).count();
        let stale = if stale == 0 { String::new() } else { format!(", {stale} stale") };
        let (off, on) = (LIVE_FALSE.is_enabled(), LIVE_TRUE.is_enabled());
        println!("{:?} {off} {on}{stale}", seen.map(u8::from));
    }
}
