//! This process: its id, its rights, its environment, and the barriers of all its threads.

#![allow(unsafe_code, reason = "system calls")]

use super::errno::{Errno, checked};
use core::ffi::CStr;

/// The id of this process.
pub(crate) fn id() -> u32 {
    // SAFETY: getpid takes nothing and always works.  The call and not the C library's
    // function, of which old versions remember the parent's.
    unsafe { libc::syscall(libc::SYS_getpid) }.try_into().unwrap_or(0)
}

/// The effective user id of this process.
pub(crate) fn user() -> u32 {
    // SAFETY: geteuid takes nothing and always works.
    unsafe { libc::syscall(libc::SYS_geteuid) }.try_into().unwrap_or(u32::MAX)
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
