//! JL008: sync per site where a batch would do.

use crate::addr::Svma;
use crate::lint::finding::Finding;
use crate::lint::model::FunctionRole;
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::lint::syncs::{Effect, Syncs};
use crate::program::FuncId;
use crate::semantics::Control;

pub(in crate::lint) static JL008: RuleDescriptor = RuleDescriptor {
    code: "JL008",
    name: "sync per site where a batch would do",
    level: Level::Note,
    since: "0.1.0",
    summary: "A loop patches one site and synchronises all CPUs in each pass.",
    description: "Each pass interrupts all other CPUs. One synchronisation after the loop gives \
        the same guarantee at a fraction of the cost.",
    algorithm: "The rule reports a loop that contains a call of a patching primitive and a call \
        that synchronises, or a call of a primitive that does both.",
    false_positives: "A loop in which each change must take effect before the next one is made.",
    false_negatives: "A loop whose body is another function.",
    history: "- f6cc0c501649 removed `stop_machine()` for each site from the static keys of arm64 \
        because it deadlocked (see JL013). The synchronisation was lost with it (see JL001); \
        batches came with cfb00a357864.\n\
        - riscv batches its static keys since 652b56b18439 (Linux 6.11).",
    fix: "Queue the patches and synchronise once, after the loop.",
};

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>, syncs: &Syncs) -> Vec<Finding> {
    let program = &subject.program;
    let is_sync = |id: &FuncId| {
        matches!(
            subject.role(*id),
            Some(
                FunctionRole::Syncs
                    | FunctionRole::SyncsIfCallbackIsbs { .. }
                    | FunctionRole::PatchesAndSyncs
            )
        ) || syncs.always(*id)
    };
    let mut callers: Vec<FuncId> = program
        .ids()
        .filter(is_sync)
        .flat_map(|id| program.callers(id))
        .map(|call| call.caller)
        .collect();
    callers.sort_unstable();
    callers.dedup();
    callers.into_iter().filter_map(|id| check_function(subject, syncs, id)).collect()
}

fn check_function(subject: &Subject<'_, '_>, syncs: &Syncs, id: FuncId) -> Option<Finding> {
    let cfg = subject.cfg(id);
    let program = &subject.program;
    // (block, address, patches, synchronises)
    let mut calls: Vec<(usize, Svma, bool, bool)> = Vec::new();
    for (block, of_block) in cfg.blocks.iter().enumerate() {
        for event in &program.events()[of_block.events.clone()] {
            let Control::Call { to } = event.control else { continue };
            let Some(callee) = program.starting_at(to) else { continue };
            let both = subject.role(callee) == Some(FunctionRole::PatchesAndSyncs);
            let effect = syncs.effect(subject, id, callee, event.at);
            let patches = both || effect == Effect::Patches;
            let synchronises = effect == Effect::Syncs;
            if patches || synchronises {
                calls.push((block, event.at, patches, synchronises));
            }
        }
    }
    let sync = calls.iter().find(|(sync_block, _, _, synchronises)| {
        let is_in_loop_with = |patch_block: usize| {
            cfg.has_path(*sync_block, patch_block) && cfg.has_path(patch_block, *sync_block)
        };
        *synchronises
            && calls.iter().any(|(block, _, patches, _)| *patches && is_in_loop_with(*block))
    })?;
    let name = subject.name(id);
    let message = format!("{name} patches and synchronises in each pass of a loop");
    Some(Finding::at(subject, &JL008, JL008.level, (id, sync.1), "", message))
}
