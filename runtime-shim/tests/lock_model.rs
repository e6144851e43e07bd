//! The lock of the runtime, `src/runtime/sys/lock.rs` itself, under the model checker loom: all orders of
//! two and three threads, as far as the memory model allows them, within a bound of
//! preemptions.
//!
//! In the place of the kernel's futex stands a model of it: a queue under a lock of its own,
//! in which the value is compared, as futex(2) promises it.

#[allow(dead_code, reason = "the runtime's own lock")]
#[path = "../src/runtime/sys/lock.rs"]
mod lock;

/// What the lock is made of here; see `src/runtime/sys/futex.rs`.
mod futex {
    pub(crate) use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};

    loom::lazy_static! {
        /// The one queue: no model has two words to sleep at.
        static ref SLEEPERS: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());
        /// Whether wake-ups are lost, for the model of a broken kernel.
        static ref IS_DEAF: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    }

    /// Has the rest of this execution lose wake-ups.
    pub(crate) fn lose_wake_ups() {
        IS_DEAF.store(true, Ordering::Relaxed);
    }

    /// Threads that sleep now.
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

/// What the lock guards: loom fails where two threads access it without an order.
struct Guarded {
    lock: Lock,
    value: Cell<u32>,
}

// SAFETY: loom checks what is shared; that is the test.
#[allow(unsafe_code, reason = "the lock makes it so")]
unsafe impl Sync for Guarded {}
// SAFETY: the same.
#[allow(unsafe_code, reason = "the lock makes it so")]
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Self> {
        let lock = Lock::from_words(AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { lock, value: Cell::new(0) })
    }

    /// Adds 1 under the lock, which is held already.
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

/// Each of `threads` takes the lock `times` times.
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

/// One at a time, and nobody sleeps for ever: loom finds a deadlock.
#[test]
fn two_threads() {
    check(3, || contended(2, 2));
}

#[test]
fn three_threads() {
    check(2, || contended(3, 1));
}

/// Who does not wait takes the lock or is told why not, and neither disturbs who waits.
#[test]
fn one_that_does_not_wait() {
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
        assert_eq!(guarded.lock.try_acquire(1), Ok(()), "it is free in the end");
        assert_eq!(guarded.value.get(), 1 + taken);
        guarded.lock.release();
    });
}

/// A signal handler on the thread that holds the lock is told so at once, whoever waits.
#[test]
fn who_comes_back_is_told_so() {
    check(3, || {
        let guarded = Guarded::new();
        assert_eq!(guarded.lock.acquire(1), Ok(()));
        let other = Arc::clone(&guarded);
        let waiting = thread::spawn(move || {
            // Never taken for the one who holds it.
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
        // The lock was given up once: an owner of before is none.
        assert_eq!(guarded.lock.try_acquire(1), Ok(()));
        assert_eq!(guarded.value.get(), 2);
        guarded.lock.release();
    });
}

/// After a fork the child releases what its parent's thread took, under another id.
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

/// The model finds what it is there to find: without the lock, and without wake-ups.
mod mutants {
    use super::*;

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn a_lock_that_is_not_taken() {
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
    fn wake_ups_that_are_lost() {
        check(2, || {
            futex::lose_wake_ups();
            contended(2, 1);
        });
    }
}
