//! Memory of this process: pages and their protection.

#![allow(unsafe_code, reason = "system calls")]

use super::errno::{self, Errno, checked};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32};

/// The size of a page in bytes.
pub(crate) fn page_size() -> usize {
    // SAFETY: the argument is a name that sysconf knows.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Tests whether `word` can be written now, without a fault if it cannot: a futex operation
/// adds 0 to it, atomically, and wakes no thread.
///
/// # Errors
/// EFAULT if the page is not mapped or read-only.
pub(crate) fn probe_writable(word: &AtomicI32) -> Result<(), Errno> {
    // FUTEX_OP(ADD, 0, CMP_EQ, 0) of futex(2).
    const ADD_0: u32 = 1 << 28;
    let unused = AtomicU32::new(0);
    let op = libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel checks the second address and reports a fault as EFAULT; adding 0
    // does not change the value.
    checked(unsafe {
        libc::syscall(libc::SYS_futex, unused.as_ptr(), op, 0, 0, word.as_ptr(), ADD_0)
    })?;
    Ok(())
}

/// Changes the protection of the pages of `len` bytes at `start`.
///
/// # Safety
/// The pages are mapped, and nothing relies on an access that `protection` forbids.
///
/// # Errors
/// Those of mprotect(2).
pub(crate) unsafe fn mprotect(start: usize, len: usize, protection: i32) -> Result<(), Errno> {
    let start = ptr::with_exposed_provenance_mut::<libc::c_void>(start);
    // SAFETY: the caller's promise; the kernel checks the range.
    checked(unsafe { libc::mprotect(start, len, protection) }.into())?;
    Ok(())
}

/// Maps `len` bytes of zeroed memory, readable and writable.
///
/// # Errors
/// Those of mmap(2), above all ENOMEM.
pub(crate) fn map_anonymous(len: usize) -> Result<*mut u8, Errno> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses the address, so that no mapping is replaced.
    let address = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED { Err(errno::last()) } else { Ok(address.cast()) }
}

/// Unmaps memory that [`map_anonymous`] mapped.
///
/// # Safety
/// `start` and `len` are those of one mapping, which nothing uses any more.
pub(crate) unsafe fn unmap(start: *mut u8, len: usize) {
    // SAFETY: the caller's promise.  No failure leaves anything to do.
    let _ = unsafe { libc::munmap(start.cast(), len) };
}

/// Whether this process denies memory that is writable and executable (prctl(2), PR_GET_MDWE,
/// Linux 6.3 and newer).
pub(crate) fn denies_write_execute() -> bool {
    const PR_GET_MDWE: i32 = 66;
    // SAFETY: no pointers; kernels without this option return EINVAL.
    let result = unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) };
    result > 0 && result & 1 != 0
}
