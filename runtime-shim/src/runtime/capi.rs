//! The C functions of `include/jlctl/jump_label.h`, which states their contracts.
//!
//! Functions return 0 or a positive number, or a negative errno.  The caller guarantees that
//! pointers are valid as the header requires, and pointers to keys as long as the object that
//! contains the key is loaded.

#![allow(unsafe_code, reason = "the C interface")]

use crate::abi::{JumpLabelType, RelativeEntry};
use crate::runtime::batch::{self, Batch, apply_ops};
use crate::runtime::error::Error;
use crate::runtime::key::{Key, Op};
use crate::runtime::object::{self, linked};
use crate::runtime::patching::record::{Counts, Uncovered, UncoveredPatch};
use crate::runtime::patching::state::Wait;
use crate::runtime::patching::table::Object;
use crate::runtime::patching::transform;
use crate::runtime::sync::{self, Allowed, Method, Refusal, SyncLevel, clear_cache};
use crate::runtime::sys::page_vec::PageVec;
use crate::runtime::{process, report};
use core::ffi::{CStr, c_char, c_int, c_uint};
use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use core::slice;

/// `struct jlshim_op`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct COp {
    key: *const Key,
    kind: u32,
    reserved: u32,
}

/// `struct jlshim_error`.
#[repr(C)]
#[derive(Debug)]
pub struct CError {
    code: i32,
    spare: u32,
    site: u64,
    message: [u8; 240],
}

/// `struct jlshim_uncovered`.
#[repr(C)]
#[derive(Debug)]
pub struct CUncovered {
    site: u64,
    key: u64,
    why: *const c_char,
}

const fn code_of(error: &Error) -> c_int {
    -error.errno().0
}

const fn allowed_of(flags: c_uint) -> Allowed {
    Allowed { best_effort: flags & 1 != 0, proc_mem: flags & 2 != 0 }
}

const fn op_of(kind: u32) -> Option<Op> {
    Some(match kind {
        0 => Op::Enable,
        1 => Op::Disable,
        2 => Op::Increment,
        3 => Op::Decrement,
        _ => return None,
    })
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_apply(
    ops: *const COp,
    count: usize,
    allowed: c_uint,
    error: *mut CError,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { apply(ops, count, allowed, error, Wait::Yes) }
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_try_apply(
    ops: *const COp,
    count: usize,
    allowed: c_uint,
    error: *mut CError,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { apply(ops, count, allowed, error, Wait::No) }
}

unsafe fn apply(
    ops: *const COp,
    count: usize,
    allowed: c_uint,
    error: *mut CError,
    wait: Wait,
) -> c_int {
    let ops = if count == 0 {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { slice::from_raw_parts(ops, count) }
    };
    if ops.iter().any(|op| op_of(op.kind).is_none() || op.key.is_null()) {
        return -libc::EINVAL;
    }
    let valid = ops.iter().filter_map(|op| {
        // SAFETY: the caller's promise; keys are statics.
        Some((unsafe { op.key.as_ref() }?, op_of(op.kind)?))
    });
    let allowed = allowed_of(allowed).or(Allowed::in_process());
    match apply_ops(valid, allowed, wait) {
        Ok(_) => 0,
        Err(found) => {
            // SAFETY: the caller's promise; it may be null.
            if let Some(error) = unsafe { error.as_mut() } {
                explain(&found, error);
            }
            code_of(&found)
        }
    }
}

fn explain(found: &Error, error: &mut CError) {
    error.code = code_of(found);
    error.spare = 0;
    error.site = found.site().unwrap_or(0) as u64;
    error.message = [0; 240];
    // The last byte stays NUL.
    let mut message = Truncated { bytes: &mut error.message[..239], len: 0 };
    let _ = write!(message, "{found}");
}

/// Text that is truncated to the length of `bytes`.
struct Truncated<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Write for Truncated<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let Some(slot) = self.bytes.get_mut(self.len) else { break };
            *slot = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// Defines a function that flips one key.
macro_rules! one_key {
    ($name:ident, $op:expr) => {
        /// # Safety
        /// The header states the requirements.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(key: *const Key) -> c_int {
            // SAFETY: the caller's promise; keys are statics.
            let Some(key) = (unsafe { key.as_ref() }) else { return -libc::EINVAL };
            match apply_ops(core::iter::once((key, $op)), Allowed::in_process(), Wait::Yes) {
                Ok(_) => 0,
                Err(error) => code_of(&error),
            }
        }
    };
}

one_key!(jlshim_enable, Op::Enable);
one_key!(jlshim_disable, Op::Disable);
one_key!(jlshim_increment, Op::Increment);
one_key!(jlshim_decrement, Op::Decrement);

/// The queue of each thread, as thread-specific data of the C library: without `std`, Rust has no
/// thread-local variables.
mod queue {
    use super::{Batch, c_int};
    use crate::runtime::sys::memory::{map_anonymous, unmap};
    use core::sync::atomic::{AtomicU32, Ordering};

    /// The key of the thread-specific data plus 1; 0 before the key is created.
    static KEY: AtomicU32 = AtomicU32::new(0);

    fn key() -> Result<libc::pthread_key_t, c_int> {
        if let Some(key) = KEY.load(Ordering::Acquire).checked_sub(1) {
            return Ok(key);
        }
        let mut made = 0;
        // SAFETY: `made` is valid for writes, and `end` accepts the values that `of_thread` sets.
        let failed = unsafe { libc::pthread_key_create(&raw mut made, Some(end)) };
        if failed != 0 {
            return Err(-failed);
        }
        match KEY.compare_exchange(0, made + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(made),
            Err(other) => {
                // SAFETY: no other function has used the key.
                unsafe { libc::pthread_key_delete(made) };
                Ok(other - 1)
            }
        }
    }

    /// This thread's queue.
    pub(super) fn of_thread() -> Result<*mut Batch, c_int> {
        let key = key()?;
        // SAFETY: the key has been created.
        let known = unsafe { libc::pthread_getspecific(key) }.cast::<Batch>();
        if !known.is_null() {
            return Ok(known);
        }
        let fresh = map_anonymous(size_of::<Batch>()).map_err(|errno| -errno.0)?;
        let fresh = fresh.cast::<Batch>();
        // SAFETY: the pages are aligned, large enough and newly mapped.
        unsafe { fresh.write(Batch::new()) };
        // SAFETY: the key has been created.
        let failed = unsafe { libc::pthread_setspecific(key, fresh.cast()) };
        if failed != 0 {
            // SAFETY: nothing else refers to the queue.
            unsafe { end(fresh.cast()) };
            return Err(-failed);
        }
        Ok(fresh)
    }

    unsafe extern "C" fn end(batch: *mut libc::c_void) {
        // SAFETY: `of_thread` has created the queue, and its thread ends.
        unsafe { batch.cast::<Batch>().drop_in_place() };
        // SAFETY: `of_thread` has mapped the memory, which nothing uses any more.
        unsafe { unmap(batch.cast(), size_of::<Batch>()) };
    }
}

unsafe fn enqueue(key: *const Key, op: Op) -> c_int {
    // SAFETY: the caller's promise; keys are statics.
    let Some(key) = (unsafe { key.as_ref() }) else { return -libc::EINVAL };
    match queue::of_thread() {
        Ok(batch) => {
            // SAFETY: only this thread uses the queue.
            let batch = unsafe { &mut *batch };
            batch.push(key, op);
            0
        }
        Err(code) => code,
    }
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn static_key_enable_queued(key: *const Key) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enqueue(key, Op::Enable) }
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn static_key_disable_queued(key: *const Key) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enqueue(key, Op::Disable) }
}

/// Applies this thread's queue as one batch, and empties it.
#[unsafe(no_mangle)]
pub extern "C" fn static_key_apply_queued() -> c_int {
    match queue::of_thread() {
        Ok(batch) => {
            // SAFETY: only this thread uses the queue.
            let batch = core::mem::take(unsafe { &mut *batch });
            batch.apply().map_or_else(|error| code_of(&error), |_| 0)
        }
        Err(code) => code,
    }
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_transform_queue(entry: *const RelativeEntry, kind: c_int) -> c_int {
    let to = match kind {
        0 => JumpLabelType::Nop,
        1 => JumpLabelType::Jmp,
        _ => return -libc::EINVAL,
    };
    // SAFETY: the caller's promise.
    let Some(entry) = (unsafe { entry.as_ref() }) else { return -libc::EINVAL };
    transform::queue(entry, to).map_or_else(|error| code_of(&error), c_int::from)
}

/// See [`transform::apply`].
#[unsafe(no_mangle)]
pub extern "C" fn jlshim_transform_apply() -> c_int {
    transform::apply().map_or_else(|error| code_of(&error), |_| 0)
}

/// See [`sync::allow`].
#[unsafe(no_mangle)]
pub extern "C" fn jlshim_allow(allowed: c_uint) {
    sync::allow(allowed_of(allowed));
}

/// See [`sync::forbid_membarrier`].
#[unsafe(no_mangle)]
pub extern "C" fn jlshim_forbid_membarrier() {
    sync::forbid_membarrier();
}

/// The strength of the synchronisation that a batch would use now; see [`batch::sync_level`].
#[unsafe(no_mangle)]
pub extern "C" fn jlshim_sync_level() -> c_int {
    match batch::sync_level() {
        Ok(SyncLevel::Strict(_)) => 2,
        Ok(SyncLevel::BestEffort(_)) => 1,
        Err(refusal) => code_of(&Error::NoSync(refusal)),
    }
}

/// The name of that synchronisation, or of the reason why there is none.
#[unsafe(no_mangle)]
pub extern "C" fn jlshim_sync_method() -> *const c_char {
    let name: &CStr = match batch::sync_level().map(SyncLevel::method) {
        Ok(Method::SyncCore) => c"membarrier-sync-core",
        Ok(Method::FlushIcache) => c"riscv-flush-icache",
        Ok(Method::SingleThread) => c"single-thread",
        Ok(Method::GlobalMembarrier) => c"membarrier-global",
        Err(Refusal::Forbidden) => c"membarrier is forbidden",
        Err(Refusal::NoMembarrier) => c"no membarrier (ENOSYS)",
        Err(Refusal::NoSyncCore) => c"no SYNC_CORE (EINVAL)",
        Err(Refusal::Denied(_)) => c"membarrier is denied",
    };
    name.as_ptr()
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_report(counts: *mut Counts) -> c_int {
    // SAFETY: the caller's promise.
    let Some(counts) = (unsafe { counts.as_mut() }) else { return -libc::EINVAL };
    match report::report() {
        Ok(found) => {
            *counts = found;
            0
        }
        Err(error) => code_of(&error),
    }
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_uncovered(patches: *mut CUncovered, count: usize) -> c_int {
    let mut copy = PageVec::new();
    let none = UncoveredPatch { site: 0, key: 0, why: Uncovered::Queued };
    let count = count.min(c_int::MAX.unsigned_abs() as usize);
    let wanted = report::report().map_or(0, |counts| counts.uncovered - counts.forgotten);
    for _ in 0..usize::try_from(wanted).unwrap_or(0).min(count) {
        if let Err(errno) = copy.push(none) {
            return -errno.0;
        }
    }
    let found = match report::uncovered(copy.as_mut_slice()) {
        Ok(found) => found,
        Err(error) => return code_of(&error),
    };
    if found == 0 {
        return 0;
    }
    // SAFETY: the caller's promise, for at least this number of elements.
    let into =
        unsafe { slice::from_raw_parts_mut(patches.cast::<MaybeUninit<CUncovered>>(), found) };
    for (to, patch) in into.iter_mut().zip(copy.as_slice()) {
        let why = match patch.why {
            Uncovered::Queued => c"queued",
            Uncovered::SyncFailed => c"sync-failed",
            Uncovered::BestEffort => c"best-effort",
            Uncovered::Stale => c"stale",
        };
        let (site, key) = (patch.site as u64, patch.key as u64);
        to.write(CUncovered { site, key, why: why.as_ptr() });
    }
    c_int::try_from(found).unwrap_or(c_int::MAX)
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_register(
    object: *const Object,
    start: *const RelativeEntry,
    stop: *const RelativeEntry,
) -> c_int {
    process::ensure_started();
    // SAFETY: the caller's promise.
    let result = unsafe { object::register(object, start, stop) };
    result.map_or_else(|error| code_of(&error), |()| 0)
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_unregister(object: *const Object) {
    // SAFETY: the caller's promise.
    unsafe { object::unregister(object) };
}

/// # Safety
/// The header states the requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jlshim_find_linked() -> c_int {
    process::ensure_started();
    c_int::try_from(linked::find()).unwrap_or(c_int::MAX)
}

/// The function that `__builtin___clear_cache` of GCC and Clang calls, with a synchronisation of
/// all threads; see `sync/clear_cache.rs`.
///
/// # Safety
/// The bytes from `start` to `end` are mapped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __clear_cache(start: *mut core::ffi::c_void, end: *mut core::ffi::c_void) {
    process::ensure_started();
    clear_cache::clear(start.addr(), end.addr());
}
