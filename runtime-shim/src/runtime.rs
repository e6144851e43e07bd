//! The one state of the runtime in this process, and the way into it.

#![allow(unsafe_code, reason = "state under a lock")]

use crate::code::Patch;
use crate::error::Error;
use crate::lock::{Lock, NotTaken};
use crate::page_vec::PageVec;
use crate::report::Record;
use crate::sys::errno::Preserved;
use crate::sys::signals::Blocked;
use crate::sys::{process_id, thread_id};
use crate::table::Tables;
use crate::window::{Mappings, Run};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

/// Everything that batches share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) mappings: Mappings,
    pub(crate) record: Record,
    /// Room for a batch, kept so that most batches map nothing.
    pub(crate) patches: PageVec<Patch>,
    /// The same.
    pub(crate) runs: PageVec<Run>,
    /// Whether a key has been flipped, so that objects that come later may be stale.
    pub(crate) has_flipped: bool,
}

struct Runtime {
    lock: Lock,
    state: UnsafeCell<State>,
    /// The process that the runtime was started in; 0 before.
    process: AtomicU32,
}

// SAFETY: the state is accessed by who holds the lock.
unsafe impl Sync for Runtime {}

static RUNTIME: Runtime = Runtime {
    lock: Lock::from_words(AtomicU32::new(0), AtomicU32::new(0)),
    state: UnsafeCell::new(State {
        tables: Tables::new(),
        mappings: Mappings::new(),
        record: Record::new(),
        patches: PageVec::new(),
        runs: PageVec::new(),
        has_flipped: false,
    }),
    process: AtomicU32::new(0),
};

/// Whether to wait for another thread's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Yes,
    No,
}

/// The state, held.  While it is, this thread handles no signal and is not cancelled.
pub(crate) struct Held {
    // In the order in which they are dropped; the lock goes before them, see `drop`.
    _signals: Blocked,
    _errno: Preserved,
}

/// Takes the runtime.
///
/// # Errors
/// [`Error::Busy`], [`Error::ForeignProcess`].
pub(crate) fn enter(wait: Wait) -> Result<Held, Error> {
    let errno = Preserved::new();
    let signals = Blocked::new();
    let me = thread_id();
    let taken = match wait {
        Wait::Yes => RUNTIME.lock.acquire(me),
        Wait::No => RUNTIME.lock.try_acquire(me),
    };
    taken.map_err(|_: NotTaken| Error::Busy)?;
    let held = Held { _signals: signals, _errno: errno };
    let (own, started_in) = (process_id(), RUNTIME.process.load(Ordering::Relaxed));
    if started_in == 0 {
        RUNTIME.process.store(own, Ordering::Relaxed);
    } else if started_in != own {
        return Err(Error::ForeignProcess { started_in });
    }
    Ok(held)
}

impl Drop for Held {
    fn drop(&mut self) {
        RUNTIME.lock.release();
    }
}

impl Deref for Held {
    type Target = State;

    fn deref(&self) -> &State {
        // SAFETY: this thread holds the lock.
        unsafe { &*RUNTIME.state.get() }
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut State {
        // SAFETY: this thread holds the lock, and `self` is borrowed for as long.
        unsafe { &mut *RUNTIME.state.get() }
    }
}

/// Before a fork: waits for a batch of another thread, so that the child has none half done.
pub(crate) extern "C" fn before_fork() {
    // It is held already where a signal handler forks in the middle of nothing: batches
    // block signals, so that only a fork inside a fork handler comes here twice.
    let _ = RUNTIME.lock.acquire(thread_id());
}

/// After a fork, in the parent.
pub(crate) extern "C" fn after_fork_in_parent() {
    RUNTIME.lock.release();
}

/// After a fork, in the child: its memory is a copy, and its only thread holds the lock.
pub(crate) extern "C" fn after_fork_in_child() {
    RUNTIME.process.store(process_id(), Ordering::Relaxed);
    RUNTIME.lock.release();
}
