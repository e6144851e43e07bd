//! JL009 membarrier with the wrong command, or never registered.
//!
//! # Algorithm
//! Commands of all calls of membarrier(2), where they are constants, in files that write
//! code.
//!
//! # False positives
//! A file that uses membarrier for data alone and writes code beside it.
//!
//! # False negatives
//! Commands that are computed; registration in another file.

use crate::lint::finding::Finding;
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::lint::syncs::{REGISTER_SYNC_CORE, SYNC_CORE, Syncs};

pub(in crate::lint) static JL009: RuleDescriptor = RuleDescriptor {
    code: "JL009",
    title: "membarrier with the wrong command, or never registered",
    level: Level::Warning,
    finds: "A program that writes code calls membarrier with a command that orders memory and \
        makes no core synchronise, or calls SYNC_CORE without having registered for it, which \
        fails with EPERM and synchronises nothing.",
    how: "Calls of syscall(283, …) and SVC with x8 = 283 are decoded; 0x20 is SYNC_CORE, 0x40 its \
        registration.",
    false_positives: "A program that needs the barrier for data.",
    false_negatives: "Commands that are no constants; registration in another file.",
    history: "membarrier's SYNC_CORE: e45cdc71d1fa and what followed; wasmtime falls back to \
        CMD_GLOBAL on EINVAL, which is a memory barrier alone.",
    fix: "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE once at the start, \
        MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE behind each batch of patches; look at what both \
        return.",
};

/// Commands that make threads run a barrier for data: GLOBAL, GLOBAL_EXPEDITED,
/// PRIVATE_EXPEDITED, and the RSEQ variant.
const FOR_DATA: [u64; 4] = [1 << 0, 1 << 1, 1 << 3, 1 << 7];

pub(in crate::lint) fn findings(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    writes_code: bool,
) -> Vec<Finding> {
    if !writes_code {
        return Vec::new();
    }
    let has = |command| syncs.membarriers.iter().any(|call| call.command == Some(command));
    let place = |call: &crate::lint::syncs::Membarrier| (call.function, call.at);
    let mut found = Vec::new();
    if has(SYNC_CORE) && !has(REGISTER_SYNC_CORE) {
        found.extend(syncs.membarriers.iter().find(|call| call.command == Some(SYNC_CORE)).map(
            |call| {
                let message = format!(
                    "{} calls membarrier(SYNC_CORE), and nothing in the file registers for it",
                    subject.name(call.function)
                );
                Finding::at(subject, &JL009, JL009.level, place(call), "unregistered", message)
            },
        ));
    }
    if !has(SYNC_CORE) {
        let wrong = syncs.membarriers.iter().filter(|call| {
            call.command.is_some_and(|command| FOR_DATA.contains(&(command & 0xffff_ffff)))
        });
        found.extend(wrong.map(|call| {
            let command = call.command.unwrap_or_default();
            let message = format!(
                "{} calls membarrier({command:#x}), which orders data and synchronises no core: \
                 expected SYNC_CORE ({SYNC_CORE:#x})",
                subject.name(call.function)
            );
            Finding::at(subject, &JL009, JL009.level, place(call), "command", message)
        }));
    }
    found
}
