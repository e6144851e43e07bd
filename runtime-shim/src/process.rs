//! The start and the end of a process: a constructor registers for membarrier, and the table
//! of the object that it is linked into; a destructor writes the report.

#![allow(unsafe_code, reason = "constructors, and symbols of the linker")]

use crate::abi::RelativeEntry;
use crate::control;
use crate::report;
use crate::object;
use crate::key::Op;
use crate::object::initial;
use crate::sync::{self, Allowed};
use crate::sys;
use crate::patching::table::Object;
use core::ffi::CStr;
use core::ptr;
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
    sys::process::for_each_variable(PREFIX, hear);
    sync::register();
    attach(&OBJECT);
    // Who has the runtime in itself has no need of it: `jlctl link` refuses such programs.
    #[cfg(feature = "capi")]
    crate::object::linked::find();
    control::start();
}

/// Takes one variable, without its prefix: `NO_MEMBARRIER=1` never calls membarrier(2),
/// `BEST_EFFORT=1` and `PROC_MEM=1` allow what they name, and `REPORT=PATH` has the report
/// written at exit.  `CONTROL=PATH` opens the control socket.  `ENABLE=NAME,…` and `DISABLE=NAME,…` flip keys when they come.
fn hear(variable: &'static CStr) {
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
            value(b"CONTROL=").into_iter().for_each(control::want);
            value(b"ENABLE=").into_iter().for_each(|names| initial::want(Op::Enable, names));
            value(b"DISABLE=").into_iter().for_each(|names| initial::want(Op::Disable, names));
        }
    }
}

/// Tells of what was wanted and not found, and writes the report, if one is wanted: at the end
/// of a process; in a static program, where keys are flipped at its start alone, then.
#[doc(hidden)]
pub fn finish() {
    initial::tell_unknown();
    report::write_report();
}

extern "C" fn end() {
    control::stop();
    finish();
    detach(&OBJECT);
}

/// Registers the table of the object that the caller is compiled into, with `node`: what
/// each definition of a key has its object do in a constructor, since the runtime may be
/// in a library of its own, whose table is another.
#[doc(hidden)]
#[inline(always)]
pub fn attach(node: &'static Object) {
    let (start, stop) = own_table();
    attach_table(node, start, stop);
}

fn attach_table(node: &'static Object, start: *const RelativeEntry, stop: *const RelativeEntry) {
    ensure_started();
    // An error here is one that every flip will give again.
    // SAFETY: the linker's own bounds, of an object that calls `detach` before it goes.
    let _ = unsafe { object::register(ptr::from_ref(node), start, stop) };
}

/// What [`attach`] did is undone.
#[doc(hidden)]
pub fn detach(node: &'static Object) {
    // SAFETY: the node is a static.
    unsafe { object::unregister(ptr::from_ref(node)) };
}

/// The assembly that loads the word of the GOT for a symbol into a register.
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
            "adrp ", $register, ", :got:", $symbol, "\n",
            "ldr ", $register, ", [", $register, ", :got_lo12:", $symbol, "]"
        )
    };
}
#[cfg(target_arch = "riscv64")]
macro_rules! from_got_on_this_machine {
    ($register:expr, $symbol:literal) => {
        concat!("lga ", $register, ", ", $symbol)
    };
}

/// The bounds of the table of the object that this code is inlined into; both null where it
/// has none.
///
/// The linker makes the symbols for a section whose name is an identifier.  They are weak,
/// since there may be none, and hidden, since each object has its own; taken through the
/// GOT, as a symbol that is null is out of reach for all else.
#[inline(always)]
fn own_table() -> (*const RelativeEntry, *const RelativeEntry) {
    let (start, stop): (usize, usize);
    // SAFETY: reads two words of the GOT.
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

/// Makes sure that the constructor has run: a batch may come from one that runs earlier.
pub(crate) fn ensure_started() {
    if !STARTED.load(Ordering::Relaxed) {
        start();
    }
}
