//! The start and the end of a process: a constructor registers for membarrier, for forks,
//! and the table of the object that it is linked into; a destructor writes the report.

#![allow(unsafe_code, reason = "constructors, and symbols of the linker")]

use crate::abi::RelativeEntry;
use crate::json;
use crate::object;
use crate::runtime;
use crate::settings::{self, Allowed};
use crate::sync;
use crate::sys;
use crate::table::Object;
use core::sync::atomic::{AtomicBool, Ordering};

/// What the environment may say, each variable `1` or, for the last, a path.
///
/// None is heard in a process with more rights than its user.
mod variable {
    use core::ffi::CStr;

    /// Never call membarrier(2).
    pub(super) const NO_MEMBARRIER: &CStr = c"JLSHIM_NO_MEMBARRIER";
    /// Allow best-effort synchronisation.
    pub(super) const BEST_EFFORT: &CStr = c"JLSHIM_BEST_EFFORT";
    /// Allow /proc/self/mem.
    pub(super) const PROC_MEM: &CStr = c"JLSHIM_PROC_MEM";
    /// Write the report there at exit.
    pub(super) const REPORT: &CStr = c"JLSHIM_REPORT";
}

static STARTED: AtomicBool = AtomicBool::new(false);
static OBJECT: Object = Object::new();

/// Runs before constructors without a priority, and so before threads and flips.
#[used]
#[unsafe(link_section = ".init_array.00101")]
static CONSTRUCTOR: extern "C" fn() = start;

/// Runs after destructors without a priority.
#[used]
#[unsafe(link_section = ".fini_array.00101")]
static DESTRUCTOR: extern "C" fn() = end;

extern "C" fn start() {
    if STARTED.swap(true, Ordering::Relaxed) {
        return;
    }
    let is_set = |name| sys::environment(name).is_some_and(|value| value == c"1");
    if is_set(variable::NO_MEMBARRIER) {
        settings::forbid_membarrier();
    }
    settings::allow(Allowed {
        best_effort: is_set(variable::BEST_EFFORT),
        proc_mem: is_set(variable::PROC_MEM),
    });
    if let Some(path) = sys::environment(variable::REPORT) {
        json::write_at_exit(path);
    }
    sync::register();
    let (before, parent, child) =
        (runtime::before_fork, runtime::after_fork_in_parent, runtime::after_fork_in_child);
    // SAFETY: the handlers are functions of this object, which stays: see `lib.rs` on dlclose.
    unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
    let (start, stop) = own_table();
    // An error here is one that every flip will give again.
    // SAFETY: the linker's own bounds, of an object that unregisters in `end`.
    let _ = unsafe { object::register(&raw const OBJECT, start, stop) };
}

extern "C" fn end() {
    json::write_report();
    // SAFETY: the node is a static.
    unsafe { object::unregister(&raw const OBJECT) };
}

/// The bounds of the table of the object that this code is linked into; both null where it
/// has none.
///
/// The linker makes the symbols for a section whose name is an identifier.  They are weak,
/// since there may be none, and hidden, since each object has its own; taken through the
/// GOT, as a symbol that is null is out of reach for all else.
fn own_table() -> (*const RelativeEntry, *const RelativeEntry) {
    let (start, stop): (usize, usize);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads two words of the GOT.
    unsafe {
        core::arch::asm!(
            ".weak __start___jump_table", ".hidden __start___jump_table",
            ".weak __stop___jump_table", ".hidden __stop___jump_table",
            "mov {start}, qword ptr [rip + __start___jump_table@GOTPCREL]",
            "mov {stop}, qword ptr [rip + __stop___jump_table@GOTPCREL]",
            start = out(reg) start, stop = out(reg) stop,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads two words of the GOT.
    unsafe {
        core::arch::asm!(
            ".weak __start___jump_table", ".hidden __start___jump_table",
            ".weak __stop___jump_table", ".hidden __stop___jump_table",
            "adrp {start}, :got:__start___jump_table",
            "ldr {start}, [{start}, :got_lo12:__start___jump_table]",
            "adrp {stop}, :got:__stop___jump_table",
            "ldr {stop}, [{stop}, :got_lo12:__stop___jump_table]",
            start = out(reg) start, stop = out(reg) stop,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: reads two words of the GOT.
    unsafe {
        core::arch::asm!(
            ".weak __start___jump_table", ".hidden __start___jump_table",
            ".weak __stop___jump_table", ".hidden __stop___jump_table",
            "lga {start}, __start___jump_table",
            "lga {stop}, __stop___jump_table",
            start = out(reg) start, stop = out(reg) stop,
            options(nostack, preserves_flags, readonly)
        );
    }
    (core::ptr::with_exposed_provenance(start), core::ptr::with_exposed_provenance(stop))
}

/// Makes sure that the constructor has run: a batch may come from one that runs earlier.
pub(crate) fn ensure_started() {
    if !STARTED.load(Ordering::Relaxed) {
        start();
    }
}
