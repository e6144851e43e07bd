//! Forks, execs and signal handlers while keys are flipped.

#![allow(unsafe_code, reason = "forks, signals")]

use crate::common::arena::Arena;
use crate::common::child::{End, in_child, must_succeed, wait, with_threads};
use crate::common::emulator::rounds;
use crate::common::memory::writable_code;
use crate::common::over::Over;
use crate::common::refetch::refetch;
use crate::common::rerun::{must_run, rerun, role, test_path};
use crate::common::sites::assert_follow;
use jlctl_shim::{Batch, Error, define_static_key_false, report};
use jlctl_shim::{static_branch_likely, static_branch_unlikely};
use std::hint::black_box;
use std::io;
use std::os::unix::process::CommandExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

define_static_key_false!(static KEY);
define_static_key_false!(static OTHER);

fn sites() -> [bool; 4] {
    [
        static_branch_unlikely!(KEY),
        static_branch_likely!(KEY),
        static_branch_unlikely!(OTHER),
        static_branch_likely!(OTHER),
    ]
}

/// Flips both keys until `is_over` is set.
fn flip(is_over: &AtomicBool) -> u64 {
    let mut flips = 0;
    while !is_over.load(Ordering::Relaxed) {
        Batch::new().enable(&KEY).disable(&OTHER).apply().unwrap();
        Batch::new().disable(&KEY).enable(&OTHER).apply().unwrap();
        flips += 2;
    }
    flips
}

/// Asserts that each site follows its key, that batches succeed, and that no page is writable.
fn assert_consistent() {
    refetch(&[&KEY, &OTHER]);
    for key in [&KEY, &OTHER] {
        assert_follow(key);
    }
    let (on, other) = (KEY.is_enabled(), OTHER.is_enabled());
    assert_eq!(black_box(sites()), [on, on, other, other]);
    KEY.enable().unwrap();
    OTHER.enable().unwrap();
    assert_eq!(black_box(sites()), [true; 4]);
    Batch::new().disable(&KEY).disable(&OTHER).apply().unwrap();
    assert_eq!(black_box(sites()), [false; 4]);
    assert_eq!(writable_code(), []);
}

/// A child process never inherits a partial batch, and its flips do not affect its parent.
#[test]
fn forks_while_other_threads_flip() {
    let forks = rounds(500, 40);
    with_threads(test_path!(), || {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = Over(&is_over);
            let flippers = [scope.spawn(|| flip(&is_over)), scope.spawn(|| flip(&is_over))];
            for number in 0..forks {
                let outcome = in_child(|| {
                    assert_consistent();
                    String::new()
                });
                assert_eq!(outcome.end, End::Exited(0), "fork {number}: {}", outcome.message);
            }
            drop(over);
            let flips = flippers.map(|flipper| flipper.join().unwrap());
            assert!(flips.iter().all(|flips| *flips > 10), "{flips:?}");
        });
        // Flips of the children do not affect this process.
        assert_consistent();
    });
}

/// Flips in a child, in the child's child, and so on.
#[test]
fn generations() {
    fn generation(left: u32) {
        assert_consistent();
        if left > 0 {
            must_succeed(|| generation(left - 1));
            assert_consistent();
        }
    }
    must_succeed(|| generation(4));
}

/// A child process that shares memory with this process shares its code too.
#[test]
fn children_that_share_memory_are_refused() {
    if crate::common::emulator::leaves_out("a clone that shares memory is a fork") {
        return;
    }
    must_succeed(|| {
        static SEEN: AtomicU32 = AtomicU32::new(0);
        extern "C" fn child(own: *mut libc::c_void) -> i32 {
            // SAFETY: the id in the memory of the parent, which waits for this process.
            let own = unsafe { *own.cast::<u32>() };
            let refusal = Error::ForeignProcess { started_in: own };
            let results = [
                KEY.enable().err() == Some(refusal),
                Batch::new().enable(&KEY).try_apply().err() == Some(refusal),
                jlctl_shim::transform::apply().err() == Some(refusal),
                report().err() == Some(refusal),
            ];
            SEEN.store(results.into_iter().map(u32::from).sum(), Ordering::Relaxed);
            0
        }
        KEY.enable().unwrap();
        KEY.disable().unwrap();
        let before = report().unwrap();
        for flags in [libc::CLONE_VM | libc::CLONE_VFORK, libc::CLONE_VM] {
            SEEN.store(0, Ordering::Relaxed);
            let mut own = std::process::id();
            let mut stack = vec![0u128; 1 << 14];
            let top = stack.as_mut_ptr_range().end.cast();
            let argument = (&raw mut own).cast();
            // SAFETY: the stack and the argument are valid until the child has ended.
            let pid = unsafe { libc::clone(child, top, flags | libc::SIGCHLD, argument) };
            assert!(pid > 0, "clone: {}", io::Error::last_os_error());
            assert_eq!(wait(pid), End::Exited(0));
            assert_eq!(SEEN.load(Ordering::Relaxed), 4, "all calls are refused");
        }
        // The lock is free, and nothing has changed.
        assert_eq!(report().unwrap(), before);
        assert_consistent();
    });
}

/// After exec, keys and counts have their initial state.
#[test]
fn exec_after_flips() {
    let name = test_path!();
    match role().as_deref() {
        Some("first") => {
            Batch::new().enable(&KEY).enable(&OTHER).apply().unwrap();
            assert_eq!(black_box(sites()), [true; 4]);
            let is_over: &'static AtomicBool = Box::leak(Box::default());
            thread::spawn(|| flip(is_over));
            thread::sleep(Duration::from_millis(5));
            let error = rerun(name, "second").exec();
            panic!("{error}");
        }
        Some(_) => {
            assert!(!KEY.is_enabled() && !OTHER.is_enabled());
            assert_eq!(black_box(sites()), [false; 4]);
            let counts = report().unwrap();
            assert_eq!((counts.batches, counts.patches, counts.uncovered), (0, 0, 0));
            assert_consistent();
        }
        None => {
            for _ in 0..10 {
                must_run(&mut rerun(name, "first"));
            }
        }
    }
}

/// This process starts programs while keys are flipped.  The child shares this process's memory
/// until its exec (the standard library calls posix_spawn, a vfork).  The keys of each program have
/// their initial state, and the code of this process is unaffected.
#[test]
fn programs_start_while_keys_are_flipped() {
    let name = test_path!();
    if role().is_some() {
        assert!(!KEY.is_enabled() && !OTHER.is_enabled());
        return assert_consistent();
    }
    let starts = rounds(50, 5);
    let is_over = AtomicBool::new(false);
    with_threads(test_path!(), || {
        thread::scope(|scope| {
            let over = Over(&is_over);
            let flipper = scope.spawn(|| flip(&is_over));
            for _ in 0..starts {
                must_run(&mut rerun(name, "started"));
            }
            drop(over);
            assert!(flipper.join().unwrap() > 10);
        });
        assert_consistent();
    });
}

/// A test that takes longer hangs, also on a busy and emulated machine.
const PATIENCE: Duration = Duration::from_secs(240);

static HANDLED: AtomicU32 = AtomicU32::new(0);
static BUSY: AtomicU32 = AtomicU32::new(0);
static WRONG: AtomicU32 = AtomicU32::new(0);

/// Flips from a signal handler.
extern "C" fn handler(_signal: i32) {
    let batch = Batch::new();
    let is_even = HANDLED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    let batch = if is_even { batch.enable(&KEY) } else { batch.disable(&KEY) };
    match batch.try_apply() {
        Ok(_) => {}
        Err(error) => {
            let count = if error == Error::Busy { &BUSY } else { &WRONG };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Makes [`handler`] run for SIGALRM, at an interval of ten flips, so that other code runs too.  A
/// flip takes some microseconds, or a thousand times as long on an emulator.
fn storm() {
    let since = Instant::now();
    for _ in 0..10 {
        KEY.enable().unwrap();
        KEY.disable().unwrap();
    }
    let flip = since.elapsed() / 20;
    let microseconds = (10 * flip.as_micros()).clamp(50, 500_000);
    // SAFETY: an action of zeroes has no flags and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler calls only async-signal-safe functions.
    let result = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0, "sigaction: {}", io::Error::last_os_error());
    set_timer(microseconds.try_into().unwrap());
}

/// The number of signals in a test.
fn signals() -> u32 {
    rounds(1_000, 50)
}

fn set_timer(microseconds: i64) {
    let time = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: the structure is valid during the call.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
    assert_eq!(result, 0, "setitimer: {}", io::Error::last_os_error());
}

/// A signal interrupts a flipping thread between batches, and another thread also during a batch.
/// In the second case the handler gets an error and does not wait.
#[test]
fn signal_handlers_that_flip() {
    with_threads(test_path!(), || {
        let is_over = AtomicBool::new(false);
        storm();
        thread::scope(|scope| {
            let over = Over(&is_over);
            let flippers = [scope.spawn(|| flip(&is_over)), scope.spawn(|| flip(&is_over))];
            let since = Instant::now();
            while HANDLED.load(Ordering::Relaxed) < signals() || BUSY.load(Ordering::Relaxed) == 0 {
                assert!(since.elapsed() < PATIENCE, "{HANDLED:?} handled, {BUSY:?} busy");
                black_box(sites());
            }
            drop(over);
            let flips = flippers.map(|flipper| flipper.join().unwrap());
            assert!(flips.iter().all(|flips| *flips > 10), "{flips:?}");
        });
        set_timer(0);
        assert_eq!(WRONG.load(Ordering::Relaxed), 0);
        assert!(
            BUSY.load(Ordering::Relaxed) < HANDLED.load(Ordering::Relaxed),
            "the lock was never free"
        );
        assert_consistent();
    });
}

/// With one thread, a handler never runs during a batch, and so never finds the lock held.
#[test]
fn signals_wait_for_the_end_of_a_batch() {
    must_succeed(|| {
        storm();
        let since = Instant::now();
        while HANDLED.load(Ordering::Relaxed) < signals() {
            assert!(since.elapsed() < PATIENCE, "{HANDLED:?} handled");
            Batch::new().enable(&OTHER).apply().unwrap();
            Batch::new().disable(&OTHER).apply().unwrap();
        }
        set_timer(0);
        assert_eq!((WRONG.load(Ordering::Relaxed), BUSY.load(Ordering::Relaxed)), (0, 0));
        assert_consistent();
    });
}

/// One thread forks while another flips a key with sites on many pages.
#[test]
fn forks_do_not_see_open_windows() {
    let forks = rounds(200, 20);
    with_threads(test_path!(), || {
        let arena = Arena::new(32, 20 * crate::common::memory::page());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = Over(&is_over);
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    arena.key.enable().unwrap();
                    arena.key.disable().unwrap();
                }
            });
            for number in 0..forks {
                let outcome = in_child(|| {
                    assert_eq!(writable_code(), []);
                    assert_eq!(arena.all_jump(), arena.key.is_enabled());
                    arena.key.increment().unwrap();
                    assert!(arena.all_jump());
                    String::new()
                });
                assert_eq!(outcome.end, End::Exited(0), "fork {number}: {}", outcome.message);
            }
            drop(over);
        });
        assert_eq!((arena.key.count(), arena.all_jump()), (0, false));
    });
}
