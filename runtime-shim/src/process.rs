//! The start and the end of a process: a constructor registers for membarrier, and the table
//! of the object that it is linked into; a destructor writes the report.

#![allow(unsafe_code, reason = "constructors, and symbols of the linker")]

use crate::abi::RelativeEntry;
use crate::json;
use crate::object;
use crate::settings::{self, Allowed};
use crate::sync;
use crate::sys;
use crate::table::Object;
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

/// What the variables of the environment begin with.  None is heard in a process with more
/// rights than its user.
const PREFIX: &[u8] = b"JLSHIM_";

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
    sys::for_each_variable(PREFIX, hear);
    sync::register();
    let (start, stop) = own_table();
    // An error here is one that every flip will give again.
    // SAFETY: the linker's own bounds, of an object that unregisters in `end`.
    let _ = unsafe { object::register(&raw const OBJECT, start, stop) };
}

/// Takes one variable, without its prefix: `NO_MEMBARRIER=1` never calls membarrier(2),
/// `BEST_EFFORT=1` and `PROC_MEM=1` allow what they name, and `REPORT=PATH` has the report
/// written at exit.
fn hear(variable: &'static CStr) {
    let allowed = Allowed::in_process();
    match variable.to_bytes() {
        b"NO_MEMBARRIER=1" => settings::forbid_membarrier(),
        b"BEST_EFFORT=1" => settings::allow(Allowed { best_effort: true, ..allowed }),
        b"PROC_MEM=1" => settings::allow(Allowed { proc_mem: true, ..allowed }),
        bytes => {
            const REPORT: &[u8] = b"REPORT=";
            if bytes.starts_with(REPORT) && bytes.len() > REPORT.len() {
                let bytes = variable.to_bytes_with_nul().get(REPORT.len()..).unwrap_or_default();
                CStr::from_bytes_with_nul(bytes).into_iter().for_each(json::write_at_exit);
            }
        }
    }
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
