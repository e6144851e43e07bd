//! Makes the summary of a kernel.

use super::kernel::KernelSummary;
use super::model::FunctionRole;
use super::reach::Reach;
use super::subject::Subject;
use super::syncs::Syncs;
use crate::program::FuncId;

/// Adds the exported functions that `reach`, of the root `root`, gets to.
pub(super) fn add(
    summary: &mut KernelSummary,
    subject: &Subject<'_, '_>,
    root: &str,
    reach: &Reach,
) {
    for (id, _) in reach.functions.iter().filter(|(id, _)| subject.is_exported(*id)) {
        summary.pending.entry(subject.name(*id)).or_insert_with(|| root.to_owned());
    }
}

/// Adds the exported functions that synchronise.
pub(super) fn add_syncs(summary: &mut KernelSummary, subject: &Subject<'_, '_>, syncs: &Syncs) {
    let exported = subject.program.ids().filter(|id| subject.is_exported(*id));
    let is_sync = |id: &FuncId| {
        let role = subject.role(*id);
        syncs.always(*id)
            || matches!(role, Some(FunctionRole::Syncs | FunctionRole::PatchesAndSyncs))
    };
    summary.syncs.extend(exported.filter(is_sync).map(|id| subject.name(id)));
}
