//! The system calls that the runtime makes, each with its result as a type.
//!
//! All go through the C library's `syscall` or a wrapper that is no more than that: none
//! is a cancellation point, takes a lock or allocates, so that the runtime works in signal
//! handlers and between fork and exec.

#![allow(unsafe_code, reason = "system calls")]

pub(crate) mod errno;
pub(crate) mod file;
pub(crate) mod notes;
pub(crate) mod object;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod thread;

use core::ffi::CStr;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32};
use errno::Errno;

/// Turns a result of the C library into ours: -1 says that errno holds the reason.
fn checked(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result == -1 { Err(errno::last()) } else { Ok(result) }
}

/// Bytes of a page of this machine.
pub(crate) fn page_size() -> usize {
    // SAFETY: no arguments that could be wrong.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The id of this thread.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: gettid takes nothing and always works.
    unsafe { libc::syscall(libc::SYS_gettid) }.try_into().unwrap_or(0)
}

/// The id of this process.
pub(crate) fn process_id() -> u32 {
    // SAFETY: getpid takes nothing and always works.  The call and not the C library's
    // function, of which old versions remember the parent's.
    unsafe { libc::syscall(libc::SYS_getpid) }.try_into().unwrap_or(0)
}

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

/// membarrier(2) with `command` and no flags; the result is the set of commands for QUERY.
///
/// # Errors
/// EPERM (not registered), EINVAL (unknown command), ENOSYS (no such call), or what a
/// seccomp filter says.
// In line, so that each call says its command as a constant: a lint of the binary, ours
// among them, sees which one it is.
#[inline(always)]
pub(crate) fn membarrier(command: i32) -> Result<i32, Errno> {
    // SAFETY: a membarrier changes no memory.
    let result = checked(unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) })?;
    Ok(i32::try_from(result).unwrap_or(0))
}

/// riscv_flush_icache(2) over everything, for all threads of the process.
///
/// # Errors
/// ENOSYS where the kernel lacks it.
#[cfg(target_arch = "riscv64")]
pub(crate) fn flush_icache_of_all_threads() -> Result<(), Errno> {
    const SYS_RISCV_FLUSH_ICACHE: libc::c_long = 259;
    // SAFETY: it changes no memory.
    checked(unsafe { libc::syscall(SYS_RISCV_FLUSH_ICACHE, 0, 0, 0) })?;
    Ok(())
}

/// Whether prctl(2) says that memory of this process denies write-execute (MDWE), Linux
/// 6.3 and newer.
pub(crate) fn denies_write_execute() -> bool {
    const PR_GET_MDWE: i32 = 66;
    // SAFETY: a question without pointers; kernels that do not know it say EINVAL.
    let result = unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) };
    result > 0 && result & 1 != 0
}

/// Whether the process runs with more rights than its user (setuid and the like), so that
/// its environment is not to be trusted.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: getauxval reads a vector that the kernel has made.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Calls `take` with what follows `prefix` in each variable of the environment that begins
/// with it, unless the process is privileged.  One pass, and none of the C library's code:
/// what a constructor has to load from disk is most of its cost.
///
/// Only for constructors: the environment may change later.
pub(crate) fn for_each_variable(prefix: &[u8], mut take: impl FnMut(&'static CStr)) {
    unsafe extern "C" {
        static environ: *const *const core::ffi::c_char;
    }
    // SAFETY: the C library has set it before any constructor, and no other thread runs.
    let mut at = unsafe { environ };
    while !at.is_null() {
        // SAFETY: a list of pointers that ends in a null pointer, which is not passed.
        let variable = unsafe { *at };
        if variable.is_null() || is_privileged() {
            return;
        }
        if begins_with(variable, prefix) {
            let rest = variable.wrapping_add(prefix.len());
            // SAFETY: a variable ends in NUL, and stays where it is: what setenv replaces it
            // by is another string.
            take(unsafe { CStr::from_ptr(rest) });
        }
        at = at.wrapping_add(1);
    }
}

/// Whether the string at `text` begins with `prefix`; it reads no byte behind the first that
/// differs.
fn begins_with(text: *const core::ffi::c_char, prefix: &[u8]) -> bool {
    prefix.iter().enumerate().all(|(index, byte)| {
        // SAFETY: all before it were as in `prefix`, and so not the NUL at the end.
        let found = unsafe { *text.wrapping_add(index) };
        found.to_ne_bytes() == [*byte]
    })
}
