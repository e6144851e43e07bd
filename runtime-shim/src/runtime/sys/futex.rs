//! futex(2): the word of the lock, and how a thread waits for it and wakes another.
//!
//! The lock imports its primitives from this module alone, so that the model checker can
//! substitute its own (`tests/lock_model.rs`).

#![allow(unsafe_code, reason = "system calls")]

use core::ptr;
pub(super) use core::sync::atomic::{AtomicU32, Ordering};

/// Sleeps until woken, if `word` holds `value`; may also return at once.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let none = ptr::null::<libc::timespec>();
    // SAFETY: `word` is valid during the call; there is no timeout.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, none) };
    // After EAGAIN and EINTR the caller loads the word again, as after a wake-up.
    let _ = result;
}

/// Wakes one thread that sleeps on `word`.
pub(crate) fn futex_wake(word: &AtomicU32) {
    let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: `word` is valid during the call.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, 1) };
    let _ = result;
}
