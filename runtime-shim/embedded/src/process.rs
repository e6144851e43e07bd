//! The initial stack of the process (System V ABI, "Process Initialization"), and the run of the
//! runtime.

#![allow(unsafe_code, reason = "the initial stack")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "words of 64 bits, and results of the kernel with 32"
)]

use super::config;
use core::ffi::{c_char, c_int, c_ulong, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A pointer that is set once, before it is read.
type Cell<T> = AtomicPtr<T>;

/// The environment, by the name that the runtime imports.
#[unsafe(no_mangle)]
static environ: Cell<*const c_char> = Cell::new(ptr::null_mut());
/// The auxiliary vector: pairs of words, up to AT_NULL.
static AUXILIARY: Cell<[usize; 2]> = Cell::new(ptr::null_mut());

/// Runs the runtime and returns to the entry, which jumps to the program.
///
/// # Safety
/// `stack` is the initial stack: argc, the arguments, a null pointer, the environment, a null
/// pointer, the auxiliary vector.
pub(crate) unsafe extern "C" fn run(stack: *mut usize) {
    // SAFETY: the caller's promise.
    let count = unsafe { *stack };
    let environment = stack.wrapping_add(count + 2);
    environ.store(environment.cast(), Ordering::Relaxed);
    let mut at = environment;
    // SAFETY: the environment ends with a null pointer.
    while unsafe { *at } != 0 {
        at = at.wrapping_add(1);
    }
    AUXILIARY.store(at.wrapping_add(1).cast(), Ordering::Relaxed);
    // The call starts the runtime, which registers the table in the note of the program.
    // SAFETY: there is one thread, and no dynamic linker whose lock could be held.
    let _ = unsafe { jlctl_shim::capi::jlshim_find_linked() };
    jlctl_shim::finish();
}

/// getauxval(3), without its errno.
#[unsafe(no_mangle)]
extern "C" fn getauxval(wanted: c_ulong) -> c_ulong {
    let mut at = AUXILIARY.load(Ordering::Relaxed);
    loop {
        // SAFETY: the vector ends with AT_NULL, where the loop ends.
        let [kind, value] = unsafe { *at };
        match kind as c_ulong {
            found if found == wanted => return value as c_ulong,
            libc::AT_NULL => return 0,
            _ => at = at.wrapping_add(1),
        }
    }
}

/// sysconf(3) for the one name that the runtime passes: the size of a page.
#[unsafe(no_mangle)]
extern "C" fn sysconf(name: c_int) -> core::ffi::c_long {
    if name == libc::_SC_PAGESIZE { getauxval(libc::AT_PAGESZ).cast_signed() } else { -1 }
}

type Callback = unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> c_int;

/// dl_iterate_phdr(3) for one object, the program.
#[unsafe(no_mangle)]
unsafe extern "C" fn dl_iterate_phdr(callback: Option<Callback>, data: *mut c_void) -> c_int {
    let Some(callback) = callback else { return 0 };
    let headers =
        ptr::with_exposed_provenance::<libc::Elf64_Phdr>(getauxval(libc::AT_PHDR) as usize);
    let count = getauxval(libc::AT_PHNUM);
    // SAFETY: a structure of integers and pointers.
    let mut info: libc::dl_phdr_info = unsafe { core::mem::zeroed() };
    info.dlpi_name = c"".as_ptr();
    info.dlpi_phdr = headers;
    info.dlpi_phnum = u16::try_from(count).unwrap_or(0);
    info.dlpi_addr = config::bias();
    // The program is the only object ever loaded.
    info.dlpi_adds = 1;
    // SAFETY: the arguments that the callback expects.
    unsafe { callback(&raw mut info, size_of::<libc::dl_phdr_info>(), data) }
}
