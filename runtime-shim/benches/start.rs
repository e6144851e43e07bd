//! How long the shim's constructor takes: a constructor before it and one after it read the
//! clock.  The median of 1000 processes.
//!
//! `cargo bench -p jlctl-shim --bench start`
#![allow(unsafe_code, reason = "constructors")]

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

static BEFORE: AtomicU64 = AtomicU64::new(0);
static AFTER: AtomicU64 = AtomicU64::new(0);

fn nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

extern "C" fn before() {
    // The first call of the clock looks for it.
    nanoseconds();
    BEFORE.store(nanoseconds(), Ordering::Relaxed);
}

extern "C" fn after() {
    AFTER.store(nanoseconds(), Ordering::Relaxed);
}

// The shim's has the number between these.
#[used]
#[unsafe(link_section = ".init_array.00100")]
static EARLY: extern "C" fn() = before;
#[used]
#[unsafe(link_section = ".init_array.00102")]
static LATE: extern "C" fn() = after;

jlctl_shim::define_static_key_false!(static KEY);

fn main() {
    if std::env::args().nth(1).as_deref() == Some("child") {
        assert!(!jlctl_shim::static_branch_unlikely!(KEY));
        println!("{}", AFTER.load(Ordering::Relaxed) - BEFORE.load(Ordering::Relaxed));
        return;
    }
    let own = std::env::current_exe().expect("the program has a path");
    let mut times: Vec<u64> = (0..1000)
        .map(|_| {
            let output = Command::new(&own).arg("child").output().expect("it starts");
            let text = String::from_utf8(output.stdout).expect("a number");
            text.trim().parse().expect("a number")
        })
        .collect();
    times.sort_unstable();
    println!("constructor: median {} ns, 90 % within {} ns", times[500], times[900]);
}
