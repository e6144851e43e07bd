//! The memory functions to which compilers emit calls.
//!
//! They are in assembly or use volatile accesses, since a compiler could turn a plain loop into a
//! call of the function that contains it.

#![allow(unsafe_code, reason = "memory")]

#[cfg(target_arch = "x86_64")]
mod machine {
    /// Copies `len` bytes in ascending order.
    pub(super) unsafe fn forwards(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: the caller's promise; the direction flag is clear (System V ABI).
        unsafe {
            core::arch::asm!(
                "rep movsb",
                inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags)
            );
        }
    }

    /// Sets `len` bytes to `value`.
    pub(super) unsafe fn fill(to: *mut u8, value: u8, len: usize) {
        // SAFETY: the caller's promise; the direction flag is clear (System V ABI).
        unsafe {
            core::arch::asm!(
                "rep stosb",
                inout("rcx") len => _, inout("rdi") to => _, in("al") value,
                options(nostack, preserves_flags)
            );
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    /// Copies `len` bytes in ascending order.
    pub(super) unsafe fn forwards(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            core::arch::asm!(
                "cbz {len}, 3f",
                "2: ldrb {byte:w}, [{from}], 1",
                "strb {byte:w}, [{to}], 1",
                "sub {len}, {len}, 1",
                "cbnz {len}, 2b",
                "3:",
                len = inout(reg) len => _, to = inout(reg) to => _, from = inout(reg) from => _,
                byte = out(reg) _,
                options(nostack, preserves_flags)
            );
        }
    }

    /// Sets `len` bytes to `value`.
    pub(super) unsafe fn fill(to: *mut u8, value: u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            core::arch::asm!(
                "cbz {len}, 3f",
                "2: strb {value:w}, [{to}], 1",
                "sub {len}, {len}, 1",
                "cbnz {len}, 2b",
                "3:",
                len = inout(reg) len => _, to = inout(reg) to => _, value = in(reg) u32::from(value),
                options(nostack, preserves_flags)
            );
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { machine::forwards(to, from, len) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= len {
        // SAFETY: the caller's promise; no byte is written before it is read.
        unsafe { machine::forwards(to, from, len) };
        return to;
    }
    for at in (0..len).rev() {
        // SAFETY: the caller's promise; volatile, so that it stays a loop.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: likewise.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
    let [byte, ..] = value.to_le_bytes();
    // SAFETY: the caller's promise.
    unsafe { machine::fill(to, byte, len) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for at in 0..len {
        // SAFETY: the caller's promise; volatile, so that it stays a loop.
        let x = unsafe { a.wrapping_add(at).read_volatile() };
        // SAFETY: likewise.
        let y = unsafe { b.wrapping_add(at).read_volatile() };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(a, b, len) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the text ends with NUL; volatile, so that it stays a loop.
    while unsafe { text.wrapping_add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}
