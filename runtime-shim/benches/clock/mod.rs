//! The time that constructors and destructors take.
//!
//! Those of the shim and of keys have the priority 101.  Constructors and destructors with
//! adjacent priorities read the clock before and after them.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

static BEFORE: AtomicU64 = AtomicU64::new(0);
static AFTER: AtomicU64 = AtomicU64::new(0);

fn nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

extern "C" fn before() {
    // The first call initialises the clock.
    nanoseconds();
    BEFORE.store(nanoseconds(), Ordering::Relaxed);
}

extern "C" fn after() {
    AFTER.store(nanoseconds(), Ordering::Relaxed);
}

#[used]
#[unsafe(link_section = ".init_array.00100")]
static EARLY: extern "C" fn() = before;
#[used]
#[unsafe(link_section = ".init_array.00102")]
static LATE: extern "C" fn() = after;
// Destructors run from the last to the first.
#[used]
#[unsafe(link_section = ".fini_array.00102")]
static EARLY_END: extern "C" fn() = before_end;
#[used]
#[unsafe(link_section = ".fini_array.00100")]
static LATE_END: extern "C" fn() = after_end;

extern "C" fn before_end() {
    BEFORE.store(nanoseconds(), Ordering::Relaxed);
}

extern "C" fn after_end() {
    let time = nanoseconds() - BEFORE.load(Ordering::Relaxed);
    if std::env::args().nth(1).as_deref() == Some("child") {
        println!("{time}");
    }
}

/// Prints the medians of `count` processes; in such a process, prints its times.
pub(crate) fn measure(what: &str, count: usize) {
    if std::env::args().nth(1).as_deref() == Some("child") {
        println!("{}", AFTER.load(Ordering::Relaxed) - BEFORE.load(Ordering::Relaxed));
        return;
    }
    let own = std::env::current_exe().expect("the program has a path");
    let (mut starts, mut ends): (Vec<u64>, Vec<u64>) = (0..count)
        .map(|_| {
            let output = Command::new(&own).arg("child").output().expect("it starts");
            let text = String::from_utf8(output.stdout).expect("two numbers");
            let mut times = text.lines().map(|line| line.parse::<u64>().expect("a number"));
            (times.next().expect("a start"), times.next().expect("an end"))
        })
        .unzip();
    for (name, times) in [("constructors", &mut starts), ("destructors", &mut ends)] {
        times.sort_unstable();
        let (median, most) = (times[count / 2], times[count * 9 / 10]);
        println!("{what}: {name}: median {median} ns, 90 % within {most} ns");
    }
}
