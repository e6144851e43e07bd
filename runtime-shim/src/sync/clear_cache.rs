//! `__clear_cache` for programs that write code and tell no other CPU: the cache maintenance
//! that compilers' libraries do, and then a synchronisation of all threads.
//!
//! Broadcasts are shared, never left out.  Each has a number; a caller that has done its cache
//! maintenance reads the number of the last that was begun, and returns once one with a
//! greater number has ended.  That one began after the caller's maintenance was complete:
//! whoever begins a broadcast stores its number, with a full barrier before the call, and a
//! load that finds a smaller number came before that store.  One broadcast is under way at a
//! time, so that any number of callers have at most one each way through it, and each waits
//! for two at most.

use crate::sys::lock::{Lock, NotTaken};
use super::icache;
use super::method;
use super::settings::Allowed;
use crate::sys::errno::Preserved;
use crate::sys::{process, thread};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// What `__clear_cache` did in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcacheCounts {
    /// Calls.
    pub(crate) calls: u64,
    /// Broadcasts.
    pub(crate) syncs: u64,
    /// Calls that another thread's broadcast covers.
    pub(crate) shared: u64,
    /// Calls whose broadcast failed or was impossible: other threads may execute old code.
    pub(crate) failed: u64,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static SHARED: AtomicU64 = AtomicU64::new(0);
static SYNCS: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// The number of the last broadcast that was begun, and of the last that ended well.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);
static LOCK: Lock = Lock::from_words(AtomicU32::new(0), AtomicU32::new(0));
/// The process that holds the lock: a child of a fork has a copy that nobody will release.
static HOLDER: AtomicU32 = AtomicU32::new(0);

/// What was done so far.
pub(crate) fn counts() -> IcacheCounts {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    IcacheCounts { calls: of(&CALLS), syncs: of(&SYNCS), shared: of(&SHARED), failed: of(&FAILED) }
}

/// Makes stores to the bytes from `start` to `end` visible to the instruction fetch of all
/// threads.
pub(crate) fn clear(start: usize, end: usize) {
    let _errno = Preserved::new();
    CALLS.fetch_add(1, Ordering::Relaxed);
    icache::make_visible(|bytes| (start & !(bytes - 1)..end).step_by(bytes));
    let wanted = BEGUN.load(Ordering::SeqCst) + 1;
    if is_ended(wanted) {
        return;
    }
    let me = thread::id();
    match LOCK.try_acquire(me) {
        Ok(()) => {}
        Err(NotTaken::Held) if is_held_here() => {
            if LOCK.acquire(me).is_err() {
                return alone();
            }
        }
        // A signal handler in the middle of a broadcast, or a child of a fork.
        Err(_) => return alone(),
    }
    HOLDER.store(process::id(), Ordering::Relaxed);
    if !is_ended(wanted) {
        let number = BEGUN.load(Ordering::Relaxed) + 1;
        BEGUN.store(number, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if broadcast() {
            ENDED.store(number, Ordering::SeqCst);
        }
    }
    HOLDER.store(0, Ordering::Relaxed);
    LOCK.release();
}

/// Whether a broadcast of this number or a later one has ended; it counts the call then.
fn is_ended(wanted: u64) -> bool {
    let is_ended = ENDED.load(Ordering::SeqCst) >= wanted;
    SHARED.fetch_add(u64::from(is_ended), Ordering::Relaxed);
    is_ended
}

/// Whether the lock's holder is a thread of this process, and will release it.
fn is_held_here() -> bool {
    // 0 says that it was just taken or is just about to be released, here or in the parent
    // when it forked; not to wait is right for both.
    HOLDER.load(Ordering::Relaxed) == process::id()
}

/// A broadcast that nobody shares: always sound.
fn alone() {
    fence(Ordering::SeqCst);
    broadcast();
}

fn broadcast() -> bool {
    let level = method::choose(Allowed::in_process());
    let is_done = level.is_ok_and(|level| level.is_strict() && method::synchronise(level).is_ok());
    let count = if is_done { &SYNCS } else { &FAILED };
    count.fetch_add(1, Ordering::Relaxed);
    is_done
}
