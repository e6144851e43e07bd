//! The lock that a batch holds: a futex with three states, which records its owner.
//!
//! The algorithm is the third mutex of U. Drepper, "Futexes Are Tricky" (2011).  An owner that
//! acquires the lock again (in a signal handler or a fork handler) gets an error instead of a
//! deadlock.

use super::futex::{AtomicU32, Ordering, futex_wait, futex_wake};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and other threads may sleep.
const CONTENDED: u32 = 2;
const NO_OWNER: u32 = 0;

/// The reason why the lock was not acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Another thread holds it.
    Held,
    /// This thread holds it.
    Reentered,
}

/// The lock.  Thread ids are not 0.
#[derive(Debug)]
pub(crate) struct Lock {
    state: AtomicU32,
    owner: AtomicU32,
}

impl Lock {
    /// A free lock, made of two words that are 0.
    pub(crate) const fn from_words(state: AtomicU32, owner: AtomicU32) -> Self {
        Self { state, owner }
    }

    /// Waits until `me` holds the lock.
    pub(crate) fn acquire(&self, me: u32) -> Result<(), NotTaken> {
        let Err(not_taken) = self.try_acquire(me) else { return Ok(()) };
        if not_taken == NotTaken::Reentered {
            return Err(not_taken);
        }
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            futex_wait(&self.state, CONTENDED);
        }
        self.owner.store(me, Ordering::Relaxed);
        Ok(())
    }

    /// Acquires the lock for `me` if it is free.
    pub(crate) fn try_acquire(&self, me: u32) -> Result<(), NotTaken> {
        // Only this thread stores its own id, so that a relaxed load finds it.
        if self.owner.load(Ordering::Relaxed) == me {
            return Err(NotTaken::Reentered);
        }
        match self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {
                self.owner.store(me, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(NotTaken::Held),
        }
    }

    /// Releases the lock.  The caller is the thread that holds it, or the only thread of a
    /// child process whose parent acquired it for the fork.
    pub(crate) fn release(&self) {
        self.owner.store(NO_OWNER, Ordering::Relaxed);
        if self.state.swap(FREE, Ordering::Release) == CONTENDED {
            futex_wake(&self.state);
        }
    }
}
