//! Memory of this process: pages, their protection, and whether they can be written.

#![allow(unsafe_code, reason = "system calls")]

use super::errno::{self, Errno, checked};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32};

/// Bytes of a page of this machine.
pub(crate) fn page_size() -> usize {
    // SAFETY: no arguments that could be wrong.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Whether the word at `word` can be written now, without a fault if it cannot: a futex
/// operation that adds 0 to it, atomically, and wakes nobody.
///
/// # Errors
/// EFAULT where the page is not mapped or read-only.
pub(crate) fn probe_writable(word: &AtomicI32) -> Result<(), Errno> {
    // FUTEX_OP(ADD, 0, CMP_EQ, 0) of futex(2).
    const ADD_0: u32 = 1 << 28;
    let nobody = AtomicU32::new(0);
    let op = libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel checks the second address itself and reports a fault as EFAULT;
    // the operation leaves the value as it is.
    checked(unsafe {
        libc::syscall(libc::SYS_futex, nobody.as_ptr(), op, 0, 0, word.as_ptr(), ADD_0)
    })?;
    Ok(())
}

/// Changes the protection of `len` bytes of pages from `start` on.
///
/// # Safety
/// The pages are this process's, and nothing relies on what `protection` takes away.
///
/// # Errors
/// As mprotect(2).
pub(crate) unsafe fn mprotect(start: usize, len: usize, protection: i32) -> Result<(), Errno> {
    let start = ptr::with_exposed_provenance_mut::<libc::c_void>(start);
    // SAFETY: the caller's promise; the kernel checks the range.
    checked(unsafe { libc::mprotect(start, len, protection) }.into())?;
    Ok(())
}

/// `len` bytes of fresh zeroed memory, readable and writable.
///
/// # Errors
/// As mmap(2), ENOMEM above all.
pub(crate) fn map_anonymous(len: usize) -> Result<*mut u8, Errno> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: no address is asked for, so that nothing mapped is replaced.
    let address = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED { Err(errno::last()) } else { Ok(address.cast()) }
}

/// Gives back what [`map_anonymous`] gave.
///
/// # Safety
/// `start` and `len` are those of one mapping, which nothing uses any more.
pub(crate) unsafe fn unmap(start: *mut u8, len: usize) {
    // SAFETY: the caller's promise.  It can fail for no reason that leaves something to do.
    let _ = unsafe { libc::munmap(start.cast(), len) };
}

/// Whether prctl(2) says that memory of this process denies write-execute (MDWE), Linux
/// 6.3 and newer.
pub(crate) fn denies_write_execute() -> bool {
    const PR_GET_MDWE: i32 = 66;
    // SAFETY: a question without pointers; kernels that do not know it say EINVAL.
    let result = unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) };
    result > 0 && result & 1 != 0
}

