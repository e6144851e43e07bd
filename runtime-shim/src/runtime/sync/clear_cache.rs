//! `__clear_cache` for programs that write code without synchronising other CPUs: the cache
//! maintenance of compilers' runtime libraries, and then a synchronisation of all threads.
//!
//! Concurrent calls share broadcasts, but no call returns without one: a call returns after a
//! broadcast has ended that began after the call's own cache maintenance.  Neither an elapsed
//! time nor a count replaces a broadcast.
//!
//! Each broadcast has a number.  A caller that has completed its cache maintenance loads the
//! number of the last broadcast that began, and returns once a broadcast with a greater number
//! has ended.  That broadcast began after the caller's maintenance was complete: the thread that
//! begins a broadcast stores its number, followed by a full barrier, before the system call, and
//! a load that returns a smaller number precedes that store.  One broadcast is in progress at a
//! time, so that a caller waits for at most two.

use super::settings::Allowed;
use super::{icache, method};
use crate::runtime::sys::errno::Preserved;
use crate::runtime::sys::lock::{Lock, NotTaken};
use crate::runtime::sys::{process, thread};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Counts of `__clear_cache` in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcacheCounts {
    /// Calls.
    pub(crate) calls: u64,
    /// Broadcasts.
    pub(crate) syncs: u64,
    /// Calls that another thread's broadcast covered.
    pub(crate) shared: u64,
    /// Calls whose broadcast failed or was refused: other threads may execute old code.
    pub(crate) failed: u64,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static SHARED: AtomicU64 = AtomicU64::new(0);
static SYNCS: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// The number of the last broadcast that began.
static BEGUN: AtomicU64 = AtomicU64::new(0);
/// The number of the last broadcast that succeeded.
static ENDED: AtomicU64 = AtomicU64::new(0);
static LOCK: Lock = Lock::from_words(AtomicU32::new(0), AtomicU32::new(0));
/// The process that holds the lock.  The child of a fork has a copy of a held lock that no
/// thread releases.
static HOLDER: AtomicU32 = AtomicU32::new(0);

/// The counts so far.
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
                return broadcast_unshared();
            }
        }
        // A signal handler that interrupted a broadcast, or the child of a fork.
        Err(_) => return broadcast_unshared(),
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

/// Whether the broadcast `wanted` or a later one has ended.  If so, counts the call as shared.
fn is_ended(wanted: u64) -> bool {
    let is_ended = ENDED.load(Ordering::SeqCst) >= wanted;
    SHARED.fetch_add(u64::from(is_ended), Ordering::Relaxed);
    is_ended
}

/// Whether the lock is held by a thread of this process, which will release it.
fn is_held_here() -> bool {
    // 0 means that the lock has just been acquired or is about to be released, in this process
    // or in the parent during the fork.  It is correct not to wait in either case.
    HOLDER.load(Ordering::Relaxed) == process::id()
}

/// Broadcasts for this call alone, which is always sound.
fn broadcast_unshared() {
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
