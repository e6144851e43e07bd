//! JL002 patch without instruction-cache maintenance.
//!
//! # Algorithm
//! In kernels: a function that calls a raw writer of instructions and neither maintains
//! caches nor calls, a few calls deep, what does. In programs: a function that stores
//! through a pointer and makes memory executable, in a file in which nothing maintains
//! caches.
//! In kernels and modules as well: a loop over IC IVAU in a function that does not read
//! CTR_EL0, and none of whose callers does, but reads data that can change: the size of a
//! line was kept there, and may be that of another CPU.
//!
//! # False positives
//! A loader that makes a file's mapping executable: the kernel maintains that. A size that
//! is the smallest of all CPUs. A function that reads other data, and gets the size from
//! a caller further away.
//!
//! # False negatives
//! Maintenance on one way of several; another file that maintains. A size kept by a
//! program: Linux from 4.9 on shows every program the smallest (116c81f427ff), and libgcc
//! relies on it.

use crate::addr::Svma;
use crate::dataflow::solve;
use crate::lint::finding::Finding;
use crate::lint::model::FunctionRole;
use crate::lint::registers::{FunctionBody, RegisterAnalysis, ValueOrigin};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::{PROT_EXEC, Subject};
use crate::program::{
    AccessKind, CacheOp, Cfg, Event, FuncId, INSN_BYTES, Insn, RecoveredProgram, access, decode,
};

pub(in crate::lint) static JL002: RuleDescriptor = RuleDescriptor {
    code: "JL002",
    title: "patch without instruction-cache maintenance",
    level: Level::Warning,
    finds: "Instructions are written and nothing cleans the data cache and invalidates the \
        instruction cache to the point of unification. Any CPU, the writing one included, may \
        execute what was there before, for as long as its cache holds it.",
    how: "In kernels, callers of raw writers (aarch64_insn_write) that come to no maintenance in \
        four calls, and loops over lines whose size is kept in data and not read from CTR_EL0: \
        where CPUs differ, lines are skipped. In programs, functions that store through a \
        pointer and call mprotect or mmap with PROT_EXEC, in a file without any cache maintenance.",
    false_positives: "Loaders that map code out of files, which the kernel maintains. A kept size \
        of a line that is the smallest of all CPUs.",
    false_negatives: "Maintenance on one way of several, or in another file. A size of a line kept \
        by a program, since Linux from 4.9 on lets it read none but the smallest.",
    history: "CPUs with CTR_EL0.DIC = 1 hide it: they need neither DC nor IC. Neoverse-N1 erratum \
        1542419 (222fc0c8503d) needs more than the architecture says. Lines of two sizes in one \
        machine broke JITs that kept the size (dolphin#4204), until Linux showed all the smallest \
        (116c81f427ff).",
    fix: "__builtin___clear_cache() over what was written, before anyone executes it.",
};

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>) -> Vec<Finding> {
    if !subject.is_kernel {
        return executable_memory(subject);
    }
    let mut found = raw_writers(subject);
    found.extend(kept_line_sizes(subject));
    found
}

fn maintains(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    let has_cache_op = |id: FuncId| {
        subject
            .program
            .events_of(id)
            .iter()
            .any(|event| matches!(event.insn, Insn::Cache(op) if op != CacheOp::CleanData))
    };
    subject.callees(id, 4).into_iter().any(|id| {
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
            Finding::at(subject, &JL002, JL002.level, (call.caller, call.at), &writer, message)
        })
        .collect()
}

/// Loops over lines of a size that was kept.
fn kept_line_sizes(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let program = &subject.program;
    let is_line = |event: &&Event| event.insn == Insn::Cache(CacheOp::InvalidateInsn);
    let lines = program.events().iter().filter(is_line);
    let mut places: Vec<(FuncId, Svma)> =
        lines.filter_map(|event| Some((program.function_at(event.at)?, event.at))).collect();
    places.dedup_by_key(|(function, _)| *function);
    places.retain(|(function, at)| {
        is_in_loop(&subject.cfg(*function), *at)
            && !reads_size(program, *function)
            && !program.callers(*function).any(|call| reads_size(program, call.caller))
            && loads_word(subject, *function)
    });
    places
        .into_iter()
        .map(|place| {
            let name = subject.name(place.0);
            let message = format!(
                "{name} maintains caches line by line, of a size that is kept in data and not read \
                 from CTR_EL0: on a CPU with shorter lines some are skipped"
            );
            Finding::at(subject, &JL002, JL002.level, place, "line", message)
        })
        .collect()
}

fn is_in_loop(cfg: &Cfg, at: Svma) -> bool {
    let block = cfg.blocks.partition_point(|block| block.start <= at).checked_sub(1);
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
    let (image, cfg) = (subject.image, subject.cfg(id));
    let values =
        RegisterAnalysis { image, body: FunctionBody { program: &subject.program, cfg: &cfg, id } };
    let Ok(before) = solve(&cfg, &values) else { return false };
    cfg.blocks.iter().zip(before).any(|(block, registers)| {
        let Some(mut registers) = registers else { return false };
        values.body.instructions(block).any(|(at, word, insn)| {
            let is_load = access(word).is_some_and(|access| {
                access.kind == AccessKind::Load && registers.address(access).is_some()
            });
            registers.execute(image, at, word, insn);
            let loaded = access(word).and_then(|access| registers.get(access.register));
            is_load && loaded.is_some_and(|value| matches!(value.origin, ValueOrigin::Word(_)))
        })
    })
}

/// MRS X0, CTR_EL0.
const MRS_CTR_EL0: u32 = 0xd53b_0020;

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
            Finding::at(subject, &JL002, JL002.level, (call.function, call.at), call.name, message)
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
