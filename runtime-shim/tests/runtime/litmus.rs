//! The guarantee of a flip: a thread that learns of it, through an acquire load, no longer takes
//! the old side.
//!
//! The flipping thread stores `started = g` before flip `g` and `done = g` after it.  Another thread
//! loads `done`, executes a site, and loads `started`.  If both are `g`, no flip was in progress in
//! between, and the site must have taken the side of `g`.  Meanwhile that thread executes nothing
//! that synchronises its PE (such as a system call), and its fences order memory accesses only.

use crate::common::emulator::rounds;
use crate::common::over::Over;
use crate::common::refetch::refetch;
use crate::common::rerun::{alone, test_path};
use crate::common::sites::{assert_follow, entries_of};
use jlctl_shim::abi::{JumpLabelType, RelativeEntry};
use jlctl_shim::{Batch, define_static_key_false, define_static_key_true, transform};
use jlctl_shim::{static_branch_likely, static_branch_unlikely};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::thread;

define_static_key_false!(static KEY);
define_static_key_true!(static OPPOSITE);

/// Sites whose side is the state of `KEY`, while `OPPOSITE` has the opposite state.
const SITES: [fn() -> bool; 8] = [
    || static_branch_unlikely!(KEY),
    || static_branch_likely!(KEY),
    || !static_branch_unlikely!(OPPOSITE),
    || !static_branch_likely!(OPPOSITE),
    || if static_branch_unlikely!(KEY) { black_box(true) } else { black_box(false) },
    || if static_branch_likely!(KEY) { black_box(true) } else { black_box(false) },
    || (0..3).filter(|_| static_branch_unlikely!(KEY)).count() == 3,
    || (0..3).filter(|_| !static_branch_likely!(OPPOSITE)).count() == 3,
];

/// The two counters, each on a cache line of its own.
#[derive(Default)]
struct Progress {
    started: Line,
    done: Line,
    is_over: AtomicBool,
}

#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// The observations of a spinning thread.
#[derive(Debug, Default)]
struct Seen {
    /// Executions between two flips, by side.
    judged: [u64; 2],
    /// Executions during a flip.
    not_judged: u64,
    /// Executions between two flips that took the wrong side.
    violations: u64,
}

impl Seen {
    fn add(self, other: &Self) -> Self {
        Self {
            judged: [self.judged[0] + other.judged[0], self.judged[1] + other.judged[1]],
            not_judged: self.not_judged + other.not_judged,
            violations: self.violations + other.violations,
        }
    }
}

/// Executes `sites` until the test is over.  After flip `g` each must take the side `side_of(g)`.
fn spin(sites: &[fn() -> bool], progress: &Progress, side_of: fn(u64) -> bool) -> Seen {
    let mut seen = Seen::default();
    while !progress.is_over.load(Ordering::Relaxed) {
        for site in sites {
            let done = progress.done.0.load(Ordering::Acquire);
            let side = site();
            fence(Ordering::SeqCst);
            if progress.started.0.load(Ordering::SeqCst) == done {
                seen.judged[usize::from(side)] += 1;
                seen.violations += u64::from(side != side_of(done));
            } else {
                seen.not_judged += 1;
            }
        }
    }
    seen
}

/// Calls `flip` with the numbers of `flips` flips while `threads` threads spin.
fn run(
    sites: &[fn() -> bool],
    threads: usize,
    flips: u64,
    side_of: fn(u64) -> bool,
    mut flip: impl FnMut(u64),
) -> Seen {
    let progress = Progress::default();
    let over = Over(&progress.is_over);
    thread::scope(|scope| {
        let spinners: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| spin(sites, &progress, side_of))).collect();
        for number in 1..=flips {
            progress.started.0.store(number, Ordering::SeqCst);
            flip(number);
            progress.done.0.store(number, Ordering::Release);
            pause(number);
        }
        drop(over);
        let seen = spinners.into_iter().map(|spinner| spinner.join().expect("no panic"));
        seen.fold(Seen::default(), |all, seen| all.add(&seen))
    })
}

/// Waits between flips, for varying times, so that executions are judged.
fn pause(number: u64) {
    for _ in 0..number * 7 % 257 {
        std::hint::spin_loop();
    }
    if number.is_multiple_of(511) {
        // On a machine with few CPUs, lets the other threads run between flips.
        thread::yield_now();
    }
}

const fn is_odd(number: u64) -> bool {
    number % 2 == 1
}

fn flips() -> u64 {
    rounds(100_000, 2_000)
}

fn flip_both(number: u64) {
    let batch = Batch::new();
    let batch = if is_odd(number) {
        batch.enable(&KEY).disable(&OPPOSITE)
    } else {
        batch.disable(&KEY).enable(&OPPOSITE)
    };
    let applied = batch.apply().expect("a flip");
    assert!(applied.sites >= SITES.len() && applied.sync.expect("a sync").is_strict());
    refetch(&[&KEY, &OPPOSITE]);
}

#[test]
fn no_thread_that_learns_of_a_flip_takes_the_old_side() {
    alone(test_path!(), || {
        for threads in [1, 4] {
            let seen = run(&SITES, threads, flips() / 2, is_odd, flip_both);
            println!("{threads} threads, {} flips: {seen:?}", flips() / 2);
            assert_eq!(seen.violations, 0, "{seen:?}");
            assert!(seen.judged.iter().all(|count| *count > 100), "both sides: {seen:?}");
            assert!(seen.not_judged > 0, "sites are executed during flips: {seen:?}");
            assert_follow(&KEY);
            assert_follow(&OPPOSITE);
        }
    });
}

/// The protocol detects a violation: if executions are judged by the opposite state, all are
/// violations.
#[test]
fn a_wrong_state_is_detected() {
    alone(test_path!(), || {
        let before = |number: u64| !is_odd(number);
        let seen = run(&SITES, 2, rounds(1_000, 200), before, flip_both);
        assert!(seen.violations > 0, "{seen:?}");
        assert_eq!(seen.violations, seen.judged[0] + seen.judged[1], "{seen:?}");
    });
}

/// The protocol detects that every hundredth flip is left out.
#[test]
fn a_lost_flip_is_detected() {
    alone(test_path!(), || {
        let seen = run(&SITES, 2, rounds(2_000, 400), is_odd, |number| {
            // The next flip finds the keys in the wanted state, and patches nothing.
            if number % 100 == 0 {
                return;
            }
            let batch = Batch::new();
            let batch = if is_odd(number) {
                batch.enable(&KEY).disable(&OPPOSITE)
            } else {
                batch.disable(&KEY).enable(&OPPOSITE)
            };
            batch.apply().expect("a flip");
            refetch(&[&KEY, &OPPOSITE]);
            if number % 100 == 99 {
                thread::yield_now();
            }
        });
        let judged = seen.judged[0] + seen.judged[1];
        assert!(seen.violations > 0 && seen.violations < judged, "{seen:?}");
        Batch::new().disable(&KEY).enable(&OPPOSITE).apply().expect("a flip");
    });
}

define_static_key_false!(static QUEUED);

/// For comparison: code is written without a synchronisation.  Whether a thread then executes old
/// code depends on the processor, so that the number is only printed.  No thread may crash.
#[test]
fn without_the_sync_threads_may_be_late() {
    alone(test_path!(), || {
        let sites: [fn() -> bool; 2] =
            [|| static_branch_unlikely!(QUEUED), || static_branch_likely!(QUEUED)];
        let entries: Vec<&RelativeEntry> = entries_of(&QUEUED);
        assert_eq!(entries.len(), sites.len());
        let flips = flips() / 4;
        let seen = run(&sites, 2, flips, is_odd, |number| {
            for entry in &entries {
                let is_likely = entry.key & 1 != 0;
                let changed =
                    transform::queue(entry, JumpLabelType::wanted(is_odd(number), is_likely));
                assert_eq!(changed, Ok(true));
            }
        });
        println!("{flips} flips without a sync: {} stale executions of {seen:?}", seen.violations);
        assert!(transform::apply().expect("a sync").is_strict());
        assert!(seen.judged[0] + seen.judged[1] > 0, "{seen:?}");
        // The last flip has an even number, so that the code agrees with the key again.
        assert_follow(&QUEUED);
    });
}
