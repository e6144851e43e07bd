//! Lets a stopped thread go on with any signal: real-time signals have no name in crates that
//! wrap ptrace(2), and the C library sends two of them itself (nptl(7)).

#![allow(unsafe_code, reason = "ptrace with a signal by number")]

use nix::unistd::Pid;

/// Detaches from `thread`, which is stopped by this thread's ptrace; it gets `signal`, or none
/// for 0.  Fails only if it was killed meanwhile, which is of no consequence.
pub(super) fn detach(thread: Pid, signal: i32) {
    // SAFETY: PTRACE_DETACH takes its address and its data by value and writes no memory of
    // this process, whatever they are.
    unsafe {
        libc::ptrace(
            libc::PTRACE_DETACH,
            thread.as_raw(),
            std::ptr::null_mut::<libc::c_void>(),
            std::ptr::without_provenance_mut::<libc::c_void>(usize::try_from(signal).unwrap_or(0)),
        );
    }
}
