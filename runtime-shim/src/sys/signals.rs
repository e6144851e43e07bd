//! No signal is handled, and no thread cancelled, while a batch is under way.

#![allow(unsafe_code, reason = "system calls")]

use core::ptr;

/// The kernel's set of signals: one bit for each of 64.
type KernelSet = u64;

/// Blocks all signals of this thread until it is dropped.
///
/// The call of the kernel and not `pthread_sigmask`, which leaves out the two signals that
/// the C library cancels threads and changes user ids with: a thread cancelled in the
/// middle of a batch would leave a lock held and pages writable.  Faults are not held
/// back: the kernel ends the process, as nobody could go on from one.
pub(crate) struct Blocked {
    before: KernelSet,
}

impl Blocked {
    pub(crate) fn new() -> Self {
        Self { before: change(libc::SIG_SETMASK, KernelSet::MAX) }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        change(libc::SIG_SETMASK, self.before);
    }
}

fn change(how: i32, set: KernelSet) -> KernelSet {
    let mut before: KernelSet = 0;
    let (set, size) = (ptr::from_ref(&set), size_of::<KernelSet>());
    // SAFETY: both sets are valid and have the size stated.  It cannot fail then.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, set, &raw mut before, size) };
    before
}
