//! The start and the end of a process: a constructor reads the environment, registers for
//! membarrier(2), and registers the table of its own object; a destructor writes the report.

#![allow(unsafe_code, reason = "constructors, and symbols of the linker")]

use crate::abi::RelativeEntry;
use crate::runtime::key::Op;
use crate::runtime::object::{self, initial};
use crate::runtime::patching::table::Object;
use crate::runtime::sync::{self, Allowed};
use crate::runtime::{control, report, sys};
use core::ffi::CStr;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

/// The prefix of the environment variables.  They have no effect in a process with more privileges
/// than its user.
const PREFIX: &[u8] = b"JLSHIM_";

static STARTED: AtomicBool = AtomicBool::new(false);
static OBJECT: Object = Object::new();

/// Runs before constructors without a priority, and so usually before threads and flips.
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
    sys::process::for_each_variable(PREFIX, apply_variable);
    sync::register();
    attach(&OBJECT);
    // Not needed in a program that contains the runtime: `jlctl link` refuses it.
    #[cfg(feature = "capi")]
    crate::runtime::object::linked::find();
    control::start();
}

/// Applies one environment variable, given without its prefix.
///
/// `NO_MEMBARRIER=1` forbids membarrier(2).  `BEST_EFFORT=1` and `PROC_MEM=1` allow the methods of
/// [`Allowed`].  `REPORT=PATH` writes the report at exit.  `CONTROL=PATH` opens the control
/// socket.  `ENABLE=NAME,…` and `DISABLE=NAME,…` flip keys when their object is registered.
fn apply_variable(variable: &'static CStr) {
    let allowed = Allowed::in_process();
    match variable.to_bytes() {
        b"NO_MEMBARRIER=1" => sync::forbid_membarrier(),
        b"BEST_EFFORT=1" => sync::allow(Allowed { best_effort: true, ..allowed }),
        b"PROC_MEM=1" => sync::allow(Allowed { proc_mem: true, ..allowed }),
        bytes => {
            let value = |name: &[u8]| {
                let rest = bytes.strip_prefix(name)?;
                let rest = variable.to_bytes_with_nul().get(bytes.len() - rest.len()..)?;
                CStr::from_bytes_with_nul(rest).ok().filter(|value| !value.is_empty())
            };
            value(b"REPORT=").into_iter().for_each(report::write_at_exit);
            value(b"CONTROL=").into_iter().for_each(control::set_path);
            value(b"ENABLE=").into_iter().for_each(|names| initial::set(Op::Enable, names));
            value(b"DISABLE=").into_iter().for_each(|names| initial::set(Op::Disable, names));
        }
    }
}

/// Reports names of the environment that no key has, and writes the report, if requested: at the
/// end of a process, and in a static program, whose keys are flipped only at its start, after
/// that.
#[doc(hidden)]
pub fn finish() {
    initial::report_unmatched();
    report::write_report();
}

extern "C" fn end() {
    control::stop();
    finish();
    detach(&OBJECT);
}

/// Registers the table of the object that the caller is compiled into, with `node`.  The
/// constructor of each defined key calls it, since the runtime may be in another object with a
/// table of its own.
#[doc(hidden)]
#[inline(always)]
pub fn attach(node: &'static Object) {
    let (start, stop) = own_table();
    attach_table(node, start, stop);
}

fn attach_table(node: &'static Object, start: *const RelativeEntry, stop: *const RelativeEntry) {
    ensure_started();
    // An error is ignored here: every later flip returns it again.
    // SAFETY: the linker's bounds of the table of an object that calls `detach` in a destructor.
    let _ = unsafe { object::register(ptr::from_ref(node), start, stop) };
}

/// Undoes [`attach`].
#[doc(hidden)]
pub fn detach(node: &'static Object) {
    // SAFETY: the node is a static.
    unsafe { object::unregister(ptr::from_ref(node)) };
}

/// Assembly that loads the GOT entry of a symbol into a register.
macro_rules! from_got {
    ($register:literal, $symbol:literal) => {
        from_got!(@ concat!("{", $register, "}"), $symbol)
    };
    (@ $register:expr, $symbol:literal) => {
        concat!(
            ".weak ", $symbol, "\n.hidden ", $symbol, "\n",
            from_got_on_this_machine!($register, $symbol)
        )
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! from_got_on_this_machine {
    ($register:expr, $symbol:literal) => {
        concat!("mov ", $register, ", qword ptr [rip + ", $symbol, "@GOTPCREL]")
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! from_got_on_this_machine {
    ($register:expr, $symbol:literal) => {
        concat!(
            "adrp ",
            $register,
            ", :got:",
            $symbol,
            "\n",
            "ldr ",
            $register,
            ", [",
            $register,
            ", :got_lo12:",
            $symbol,
            "]"
        )
    };
}
#[cfg(target_arch = "riscv64")]
macro_rules! from_got_on_this_machine {
    ($register:expr, $symbol:literal) => {
        concat!("lga ", $register, ", ", $symbol)
    };
}

/// The bounds of the table of the object that this code is inlined into; both are null if it has
/// no table.
///
/// The linker defines the symbols for a section whose name is an identifier.  They are weak,
/// since the section may not exist, and hidden, since each object has its own.  They are loaded
/// from the GOT, since PC-relative addressing does not reach a symbol that is null.
#[inline(always)]
fn own_table() -> (*const RelativeEntry, *const RelativeEntry) {
    let (start, stop): (usize, usize);
    // SAFETY: the code reads two words of the GOT.
    unsafe {
        core::arch::asm!(
            from_got!("start", "__start___jump_table"),
            from_got!("stop", "__stop___jump_table"),
            start = out(reg) start, stop = out(reg) stop,
            options(nostack, preserves_flags, readonly)
        );
    }
    (ptr::with_exposed_provenance(start), ptr::with_exposed_provenance(stop))
}

/// Ensures that the constructor has run: a constructor that runs earlier may apply a batch.
pub(crate) fn ensure_started() {
    if !STARTED.load(Ordering::Relaxed) {
        start();
    }
}
