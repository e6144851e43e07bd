//! The functions of a C library that the runtime calls, as far as it does.

#![allow(unsafe_code, reason = "system calls")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "words of 64 bits, and results that the kernel gives as 32"
)]

use super::system_call::syscall;
use core::ffi::{c_char, c_int, c_long, c_ulong, c_void};
use core::ptr;

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    len: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    let (protection, flags, file) = (protection.into(), flags.into(), file.into());
    let (address, len) = (address as c_long, len.cast_signed() as c_long);
    // SAFETY: the caller's promise.
    let result =
        unsafe { syscall(libc::SYS_mmap, address, len, protection, flags, file, offset as c_long) };
    ptr::with_exposed_provenance_mut(result.cast_unsigned() as usize)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(address: *mut c_void, len: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_munmap, [address as c_long, len.cast_signed() as c_long, 0, 0]) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mprotect(address: *mut c_void, len: usize, protection: c_int) -> c_int {
    let arguments = [address as c_long, len.cast_signed() as c_long, protection.into(), 0];
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_mprotect, arguments) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int {
    let [a, b, c, d] = [a, b, c, d].map(c_ulong::cast_signed);
    // SAFETY: the caller's promise.
    unsafe { syscall(libc::SYS_prctl, option.into(), a, b, c, d, 0) as c_int }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn stat(path: *const c_char, status: *mut libc::stat) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { status_of(path, status, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn lstat(path: *const c_char, status: *mut libc::stat) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { status_of(path, status, libc::AT_SYMLINK_NOFOLLOW) }
}

/// The kernel's structure is the C library's on both machines.
unsafe fn status_of(path: *const c_char, status: *mut libc::stat, flags: c_int) -> c_int {
    let arguments = [libc::AT_FDCWD.into(), path as c_long, status as c_long, flags.into()];
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_newfstatat, arguments) }
}

unsafe fn call(number: c_long, [a, b, c, d]: [c_long; 4]) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { syscall(number, a, b, c, d, 0, 0) as c_int }
}

/// There are no handlers of forks: nobody flips a key after the start.
#[unsafe(no_mangle)]
extern "C" fn pthread_atfork(_: *const c_void, _: *const c_void, _: *const c_void) -> c_int {
    libc::ENOSYS
}

/// The runtime has no thread of its own in a static program, and so no control socket: the
/// program's C library would not know it, and could not take rights from it that the program
/// gives up.
#[unsafe(no_mangle)]
extern "C" fn pthread_create(
    _: *mut c_void,
    _: *const c_void,
    _: *const c_void,
    _: *mut c_void,
) -> c_int {
    libc::ENOTSUP
}

#[unsafe(no_mangle)]
extern "C" fn pthread_join(_: c_ulong, _: *mut *mut c_void) -> c_int {
    libc::ENOTSUP
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_sigmask(
    how: c_int,
    set: *const libc::sigset_t,
    before: *mut libc::sigset_t,
) -> c_int {
    // The kernel's set has 64 bits, the first of the C library's.
    let arguments = [how.into(), set as c_long, before as c_long, 8];
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_rt_sigprocmask, arguments) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigfillset(set: *mut libc::sigset_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { ptr::write_bytes(set.cast::<u8>(), 0xff, size_of::<libc::sigset_t>()) };
    0
}

/// Functions of batches in C, which nobody calls in a static program.
#[unsafe(no_mangle)]
extern "C" fn pthread_key_create(_: *mut libc::pthread_key_t, _: *const c_void) -> c_int {
    libc::ENOSYS
}

/// Likewise.
#[unsafe(no_mangle)]
extern "C" fn pthread_key_delete(_: libc::pthread_key_t) -> c_int {
    libc::ENOSYS
}

/// Likewise.
#[unsafe(no_mangle)]
extern "C" fn pthread_getspecific(_: libc::pthread_key_t) -> *mut c_void {
    ptr::null_mut()
}

/// Likewise.
#[unsafe(no_mangle)]
extern "C" fn pthread_setspecific(_: libc::pthread_key_t, _: *const c_void) -> c_int {
    libc::ENOSYS
}
