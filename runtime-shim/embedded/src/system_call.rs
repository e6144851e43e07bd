//! System calls by their instruction.

#![allow(unsafe_code, reason = "system calls")]

use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicI32, Ordering};

/// The error number of the last call that failed.  One for all threads: there is one here.
static ERRNO: AtomicI32 = AtomicI32::new(0);

#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    ERRNO.as_ptr()
}

/// What the kernel said, as the C library says it: -1, and the number in errno.
fn told(result: c_long) -> c_long {
    // The last page of addresses stands for errors (Linux `include/linux/err.h`, MAX_ERRNO).
    if !(-4095..0).contains(&result) {
        return result;
    }
    ERRNO.store(i32::try_from(-result).unwrap_or(libc::EINVAL), Ordering::Relaxed);
    -1
}

#[cfg(target_arch = "x86_64")]
unsafe fn raw(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> c_long {
    let result;
    // SAFETY: the caller knows what it calls; the kernel keeps all registers but these.
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
    // SAFETY: the caller knows what it calls; the kernel keeps all other registers.
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

/// syscall(2).  Callers pass as many arguments as the call has; the others are whatever the
/// registers hold, which the kernel does not look at.
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
    told(unsafe { raw(number, [a, b, c, d, e, f]) })
}
