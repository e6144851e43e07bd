//! The one state of the runtime in this process, and the way into it.

#![allow(unsafe_code, reason = "state under a lock")]

use crate::patching::code::Patch;
use crate::error::Error;
use crate::sys::lock::{Lock, NotTaken};
use crate::sys::page_vec::PageVec;
use crate::patching::record::Record;
use crate::sys::errno::Preserved;
use crate::sys::thread::Blocked;
use crate::sys::socket;
use crate::sys::{process, thread};
use crate::patching::table::Tables;
use crate::patching::mappings::Mappings;
use crate::patching::window::Run;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

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
    /// The process that handles forks, from its first batch on; 0 before.
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
    // Before the lock: in a process without handlers nobody may be there to release it.
    let started_in = RUNTIME.process.load(Ordering::Relaxed);
    if started_in != 0 && started_in != process::id() {
        return Err(Error::ForeignProcess { started_in });
    }
    let me = thread::id();
    let taken = match wait {
        Wait::Yes => RUNTIME.lock.acquire(me),
        Wait::No => RUNTIME.lock.try_acquire(me),
    };
    taken.map_err(|_: NotTaken| Error::Busy)?;
    Ok(Held { _signals: signals, _errno: errno })
}

/// Sees to it that a child of a fork from now on has no batch half done.
///
/// Called before a first batch and not by the constructor, since it would take half of its
/// time and most processes never flip a key; and not in signal handlers, as the C library
/// has a lock there, and allocates: whoever was cancelled in that would leave its allocator
/// locked.
pub(crate) fn handle_forks() {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.load(Ordering::Relaxed) {
        return;
    }
    let _signals = Blocked::new();
    if IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    let (before, parent, child) = (before_fork, after_fork_in_parent, after_fork_in_child);
    // SAFETY: the handlers are functions of this object; the C library forgets them when it
    // is closed.
    let failed = unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
    if failed == 0 {
        RUNTIME.process.store(process::id(), Ordering::Relaxed);
    }
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
extern "C" fn before_fork() {
    // It is held already where a signal handler forks in the middle of nothing: batches
    // block signals, so that only a fork inside a fork handler comes here twice.
    let _ = RUNTIME.lock.acquire(thread::id());
}

/// After a fork, in the parent.
extern "C" fn after_fork_in_parent() {
    RUNTIME.lock.release();
}

/// After a fork, in the child: its memory is a copy, and its only thread holds the lock.
extern "C" fn after_fork_in_child() {
    socket::close_all_in_child();
    RUNTIME.process.store(process::id(), Ordering::Relaxed);
    RUNTIME.lock.release();
}
