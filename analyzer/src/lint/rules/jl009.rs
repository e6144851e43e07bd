//! JL009: membarrier with the wrong command, or never registered.

use crate::lint::finding::Finding;
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::lint::syncs::{REGISTER_SYNC_CORE, SYNC_CORE, Syncs};

pub(in crate::lint) static JL009: RuleDescriptor = RuleDescriptor {
    code: "JL009",
    name: "membarrier with the wrong command, or never registered",
    level: Level::Warning,
    since: "0.1.0",
    summary: "A program that writes code calls membarrier with a command that synchronises no \
        core, or without registering for it.",
    description: "Commands other than `SYNC_CORE` order memory accesses only: the cores may \
        continue to execute old instructions. `SYNC_CORE` without a registration fails with EPERM \
        and synchronises nothing.",
    algorithm: "The rule decodes calls of `syscall(283, ...)` and SVC instructions with x8 = 283, \
        in files that write code. The command is `SYNC_CORE` (0x20), its registration (0x40), or \
        another. The rule reports the commands for data (`GLOBAL`, `GLOBAL_EXPEDITED`, \
        `PRIVATE_EXPEDITED` and the RSEQ variant) in a function that patches existing code and \
        synchronises no core, if the file never calls `SYNC_CORE`; and it \
        reports `SYNC_CORE` if the file never registers for it. A finding of JL009 replaces the \
        finding of JL001 in the same function and has the higher level of the two, because both \
        have the same cause.",
    false_positives: "A registration in another file of the same program.",
    false_negatives: "- A command that is not a constant.\n\
        - A command for data in a function other than the one that patches.",
    history: "- Up to Linux 5.9 `SYNC_CORE` left out the calling thread; e45cdc71d1fa (5.10) \
        includes it.\n\
        - wasmtime falls back to `MEMBARRIER_CMD_GLOBAL` on EINVAL, which is a memory barrier \
        only (wasmtime#3310).",
    fix: "Call `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE` once at the start and \
        `MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE` after each batch of patches, and check the \
        result of both.",
};

/// The detail in the fingerprint of a finding about a command.
const COMMAND: &str = "command";

/// Commands that order memory accesses only: GLOBAL, GLOBAL_EXPEDITED, PRIVATE_EXPEDITED, and the
/// RSEQ variant.
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
    let location = |call: &crate::lint::syncs::Membarrier| (call.function, call.at);
    let mut found = Vec::new();
    if has(SYNC_CORE) && !has(REGISTER_SYNC_CORE) {
        found.extend(syncs.membarriers.iter().find(|call| call.command == Some(SYNC_CORE)).map(
            |call| {
                let message = format!(
                    "{} calls membarrier(SYNC_CORE), and nothing in the file registers for it",
                    subject.name(call.function)
                );
                Finding::at(subject, &JL009, JL009.level, location(call), "unregistered", message)
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
            Finding::at(subject, &JL009, JL009.level, location(call), COMMAND, message)
        }));
    }
    found
}

/// Combines the findings of this rule with those of the missing synchronisation, because both have
/// one cause. A finding of this rule in the same function replaces the other and has the higher
/// level of the two. A command for data is a finding only there: elsewhere it is for data.
pub(in crate::lint) fn combine(findings: &mut Vec<Finding>) {
    let unsynced: Vec<(Option<String>, Level)> = findings
        .iter()
        .filter(|finding| finding.rule == super::jl001::JL001.code)
        .map(|finding| (finding.function.clone(), finding.level))
        .collect();
    let level_of = |finding: &Finding| {
        let same = unsynced.iter().filter(|(function, _)| *function == finding.function);
        same.map(|(_, level)| *level).max()
    };
    findings.retain(|finding| {
        let is_command = finding.rule == JL009.code && finding.fingerprint.ends_with(COMMAND);
        !is_command || level_of(finding) > Some(Level::Note)
    });
    let mut replaced = Vec::new();
    for finding in findings.iter_mut().filter(|found| found.rule == JL009.code) {
        finding.level = level_of(finding).map_or(finding.level, |level| level.max(finding.level));
        replaced.push(finding.function.clone());
    }
    findings.retain(|finding| {
        finding.rule != super::jl001::JL001.code || !replaced.contains(&finding.function)
    });
}
