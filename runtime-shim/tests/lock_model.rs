//! The lock of the runtime, the file `src/runtime/sys/lock.rs`, under the model checker loom: all
//! executions of two and three threads that the memory model allows, with a bound on preemptions.
//!
//! A model replaces the kernel's futex: a queue under a lock of its own, in which the value is
//! compared, as futex(2) specifies.  Signals, forks and spurious wake-ups are not modelled.

#[allow(dead_code, reason = "the runtime's own lock")]
#[path = "../src/runtime/sys/lock.rs"]
mod lock;

/// The model of the primitives of `src/runtime/sys/futex.rs`.
mod futex {
    pub(crate) use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};

    loom::lazy_static! {
        /// The queue: no model sleeps on two words.
        static ref SLEEPERS: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());
        /// Whether wake-ups are lost, for the model of a broken kernel.
        static ref IS_DEAF: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    }

    /// Makes the rest of this execution lose wake-ups.
    pub(crate) fn lose_wake_ups() {
        IS_DEAF.store(true, Ordering::Relaxed);
    }

    /// The number of sleeping threads.
    pub(crate) fn sleepers() -> u32 {
        *SLEEPERS.0.lock().unwrap()
    }

    pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
        let (sleepers, woken) = &*SLEEPERS;
        let mut sleepers = sleepers.lock().unwrap();
        if word.load(Ordering::Relaxed) == value {
            *sleepers += 1;
            sleepers = woken.wait(sleepers).unwrap();
            *sleepers -= 1;
        }
    }

    pub(crate) fn futex_wake(_word: &AtomicU32) {
        let (sleepers, woken) = &*SLEEPERS;
        let sleepers = sleepers.lock().unwrap();
        if *sleepers > 0 && !IS_DEAF.load(Ordering::Relaxed) {
            woken.notify_one();
        }
    }
}

use futex::sleepers;
use lock::{Lock, NotTaken};
use loom::cell::Cell;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;

/// A value that the lock guards: loom fails if two threads access it without synchronisation.
struct Guarded {
    lock: Lock,
    value: Cell<u32>,
}

// SAFETY: loom checks every access to the value; that is the test.
#[allow(unsafe_code, reason = "the lock guards the value")]
unsafe impl Sync for Guarded {}
// SAFETY: likewise.
#[allow(unsafe_code, reason = "the lock guards the value")]
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Self> {
        let lock = Lock::from_words(AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { lock, value: Cell::new(0) })
    }

    /// Adds 1 under the lock, which the caller holds, and releases it.
    fn add(&self, me: u32) {
        assert_eq!(self.lock.try_acquire(me), Err(NotTaken::Reentered));
        self.value.set(self.value.get() + 1);
        self.lock.release();
    }
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Each of `threads` threads acquires the lock `times` times.
fn contended(threads: u32, times: u32) {
    let guarded = Guarded::new();
    let work = move |me: u32, guarded: &Guarded| {
        for _ in 0..times {
            assert_eq!(guarded.lock.acquire(me), Ok(()));
            guarded.add(me);
        }
    };
    let others: Vec<_> = (2..=threads)
        .map(|me| {
            let guarded = Arc::clone(&guarded);
            thread::spawn(move || work(me, &guarded))
        })
        .collect();
    work(1, &guarded);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(guarded.lock.acquire(1), Ok(()));
    assert_eq!(guarded.value.get(), threads * times);
    guarded.lock.release();
    assert_eq!(sleepers(), 0);
}

/// One thread holds the lock at a time, and none sleeps for ever: loom detects a deadlock.
#[test]
fn two_threads() {
    check(3, || contended(2, 2));
}

#[test]
fn three_threads() {
    check(2, || contended(3, 1));
}

/// A thread that does not wait acquires the lock or gets an error; neither affects a waiting
/// thread.
#[test]
fn a_thread_that_does_not_wait() {
    check(3, || {
        let guarded = Guarded::new();
        let other = Arc::clone(&guarded);
        let waiting = thread::spawn(move || {
            assert_eq!(other.lock.acquire(2), Ok(()));
            other.add(2);
        });
        let mut taken = 0;
        for _ in 0..2 {
            match guarded.lock.try_acquire(1) {
                Ok(()) => {
                    guarded.add(1);
                    taken += 1;
                }
                Err(why) => assert_eq!(why, NotTaken::Held),
            }
        }
        waiting.join().unwrap();
        assert_eq!(guarded.lock.try_acquire(1), Ok(()), "the lock is free in the end");
        assert_eq!(guarded.value.get(), 1 + taken);
        guarded.lock.release();
    });
}

/// A signal handler on the thread that holds the lock gets an error at once, also while another
/// thread waits.
#[test]
fn an_owner_that_acquires_again_gets_an_error() {
    check(3, || {
        let guarded = Guarded::new();
        assert_eq!(guarded.lock.acquire(1), Ok(()));
        let other = Arc::clone(&guarded);
        let waiting = thread::spawn(move || {
            // This thread is never mistaken for the owner.
            match other.lock.try_acquire(2) {
                Ok(()) => other.add(2),
                Err(why) => {
                    assert_eq!(why, NotTaken::Held);
                    assert_eq!(other.lock.acquire(2), Ok(()));
                    other.add(2);
                }
            }
        });
        assert_eq!(guarded.lock.acquire(1), Err(NotTaken::Reentered));
        assert_eq!(guarded.lock.try_acquire(1), Err(NotTaken::Reentered));
        guarded.add(1);
        waiting.join().unwrap();
        // After a release the former owner is no longer recorded.
        assert_eq!(guarded.lock.try_acquire(1), Ok(()));
        assert_eq!(guarded.value.get(), 2);
        guarded.lock.release();
    });
}

/// After a fork the child's thread, which has another id, releases the lock that its parent
/// acquired.
#[test]
fn a_child_releases_for_its_parent() {
    check(3, || {
        let guarded = Guarded::new();
        assert_eq!(guarded.lock.acquire(1), Ok(()));
        guarded.lock.release();
        assert_eq!(guarded.lock.acquire(7), Ok(()));
        assert_eq!(guarded.lock.try_acquire(8), Err(NotTaken::Held));
        guarded.lock.release();
        assert_eq!(guarded.lock.acquire(8), Ok(()));
        guarded.add(8);
    });
}

/// The model detects faults: an access without the lock, and lost wake-ups.
mod mutants {
    use super::*;

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn a_lock_that_is_not_acquired() {
        check(2, || {
            let guarded = Guarded::new();
            let other = Arc::clone(&guarded);
            let thread = thread::spawn(move || other.value.set(1));
            assert_eq!(guarded.lock.acquire(1), Ok(()));
            guarded.value.set(2);
            guarded.lock.release();
            thread.join().unwrap();
        });
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn lost_wake_ups() {
        check(2, || {
            futex::lose_wake_ups();
            contended(2, 1);
        });
    }
}
