//! The functions of the C library that the runtime calls, as far as it needs them.

#![allow(unsafe_code, reason = "system calls")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "words of 64 bits, and results of the kernel with 32"
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

/// The structures of the kernel and of the C library are the same on both architectures.
unsafe fn status_of(path: *const c_char, status: *mut libc::stat, flags: c_int) -> c_int {
    let arguments = [libc::AT_FDCWD.into(), path as c_long, status as c_long, flags.into()];
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_newfstatat, arguments) }
}

unsafe fn call(number: c_long, [a, b, c, d]: [c_long; 4]) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { syscall(number, a, b, c, d, 0, 0) as c_int }
}

/// Fork handlers are not needed: no key is flipped after the start.
#[unsafe(no_mangle)]
extern "C" fn pthread_atfork(_: *const c_void, _: *const c_void, _: *const c_void) -> c_int {
    libc::ENOSYS
}

/// The runtime has no thread in a static program, and so no control socket: the program's C
/// library does not know of the thread, and could not drop its privileges.
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
    // The kernel's set has 64 bits: the first of the C library's set.
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

/// The queue of batches in C needs this function; a static program has no such queue.
#[unsafe(no_mangle)]
extern "C" fn pthread_key_create(_: *mut libc::pthread_key_t, _: *const c_void) -> c_int {
    libc::ENOSYS
}

/// See `pthread_key_create`.
#[unsafe(no_mangle)]
extern "C" fn pthread_key_delete(_: libc::pthread_key_t) -> c_int {
    libc::ENOSYS
}

/// See `pthread_key_create`.
#[unsafe(no_mangle)]
extern "C" fn pthread_getspecific(_: libc::pthread_key_t) -> *mut c_void {
    ptr::null_mut()
}

/// See `pthread_key_create`.
#[unsafe(no_mangle)]
extern "C" fn pthread_setspecific(_: libc::pthread_key_t, _: *const c_void) -> c_int {
    libc::ENOSYS
}
