//! What the lock is made of: a word, and the two ways to wait for it.
//!
//! A module of its own so that the model checker can put its own words in the place of
//! these (`tests/lock_model.rs`).

#![allow(unsafe_code, reason = "system calls")]

use core::ptr;
pub(super) use core::sync::atomic::{AtomicU32, Ordering};

/// Sleeps while `word` holds `value`, until it is woken; or returns at once.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let none = ptr::null::<libc::timespec>();
    // SAFETY: `word` is valid during the call; there is no time-out.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, none) };
    // EAGAIN and EINTR only mean that the caller has to look again, which it does.
    let _ = result;
}

/// Wakes one thread that sleeps at `word`.
pub(crate) fn futex_wake(word: &AtomicU32) {
    let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: `word` is valid during the call.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, 1) };
    let _ = result;
}
