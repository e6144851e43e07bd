//! Detaches from a stopped thread with any signal: crates that wrap ptrace(2) have no names for
//! real-time signals, two of which the C library sends itself (nptl(7)).

#![allow(unsafe_code, reason = "ptrace with a signal by number")]

use nix::unistd::Pid;

/// Detaches from `thread`, which is stopped by this thread's ptrace, and delivers `signal` to it,
/// or no signal for 0. The call fails only if the thread was killed in the meantime, which has no
/// consequence.
pub(super) fn detach(thread: Pid, signal: i32) {
    // SAFETY: PTRACE_DETACH takes its address and its data by value and writes no memory of this
    // process, whatever their values are.
    unsafe {
        libc::ptrace(
            libc::PTRACE_DETACH,
            thread.as_raw(),
            std::ptr::null_mut::<libc::c_void>(),
            std::ptr::without_provenance_mut::<libc::c_void>(usize::try_from(signal).unwrap_or(0)),
        );
    }
}
