//! JL002 patch without instruction-cache maintenance.
//!
//! # Algorithm
//! In kernels: a function that calls a raw writer of instructions and neither maintains
//! caches nor calls, a few calls deep, what does. In programs: a function that stores
//! through a pointer and makes memory executable, in a file in which nothing maintains
//! caches.
//!
//! # False positives
//! A loader that makes a file's mapping executable: the kernel maintains that.
//!
//! # False negatives
//! Maintenance on one way of several; another file that maintains.

use super::finding::Finding;
use super::model::FunctionRole;
use super::place::{callees, finding};
use super::rule::{Level, RuleDescriptor};
use super::subject::Subject;
use crate::program::{CacheOp, FuncId, INSN_BYTES, Insn, decode};

pub(super) static JL002: RuleDescriptor = RuleDescriptor {
    code: "JL002",
    title: "patch without instruction-cache maintenance",
    level: Level::Warning,
    finds: "Instructions are written and nothing cleans the data cache and invalidates the \
        instruction cache to the point of unification. Any CPU, the writing one included, may \
        execute what was there before, for as long as its cache holds it.",
    how: "In kernels, callers of raw writers (aarch64_insn_write) that come to no maintenance in \
        four calls. In programs, functions that store through a pointer and call mprotect or mmap \
        with PROT_EXEC, in a file without any cache maintenance.",
    false_positives: "Loaders that map code out of files, which the kernel maintains.",
    false_negatives: "Maintenance on one way of several, or in another file.",
    history: "CPUs with CTR_EL0.DIC = 1 hide it: they need neither DC nor IC. Neoverse-N1 erratum \
        1542419 (222fc0c8503d) needs more than the architecture says.",
    fix: "__builtin___clear_cache() over what was written, before anyone executes it.",
};

/// PROT_EXEC of mmap(2) and mprotect(2).
pub(super) const PROT_EXEC: u64 = 4;

pub(super) fn findings(subject: &Subject<'_, '_>) -> Vec<Finding> {
    if subject.is_kernel { raw_writers(subject) } else { executable_memory(subject) }
}

fn maintains(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    let has_cache_op = |id: FuncId| {
        subject
            .program
            .events_of(id)
            .iter()
            .any(|event| matches!(event.insn, Insn::Cache(op) if op != CacheOp::CleanData))
    };
    callees(subject, id, 4).into_iter().any(|id| {
        matches!(
            subject.role(id),
            Some(FunctionRole::Maintains | FunctionRole::Patches | FunctionRole::PatchesAndSyncs)
        ) || has_cache_op(id)
    })
}

fn raw_writers(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let is_raw = |id: &FuncId| subject.role(*id) == Some(FunctionRole::Writes);
    let calls = subject.program.ids().filter(is_raw).flat_map(|id| subject.program.callers(id));
    calls
        .filter(|call| subject.role(call.caller) != Some(FunctionRole::Writes))
        .filter(|call| !maintains(subject, call.caller))
        .map(|call| {
            let (name, writer) = (subject.name(call.caller), subject.name(call.callee));
            let message = format!("{name} writes instructions ({writer}) and maintains no caches");
            finding(subject, &JL002, JL002.level, (call.caller, call.at), &writer, message)
        })
        .collect()
}

fn executable_memory(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let program = &subject.program;
    let has_maintenance = program.ids().any(|id| subject.role(id) == Some(FunctionRole::Maintains))
        || program.events().iter().any(|event| event.insn == Insn::Cache(CacheOp::InvalidateInsn));
    if has_maintenance {
        return Vec::new();
    }
    subject
        .protections()
        .iter()
        .filter(|call| call.protection & PROT_EXEC != 0 && stores(subject, call.function))
        .map(|call| {
            let name = subject.name(call.function);
            let message = format!(
                "{name} stores through a pointer and makes memory executable ({}), and nothing in \
                 the file maintains instruction caches",
                call.name
            );
            finding(subject, &JL002, JL002.level, (call.function, call.at), call.name, message)
        })
        .collect()
}

/// Whether a function stores elsewhere than to its stack.
fn stores(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    let range = subject.program.function(id).range;
    let mut at = range.start();
    while at < range.end() {
        if let Some(word) = subject.program.word(at)
            && let Insn::Store { base, .. } = decode(word, at)
            && !matches!(base.number(), 29 | 31)
        {
            return true;
        }
        at = at.wrapping_add(INSN_BYTES);
    }
    false
}
