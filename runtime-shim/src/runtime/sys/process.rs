//! This process: its id, its privileges, its environment, and barriers of all its threads.

#![allow(unsafe_code, reason = "system calls")]

use super::errno::{Errno, checked};
use core::ffi::CStr;

/// The id of this process.
pub(crate) fn id() -> u32 {
    // SAFETY: getpid takes no arguments and cannot fail.  The system call is used since old
    // versions of the C library's function cache the id of the parent.
    unsafe { libc::syscall(libc::SYS_getpid) }.try_into().unwrap_or(0)
}

/// The effective user id of this process.
pub(crate) fn user() -> u32 {
    // SAFETY: geteuid takes no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_geteuid) }.try_into().unwrap_or(u32::MAX)
}

/// membarrier(2) with `command` and no flags.  For QUERY the result is the set of commands.
///
/// # Errors
/// EPERM (not registered), EINVAL (unknown command), ENOSYS (no such system call), or the error
/// of a seccomp filter.
// Inlined, so that the command is a constant at each call: a lint of the binary, such as jlctl's,
// recognises it.
#[inline(always)]
pub(crate) fn membarrier(command: i32) -> Result<i32, Errno> {
    // SAFETY: membarrier changes no memory.
    let result = checked(unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) })?;
    Ok(i32::try_from(result).unwrap_or(0))
}

/// riscv_flush_icache(2) for all addresses and all threads of the process.
///
/// # Errors
/// ENOSYS if the kernel lacks the system call.
#[cfg(target_arch = "riscv64")]
pub(crate) fn flush_icache_of_all_threads() -> Result<(), Errno> {
    const SYS_RISCV_FLUSH_ICACHE: libc::c_long = 259;
    // SAFETY: the call changes no memory.
    checked(unsafe { libc::syscall(SYS_RISCV_FLUSH_ICACHE, 0, 0, 0) })?;
    Ok(())
}

/// Whether the process has more privileges than its user (setuid and the like), so that its
/// environment is not trusted.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: getauxval reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Calls `take` with the rest of each environment variable that begins with `prefix`, unless
/// the process is privileged.  The walk needs one pass and no code of the C library: loading
/// code from disk is most of the cost of a constructor.
///
/// For constructors only: the environment may change later.
pub(crate) fn for_each_variable(prefix: &[u8], mut take: impl FnMut(&'static CStr)) {
    unsafe extern "C" {
        static environ: *const *const core::ffi::c_char;
    }
    // SAFETY: the C library sets it before it calls constructors, and no other thread runs.
    let mut at = unsafe { environ };
    while !at.is_null() {
        // SAFETY: an element of a list that ends with a null pointer; the loop stops there.
        let variable = unsafe { *at };
        if variable.is_null() || is_privileged() {
            return;
        }
        if begins_with(variable, prefix) {
            let rest = variable.wrapping_add(prefix.len());
            // SAFETY: a variable ends with NUL and stays in place: setenv replaces it by another
            // string.
            take(unsafe { CStr::from_ptr(rest) });
        }
        at = at.wrapping_add(1);
    }
}

/// Whether the string at `text` begins with `prefix`.  Reads no byte after the first one that
/// differs.
fn begins_with(text: *const core::ffi::c_char, prefix: &[u8]) -> bool {
    prefix.iter().enumerate().all(|(index, byte)| {
        // SAFETY: all bytes before it equal those of `prefix`, so that none is the final NUL.
        let found = unsafe { *text.wrapping_add(index) };
        found.to_ne_bytes() == [*byte]
    })
}
