//! What a process allows the runtime to do.

use core::sync::atomic::{AtomicBool, Ordering};

static BEST_EFFORT: AtomicBool = AtomicBool::new(false);
static PROC_MEM: AtomicBool = AtomicBool::new(false);
static MEMBARRIER: AtomicBool = AtomicBool::new(true);

/// What a batch may resort to, beside what is sound on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// A synchronisation that is only likely to reach the other threads' instruction fetch,
    /// where none is there that surely does.
    pub best_effort: bool,
    /// Writing code by /proc/self/mem where its pages cannot be made writable.  It gets past
    /// policies against writable code, so that nobody but the program's author can allow it.
    pub proc_mem: bool,
}

impl Allowed {
    /// What [`allow`] and the environment have allowed for the process.
    pub(crate) fn in_process() -> Self {
        Self {
            best_effort: BEST_EFFORT.load(Ordering::Relaxed),
            proc_mem: PROC_MEM.load(Ordering::Relaxed),
        }
    }

    /// What this or `other` allows.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            best_effort: self.best_effort || other.best_effort,
            proc_mem: self.proc_mem || other.proc_mem,
        }
    }
}

/// Allows `what` for all batches of the process, and nothing else from now on.
pub fn allow(what: Allowed) {
    BEST_EFFORT.store(what.best_effort, Ordering::Relaxed);
    PROC_MEM.store(what.proc_mem, Ordering::Relaxed);
}

/// Never calls membarrier(2) from now on: for processes under a seccomp filter that kills
/// who does, which cannot be found out by trying.
///
/// A constructor has called it by then, to register.  Where that is too late, set
/// `JLSHIM_NO_MEMBARRIER=1` in the environment.
pub fn forbid_membarrier() {
    MEMBARRIER.store(false, Ordering::Relaxed);
}

/// Whether membarrier(2) may be called.
pub(crate) fn permits_membarrier() -> bool {
    MEMBARRIER.load(Ordering::Relaxed)
}
