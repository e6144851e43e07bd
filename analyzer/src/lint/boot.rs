//! Functions of a kernel that run only before the other CPUs are started.
//!
//! `.init.text` says when text is freed, and not when it runs: most initcalls run with all CPUs
//! up, and so does the init function of a module. Before the other CPUs run
//! (`init/main.c`, Linux 6.12):
//!
//! - `start_kernel()`;
//! - `kernel_init_freeable()` up to its call of `smp_init()`;
//! - the early initcalls, from `__initcall_start` to `__initcall0_start`
//!   (do_pre_smp_initcalls);
//! - what is reached by direct calls from these alone.

use crate::addr::{AddrRange, Svma};
use crate::image::{Image, ImageKind};
use crate::program::{CallSite, Cfg, FuncId, RecoveredProgram};
use crate::semantics::Control;

/// Whether each function runs only before the other CPUs are started.
pub(super) fn functions_before_smp(
    image: &Image<'_>,
    program: &RecoveredProgram<'_>,
    is_exported: &[bool],
    has_pointer: &dyn Fn(FuncId) -> bool,
) -> Vec<bool> {
    let mut before = vec![false; program.functions().len()];
    if !image.is_kernel() || image.kind() == ImageKind::Rel {
        return before;
    }
    let start = named(image, program, "start_kernel");
    let early = early_initcalls(image, program);
    let boot_calls = BootCalls::of(image, program);
    for id in program.ids() {
        let is_called = program.callers(id).next().is_some();
        let is_hidden = !is_exported[id.index()] && !program.is_in_data(id);
        before[id.index()] =
            Some(id) == start || early.contains(&id) || is_called && is_hidden && !has_pointer(id);
    }
    // Every function that can be called later is removed, and so are the functions that it calls.
    let is_fixed = |id: FuncId| Some(id) == start;
    let mut later: Vec<FuncId> = program.ids().filter(|id| !before[id.index()]).collect();
    while let Some(caller) = later.pop() {
        for call in program.calls_of(caller) {
            let callee = call.callee;
            if before[callee.index()] && !is_fixed(callee) && !boot_calls.contains(call) {
                before[callee.index()] = false;
                later.push(callee);
            }
        }
    }
    before
}

fn named(image: &Image<'_>, program: &RecoveredProgram<'_>, name: &str) -> Option<FuncId> {
    image.symbols().named(name).find_map(|(_, symbol)| program.starting_at(symbol.address))
}

/// The calls of `kernel_init_freeable()` that precede its call of `smp_init()`. Execution reaches
/// none of them after that call.
struct BootCalls {
    caller: Option<FuncId>,
    sites: Vec<Svma>,
}

impl BootCalls {
    fn of(image: &Image<'_>, program: &RecoveredProgram<'_>) -> Self {
        let caller = named(image, program, "kernel_init_freeable");
        let smp_init = named(image, program, "smp_init");
        let sites = match (caller, smp_init) {
            (Some(caller), Some(smp_init)) => calls_before(program, caller, smp_init),
            _ => Vec::new(),
        };
        Self { caller, sites }
    }

    fn contains(&self, call: &CallSite) -> bool {
        Some(call.caller) == self.caller && self.sites.contains(&call.at)
    }
}

/// The calls in `caller` that no path reaches after a call of `last`.
fn calls_before(program: &RecoveredProgram<'_>, caller: FuncId, last: FuncId) -> Vec<Svma> {
    let cfg = Cfg::new(program, caller);
    let block_of = |at: Svma| cfg.block_at(at).unwrap_or_default();
    let calls = program.calls_of(caller);
    let lasts: Vec<Svma> =
        calls.iter().filter(|call| call.callee == last).map(|call| call.at).collect();
    let follows = |at: Svma| {
        lasts.iter().any(|last| {
            let (from, to) = (block_of(*last), block_of(at));
            from == to && at >= *last || cfg.has_path(from, to)
        })
    };
    let events = program.events_of(caller).iter();
    let sites = events.filter(|event| matches!(event.control, Control::Call { .. }));
    let sites = sites.map(|event| event.at).filter(|at| !follows(*at));
    if lasts.is_empty() { Vec::new() } else { sites.collect() }
}

/// The early initcalls.
fn early_initcalls(image: &Image<'_>, program: &RecoveredProgram<'_>) -> Vec<FuncId> {
    let bound = |name| image.symbols().named(name).next().map(|(_, symbol)| symbol.address);
    let table = bound("__initcall_start").zip(bound("__initcall0_start"));
    let Some(range) = table.and_then(|(start, end)| AddrRange::new(start, end)) else {
        return Vec::new();
    };
    let Ok(relocated) = image.read_relocated(range) else { return Vec::new() };
    let words = relocated.bytes.as_chunks::<4>().0.iter().filter_map(|raw| image.u32_from(raw));
    let offsets: Vec<u32> = words.collect();
    let pointers = relocated.bytes.as_chunks::<8>().0.iter().filter_map(|raw| image.u64_from(raw));
    let of_pointers: Vec<FuncId> =
        pointers.filter_map(|at| program.starting_at(Svma(at))).collect();
    if !of_pointers.is_empty() {
        return of_pointers;
    }
    relative(range.start(), &offsets).filter_map(|at| program.starting_at(at)).collect()
}

/// The targets of a table of self-relative entries (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS,
/// `include/linux/init.h`, Linux 4.19 and later).
fn relative(start: Svma, offsets: &[u32]) -> impl Iterator<Item = Svma> {
    (0u64..).zip(offsets).map(move |(index, offset)| {
        start.wrapping_add(index * 4).wrapping_offset(i64::from(offset.cast_signed()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_relative_to_itself() {
        let found: Vec<u64> = relative(Svma(0x1000), &[0x20, 0xffff_fff0]).map(|at| at.0).collect();
        assert_eq!(found, [0x1020, 0xff4]);
    }
}
