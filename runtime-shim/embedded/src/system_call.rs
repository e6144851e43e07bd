//! System calls, by the instruction of each architecture.

#![allow(unsafe_code, reason = "system calls")]

use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicI32, Ordering};

/// The error number of the last call that failed.  There is one thread.
static ERRNO: AtomicI32 = AtomicI32::new(0);

#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    ERRNO.as_ptr()
}

/// Converts a result of the kernel to that of the C library: -1, and the error number in errno.
fn checked(result: c_long) -> c_long {
    // The last 4095 values are errors (Linux `include/linux/err.h`, MAX_ERRNO).
    if !(-4095..0).contains(&result) {
        return result;
    }
    ERRNO.store(i32::try_from(-result).unwrap_or(libc::EINVAL), Ordering::Relaxed);
    -1
}

#[cfg(target_arch = "x86_64")]
unsafe fn raw(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> c_long {
    let result;
    // SAFETY: the caller's promise; the kernel preserves all other registers.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn raw(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> c_long {
    let result;
    // SAFETY: the caller's promise; the kernel preserves all other registers.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack)
        );
    }
    result
}

/// syscall(2).  A caller passes as many arguments as the system call has.  The other registers
/// hold arbitrary values, which the kernel ignores.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    // SAFETY: the caller's promise.
    checked(unsafe { raw(number, [a, b, c, d, e, f]) })
}
