//! The effect of a flip while threads run, in this crate and in the crate static-keys, whose
//! documentation forbids it: each in a process of its own, since one may crash.
//!
//! `cargo bench -p jlctl-shim --bench litmus [FLIPS]`
#![allow(unsafe_code, reason = "fork, and the peer's interface")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

jlctl_shim::define_static_key_false!(static OURS);
static_keys::define_static_key_false!(PEERS);

#[inline(never)]
fn ours() -> bool {
    jlctl_shim::static_branch_unlikely!(OURS)
}

#[inline(never)]
fn peers() -> bool {
    static_keys::static_branch_unlikely!(PEERS)
}

fn flip_ours(on: bool) {
    if on { OURS.enable() } else { OURS.disable() }.expect("the key is flipped");
}

fn flip_peers(on: bool) {
    // SAFETY: the requirement, that no other thread runs, is violated: that is the experiment.
    if on { unsafe { PEERS.enable() } } else { unsafe { PEERS.disable() } }
}

/// Flips `flips` times while a thread executes the site.  Flip number g turns the key on if g is
/// odd.  A pass is judged if the thread observes, before the site, that flip g is done and, after
/// the site, that flip g + 1 has not begun: the site must then have taken the side of g.  The next
/// flip waits until one pass has been judged.
fn run(site: fn() -> bool, flip: fn(bool), flips: u64) -> (u64, u64) {
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    static DONE: AtomicU64 = AtomicU64::new(0);
    static JUDGED: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    let reader = thread::spawn(move || {
        let (mut judged, mut stale) = (0, 0);
        while !STOP.load(Ordering::Relaxed) {
            let done = DONE.load(Ordering::Acquire);
            let side = std::hint::black_box(site)();
            if BEGUN.load(Ordering::SeqCst) == done {
                judged += 1;
                stale += u64::from(side != (done % 2 == 1));
                JUDGED.store(done, Ordering::Relaxed);
            }
        }
        (judged, stale)
    });
    for generation in 1..=flips {
        BEGUN.store(generation, Ordering::SeqCst);
        flip(generation % 2 == 1);
        DONE.store(generation, Ordering::Release);
        while JUDGED.load(Ordering::Relaxed) != generation {
            thread::yield_now();
        }
    }
    STOP.store(true, Ordering::Relaxed);
    reader.join().expect("the reader does not panic")
}

/// Runs one subject in a child process, and prints how the process ended.
fn subject(name: &str, site: fn() -> bool, flip: fn(bool), flips: u64) {
    let start = Instant::now();
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let (judged, stale) = run(site, flip, flips);
        println!("{name}: {flips} flips, {judged} passes judged, {stale} stale");
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` is valid for writes.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    let seconds = start.elapsed().as_secs_f64();
    if libc::WIFSIGNALED(status) {
        println!("{name}: killed by signal {} after {seconds:.2} s", libc::WTERMSIG(status));
    } else {
        println!("{name}: exit status {}, {seconds:.2} s", libc::WEXITSTATUS(status));
    }
}

fn main() {
    let flips = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let flips = flips.unwrap_or(100_000);
    static_keys::global_init();
    subject("jlctl", ours, flip_ours, flips);
    subject("static-keys", peers, flip_peers, flips);
}
