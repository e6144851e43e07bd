//! JL002: patch without instruction-cache maintenance.

use crate::addr::Svma;
use crate::lint::code_stores::CodeStore;
use crate::lint::finding::Finding;
use crate::lint::model::FunctionRole;
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::{PROT_EXEC, Subject};
use crate::program::{Cfg, Event, FuncId, RecoveredProgram, constant_at};
use crate::semantics::{CacheOp, Control, INSN_BYTES, Operation};

pub(in crate::lint) static JL002: RuleDescriptor = RuleDescriptor {
    code: "JL002",
    name: "patch without instruction-cache maintenance",
    level: Level::Warning,
    since: "0.1.0",
    summary: "Code is written, but the caches are not maintained, or not for every line.",
    description: "Nothing cleans the data cache and invalidates the instruction cache to the \
        point of unification. Every CPU, including the one that writes, may execute the old \
        contents for as long as its instruction cache holds them.",
    algorithm: "In kernels the rule reports three defects:\n\n\
        - A function stores to the constant address of a function, or copies to it, and neither \
        it nor a function up to four calls below it nor each of its callers maintains instruction \
        caches. This is an error. In a module, an undefined symbol counts as a function if the \
        module calls it, if a primitive patches it, or if the kernel exports a function of its \
        name.\n\
        - A function calls a raw writer of instructions (`aarch64_insn_write`), but neither the \
        function nor a function up to four calls below it maintains instruction caches.\n\
        - A loop over `IC IVAU` takes the line size from data that can change. Neither the \
        function nor one of its direct callers reads `CTR_EL0`. On a machine whose CPUs have \
        lines of different sizes, the loop skips lines.\n\n\
        In programs it reports a function that stores through a pointer and calls `mmap` or \
        `mprotect` with a constant protection that includes `PROT_EXEC`, if nothing in the file \
        maintains instruction caches.",
    false_positives: "- A loader that maps code from a file: the kernel maintains the caches for \
        it.\n\
        - A line size in data that is the smallest of all CPUs.\n\
        - A cache-maintenance function that reads other data, and whose line size comes from a \
        caller further up.",
    false_negatives: "- Maintenance on some paths only, or in another file.\n\
        - A line size that a program keeps. Linux from 4.9 on shows every program the smallest \
        size of all CPUs (116c81f427ff), and libgcc relies on it.",
    history: "- CPUs with `CTR_EL0.DIC` and `CTR_EL0.IDC` set hide the defect, because they need \
        neither IC nor DC.\n\
        - Neoverse-N1 erratum 1542419 needs more than the architecture demands (222fc0c8503d).\n\
        - Lines of two sizes in one machine broke JIT compilers that kept the size \
        (dolphin#4204), until Linux showed the smallest size to all programs (116c81f427ff).\n\
        - gforth on arm64 writes code and maintains no caches.",
    fix: "Call `__builtin___clear_cache()` for the range that was written, before any thread \
        executes it. Read the line size from `CTR_EL0`, or keep the smallest of all CPUs.",
};

pub(in crate::lint) fn findings(
    subject: &Subject<'_, '_>,
    code_stores: &[CodeStore],
) -> Vec<Finding> {
    if !subject.is_kernel {
        return executable_memory(subject);
    }
    let mut found = raw_writers(subject);
    found.extend(stores_to_functions(subject, code_stores));
    found.extend(line_sizes_from_data(subject));
    found
}

/// Stores to the code of a function that nothing maintains the caches for: neither the function
/// that stores, nor each of its callers.
fn stores_to_functions(subject: &Subject<'_, '_>, code_stores: &[CodeStore]) -> Vec<Finding> {
    let is_maintained = |id: FuncId| {
        let mut callers = subject.program.callers(id).map(|call| call.caller).peekable();
        let by_callers = callers.peek().is_some() && callers.all(|id| subject.maintains(id));
        subject.maintains(id) || by_callers || subject.runs_before_smp(id)
    };
    let mut stores: Vec<&CodeStore> = code_stores.iter().collect();
    stores.dedup_by_key(|store| (store.function, store.target));
    let finding = |store: &CodeStore| {
        let (name, target) = (subject.name(store.function), subject.name(store.target));
        let message = format!("{name} stores to the code of {target} and maintains no caches");
        Finding::at(subject, &JL002, Level::Error, (store.function, store.at), &target, message)
    };
    stores.into_iter().filter(|store| !is_maintained(store.function)).map(finding).collect()
}

fn raw_writers(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let is_raw = |id: &FuncId| subject.role(*id) == Some(FunctionRole::Writes);
    let calls = subject.program.ids().filter(is_raw).flat_map(|id| subject.program.callers(id));
    calls
        .filter(|call| subject.role(call.caller) != Some(FunctionRole::Writes))
        .filter(|call| !subject.maintains(call.caller))
        .map(|call| {
            let (name, writer) = (subject.name(call.caller), subject.name(call.callee));
            let message = format!("{name} writes instructions ({writer}) and maintains no caches");
            Finding::at(subject, &JL002, JL002.level, (call.caller, call.at), &writer, message)
        })
        .collect()
}

fn invalidates_line(event: &Event) -> bool {
    matches!(event.control, Control::Cache(CacheOp::InvalidateInsn, _))
}

/// Cache-maintenance loops whose line size comes from data.
fn line_sizes_from_data(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let program = &subject.program;
    let lines = program.events().iter().filter(|event| invalidates_line(event));
    let mut loops: Vec<(FuncId, Svma)> =
        lines.filter_map(|event| Some((program.function_at(event.at)?, event.at))).collect();
    loops.dedup_by_key(|(function, _)| *function);
    loops.retain(|(function, at)| {
        is_in_loop(&subject.cfg(*function), *at)
            && !reads_size(program, *function)
            && !program.callers(*function).any(|call| reads_size(program, call.caller))
            && loads_word(subject, *function)
    });
    loops
        .into_iter()
        .map(|found| {
            let name = subject.name(found.0);
            let message = format!(
                "{name} maintains caches line by line, with a line size from data instead of \
                 CTR_EL0: on a CPU with shorter lines some lines are skipped"
            );
            Finding::at(subject, &JL002, JL002.level, found, "line", message)
        })
        .collect()
}

fn is_in_loop(cfg: &Cfg, at: Svma) -> bool {
    let block = cfg.block_at(at);
    block.is_some_and(|block| cfg.has_path(block, block))
}

/// Whether a function reads CTR_EL0.
fn reads_size(program: &RecoveredProgram<'_>, id: FuncId) -> bool {
    let range = program.function(id).range;
    (0..range.size() / INSN_BYTES)
        .filter_map(|index| program.word(range.start().wrapping_add(index * INSN_BYTES)))
        .any(|word| word & !31 == MRS_CTR_EL0)
}

/// Whether a function loads data that can change from a constant address.
fn loads_word(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    let mut found = false;
    subject.for_each_instruction(id, |state, at, operation| {
        let Operation::Access(access) = operation else { return };
        if access.is_load() {
            let from = state.address(subject.image, at, access).as_number();
            found |= from.is_some_and(|from| constant_at(subject.image, Svma(from)).is_none());
        }
    });
    found
}

/// MRS X0, CTR_EL0.
const MRS_CTR_EL0: u32 = 0xd53b_0020;

fn executable_memory(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let program = &subject.program;
    let has_maintenance = program.ids().any(|id| subject.role(id) == Some(FunctionRole::Maintains))
        || program.events().iter().any(invalidates_line);
    if has_maintenance {
        return Vec::new();
    }
    subject
        .protections()
        .iter()
        .filter(|call| call.protection & PROT_EXEC != 0 && subject.stores(call.function))
        .map(|call| {
            let name = subject.name(call.function);
            let message = format!(
                "{name} stores through a pointer and makes memory executable ({}), and nothing in \
                 the file maintains instruction caches",
                call.name
            );
            Finding::at(subject, &JL002, JL002.level, (call.function, call.at), call.name, message)
        })
        .collect()
}
