//! The settings of the process: the methods that it allows the runtime.

use core::sync::atomic::{AtomicBool, Ordering};

static BEST_EFFORT: AtomicBool = AtomicBool::new(false);
static PROC_MEM: AtomicBool = AtomicBool::new(false);
static MEMBARRIER: AtomicBool = AtomicBool::new(true);

/// Methods that a batch may use although they are not sound on every machine.
///
/// The runtime never uses one of them in silence: the program or its environment has to allow
/// it, and [`Applied`](crate::Applied) and the report state the synchronisation that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// A synchronisation that reaches the instruction fetch of the other threads probably but
    /// not certainly, where no strict synchronisation is available.
    pub best_effort: bool,
    /// Writing code through /proc/self/mem where its pages cannot be made writable.  It bypasses
    /// policies against writable code, so that only the author of the program should allow it.
    pub proc_mem: bool,
}

impl Allowed {
    /// The methods that [`allow`] and the environment have allowed for the process.
    pub(crate) fn in_process() -> Self {
        Self {
            best_effort: BEST_EFFORT.load(Ordering::Relaxed),
            proc_mem: PROC_MEM.load(Ordering::Relaxed),
        }
    }

    /// The methods that `self` or `other` allows.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            best_effort: self.best_effort || other.best_effort,
            proc_mem: self.proc_mem || other.proc_mem,
        }
    }
}

/// Allows the methods in `allowed`, and no others, for all batches of the process from now on.
pub fn allow(allowed: Allowed) {
    BEST_EFFORT.store(allowed.best_effort, Ordering::Relaxed);
    PROC_MEM.store(allowed.proc_mem, Ordering::Relaxed);
}

/// Makes the runtime never call membarrier(2) from now on: for a process under a seccomp filter
/// that kills a process for the call, which the runtime cannot detect by trying.
///
/// The runtime's constructor has called membarrier(2) by then, to register.  Where that is too
/// late, set `JLSHIM_NO_MEMBARRIER=1` in the environment.
pub fn forbid_membarrier() {
    MEMBARRIER.store(false, Ordering::Relaxed);
}

/// Whether membarrier(2) may be called.
pub(crate) fn permits_membarrier() -> bool {
    MEMBARRIER.load(Ordering::Relaxed)
}
