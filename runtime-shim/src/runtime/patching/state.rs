//! The state of the runtime in this process, and the lock that guards it.
//!
//! The lock belongs to the runtime alone.  A function that holds it never calls the dynamic
//! linker: a thread that closes an object holds the linker's lock while it waits for this one.

#![allow(unsafe_code, reason = "state under a lock")]

use crate::runtime::error::Error;
use crate::runtime::patching::code::Patch;
use crate::runtime::patching::mappings::Mappings;
use crate::runtime::patching::record::Record;
use crate::runtime::patching::table::Tables;
use crate::runtime::patching::window::Run;
use crate::runtime::sys::errno::Preserved;
use crate::runtime::sys::lock::{Lock, NotTaken};
use crate::runtime::sys::page_vec::PageVec;
use crate::runtime::sys::thread::{self, Blocked};
use crate::runtime::sys::{process, socket};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The state that batches share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) mappings: Mappings,
    pub(crate) record: Record,
    /// Patches of the current batch; the memory is kept, so that most batches map none.
    pub(crate) patches: PageVec<Patch>,
    /// Runs of pages of the current batch, likewise.
    pub(crate) runs: PageVec<Run>,
    /// Whether a key has been flipped, so that the sites of objects loaded later may be stale.
    pub(crate) has_flipped: bool,
}

struct Runtime {
    lock: Lock,
    state: UnsafeCell<State>,
    /// The process that handles forks, after its first batch; 0 before.
    process: AtomicU32,
}

// SAFETY: only a thread that holds the lock accesses the state.
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

/// Exclusive access to the state.  Meanwhile this thread handles no signal and cannot be
/// cancelled.
pub(crate) struct Held {
    // Dropped in this order, after the lock has been released by `drop`.
    _signals: Blocked,
    _errno: Preserved,
}

/// Acquires the runtime.
///
/// # Errors
/// [`Error::Busy`], [`Error::ForeignProcess`].
pub(crate) fn enter(wait: Wait) -> Result<Held, Error> {
    let errno = Preserved::new();
    let signals = Blocked::new();
    // Before the lock: in a process without fork handlers, its holder may not exist.
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

/// Registers the fork handlers, which ensure that the child of a fork never inherits a partial
/// batch.
///
/// The first batch calls this function and not the constructor: the registration would take half
/// of the constructor's time, and most processes never flip a key.  Signal handlers must not call
/// it, since the C library takes a lock and allocates here.  Signals are blocked meanwhile: a
/// thread cancelled here would leave the allocator locked.
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
    // SAFETY: the handlers are functions of this object; the C library removes them when the
    // object is closed.
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
        // SAFETY: this thread holds the lock, and `self` is borrowed for the result's lifetime.
        unsafe { &mut *RUNTIME.state.get() }
    }
}

/// Before a fork: waits for the batch of another thread, so that the child never inherits a
/// partial batch.
extern "C" fn before_fork() {
    // Batches block signals, so that this thread holds the lock already only if a fork handler
    // forks.
    let _ = RUNTIME.lock.acquire(thread::id());
}

/// After a fork, in the parent.
extern "C" fn after_fork_in_parent() {
    RUNTIME.lock.release();
}

/// After a fork, in the child: the child's only thread holds its copy of the lock.
extern "C" fn after_fork_in_child() {
    socket::close_all_in_child();
    RUNTIME.process.store(process::id(), Ordering::Relaxed);
    RUNTIME.lock.release();
}
