//! The witness of a finding: the path from an entry point to the patch and back to the return.

use super::finding::{Affected, Evidence, Role, WitnessStep};
use super::obligation::Root;
use super::reach::Reach;
use super::subject::Subject;
use super::syncs::{Effect, Syncs};
use crate::addr::Svma;
use crate::program::{CallKind, Event, Exit, FuncId};
use crate::semantics::Control;
use foldhash::HashMap;
use std::collections::VecDeque;

/// Names that a finding lists.
const NAMED: usize = 6;

/// How code outside the analysis can enter a function, from the strongest evidence to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum EntryKind {
    /// Exported to modules or other programs.
    Exported,
    /// A system call.
    SystemCall,
    /// Called when the module is loaded or removed.
    Module,
    /// Its address is in data: a table of operations, a notifier.
    Data,
    /// Code makes its address: the function is passed as a callback.
    Argument,
    /// Only functions that never return call it: an exception entry, the loop of a thread.
    Loop,
    /// It has no visible caller.
    Uncalled,
}

/// How `id` can be entered; `None` if it cannot.
pub(super) fn entry_kind(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    id: FuncId,
) -> Option<EntryKind> {
    let program = &subject.program;
    if subject.runs_before_smp(id) {
        return None;
    }
    if subject.is_module_entry(id) {
        Some(EntryKind::Module)
    } else if subject.is_exported(id) {
        Some(EntryKind::Exported)
    } else if subject.is_system_call(id) {
        Some(EntryKind::SystemCall)
    } else if syncs.is_callback(id) {
        // It runs while all CPUs are stopped.
        None
    } else if program.is_in_data(id) {
        Some(EntryKind::Data)
    } else if !subject.taken_at(id).is_empty() {
        Some(EntryKind::Argument)
    } else if program.callers(id).next().is_none() {
        Some(EntryKind::Uncalled)
    } else if program.callers(id).all(|call| program.is_noreturn(call.caller)) {
        Some(EntryKind::Loop)
    } else {
        None
    }
}

/// The functions that `reach` contains, counted.
pub(super) fn affected(subject: &Subject<'_, '_>, reach: &Reach) -> Affected {
    let ids = || reach.functions.iter().map(|(id, _)| *id);
    let exported: Vec<FuncId> = ids().filter(|id| subject.is_exported(*id)).collect();
    let system_calls: Vec<FuncId> = ids().filter(|id| subject.is_system_call(*id)).collect();
    let mut best_known: Vec<String> =
        system_calls.iter().chain(&exported).map(|id| subject.name(*id)).collect();
    best_known.truncate(NAMED);
    Affected {
        functions: reach.functions.len(),
        exported: exported.len(),
        system_calls: system_calls.len(),
        best_known,
    }
}

/// The entry point to show: one without a given-up analysis on its path, of the best known kind,
/// with the shortest path.
pub(super) fn best_entry(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    reach: &Reach,
) -> Option<(FuncId, EntryKind)> {
    let (certain, uncertain) = reach.functions.split_at_checked(reach.certain)?;
    let best = |functions: &[(FuncId, _)]| {
        let entry = |id| Some((id, entry_kind(subject, syncs, id)?));
        let entries = functions.iter().filter_map(|(id, _)| entry(*id));
        // Nearer functions come first, and `min_by_key` returns the first of equal elements.
        entries.min_by_key(|(_, kind)| match kind {
            EntryKind::Exported | EntryKind::SystemCall | EntryKind::Module => EntryKind::Exported,
            other => *other,
        })
    };
    best(certain).or_else(|| best(uncertain))
}

/// The steps from `entry` to the patch in the root and back to the return.
pub(super) fn steps(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    reach: &Reach,
    entry: FuncId,
    kind: EntryKind,
) -> Vec<WitnessStep> {
    let got_by: HashMap<FuncId, _> =
        reach.functions.iter().filter_map(|(id, call)| Some((*id, (*call)?))).collect();
    // A path through a function with guessed edges is a guess itself.
    let known = |function, evidence: Evidence| {
        let is_guess = subject.cfg(function).has_guessed_edges;
        Some(if is_guess { evidence.max(Evidence::Unresolved) } else { evidence })
    };
    let step = |role, function, address| WitnessStep {
        role,
        function: subject.name(function),
        address,
        callee: None,
        evidence: None,
    };
    let start = subject.program.function(entry).range.start();
    let mut steps = vec![WitnessStep {
        evidence: match kind {
            EntryKind::Data => Some(Evidence::Data),
            EntryKind::Argument => Some(Evidence::Argument),
            _ => None,
        },
        ..step(Role::Entry, entry, start)
    }];
    let mut at = entry;
    while let Some(call) = got_by.get(&at) {
        steps.push(WitnessStep {
            callee: Some(subject.name(call.callee)),
            evidence: if reach.is_certain(at) {
                known(at, evidence(call.kind))
            } else {
                Some(Evidence::Unresolved)
            },
            ..step(Role::Call, at, call.at)
        });
        at = call.callee;
    }
    // The last patch that is pending at the return; if the analysis was given up, the last patch.
    let calls = root.sites.iter().map(|(site, source)| (*site, Some(*source)));
    let mut patches: Vec<(Svma, Option<FuncId>)> =
        calls.chain(root.stores.iter().map(|site| (*site, None))).collect();
    patches.sort_unstable();
    let is_pending = |(site, _): &&(Svma, _)| reach.at_root.sites.contains(site);
    if let Some((site, source)) = patches.iter().rfind(is_pending).or(patches.last()) {
        steps.push(WitnessStep {
            callee: source.map(|source| subject.name(source)),
            evidence: source.and_then(|_| known(root.function, Evidence::Call)),
            ..step(Role::Patch, root.function, *site)
        });
    }
    // The last step is in the entry, or the patch in the root.
    let from = steps.iter().rfind(|step| step.function == subject.name(entry));
    let from = from.map_or(start, |step| step.address);
    if let Some(at) = unsynced_exit(subject, syncs, entry, from) {
        steps.push(step(Role::Exit, entry, at));
    }
    steps
}

/// The nearest exit of a function that is reachable from the instruction at `from` without a
/// synchronisation in between.
fn unsynced_exit(subject: &Subject<'_, '_>, syncs: &Syncs, id: FuncId, from: Svma) -> Option<Svma> {
    let cfg = subject.cfg(id);
    let first = cfg.block_at(from)?;
    let syncs_at = |event: &Event| match event.control {
        Control::Call { to } => subject
            .program
            .function_at(to)
            .is_some_and(|callee| syncs.effect(subject, id, callee, event.at) == Effect::Syncs),
        _ => syncs.is_sync_core(event.at),
    };
    let mut seen = vec![false; cfg.blocks.len()];
    let mut queue = VecDeque::from([(first, Some(from))]);
    while let Some((index, after)) = queue.pop_front() {
        let block = &cfg.blocks[index];
        let events = &subject.program.events()[block.events.clone()];
        let mut later = events.iter().filter(|event| after.is_none_or(|after| event.at > after));
        if later.any(syncs_at) {
            continue;
        }
        let exit = block.exits.iter().find_map(|exit| match *exit {
            Exit::TailCall { at, to } => {
                (syncs.effect(subject, id, to, at) != Effect::Syncs).then_some(at)
            }
            Exit::Return { at } | Exit::Unknown { at } => Some(at),
        });
        if exit.is_some() {
            return exit;
        }
        for next in block.successors.iter().map(|next| next.index()) {
            if !std::mem::replace(&mut seen[next], true) {
                queue.push_back((next, None));
            }
        }
    }
    None
}

/// The evidence of a call.
const fn evidence(kind: CallKind) -> Evidence {
    match kind {
        CallKind::Call => Evidence::Call,
        CallKind::Tail => Evidence::TailCall,
    }
}

/// Names of the functions on the path, without repeats: part of the fingerprint.
pub(super) fn chain(steps: &[WitnessStep]) -> String {
    let mut names: Vec<&str> = steps.iter().map(|step| step.function.as_str()).collect();
    names.dedup();
    names.join(">")
}
