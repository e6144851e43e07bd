//! The cost of a plan under each strategy of synchronisation.

use super::model::{Batch, Cost, Op, Per};
use crate::sync::SyncMethod;
use std::collections::HashSet;

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4096;
/// Bytes of a cache line: the smallest line that CTR_EL0 reports on cores in use, and the line of
/// x86.
pub const LINE_BYTES: u64 = 64;

/// The memory that ops touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Number of distinct pages of [`PAGE_BYTES`].
    pub pages: usize,
    /// Number of distinct cache lines of [`LINE_BYTES`].
    pub lines: usize,
}

/// The pages and cache lines that `ops` touch.
#[must_use]
pub fn footprint(ops: &[Op<'_>]) -> Footprint {
    let spans = |unit: u64| {
        let touched: HashSet<(usize, u64)> = ops
            .iter()
            .flat_map(|op| {
                let last = op.code.0.saturating_add(op.old.len().max(1) as u64 - 1);
                (op.code.0 / unit..=last / unit).map(move |number| (op.image, number))
            })
            .collect();
        touched.len()
    };
    Footprint { pages: spans(PAGE_BYTES), lines: spans(LINE_BYTES) }
}

/// The cost of every strategy of an architecture, the weakest guarantee first.
#[must_use]
pub fn costs(
    ops: &[Op<'_>],
    batches: &[Batch],
    kernel_syncs: usize,
    arch: &str,
    of_batch: SyncMethod,
    cpus: u32,
) -> Vec<Cost> {
    let has_maintenance = arch == "arm64";
    // The kernel cleans and invalidates one line for each site; the shim maintains the distinct
    // lines of a batch.
    let by_site = if has_maintenance { 2 * ops.len() } else { 0 };
    let by_line = if has_maintenance {
        let of = |batch: &Batch| ops.get(batch.first..batch.first + batch.ops).unwrap_or_default();
        2 * batches.iter().map(|batch| footprint(of(batch)).lines).sum::<usize>()
    } else {
        0
    };
    let cost = |sync: SyncMethod, per: Option<Per>, maintenance| {
        let uses = match per {
            None => 0,
            Some(Per::Site) => ops.len(),
            Some(Per::Key) => kernel_syncs,
            Some(Per::Batch) => batches.len(),
        };
        let broadcasts = uses as u64 * sync.broadcasts();
        Cost { sync, per, maintenance, broadcasts, cpu_syncs: broadcasts * u64::from(cpus) }
    };
    let batched =
        if of_batch == SyncMethod::MembarrierSyncCore { kernel_sync(arch) } else { of_batch };
    let mut costs = vec![
        cost(SyncMethod::Nosync, None, by_site),
        cost(SyncMethod::StopMachine, Some(Per::Site), by_site),
        cost(SyncMethod::Ipi, Some(Per::Site), by_site),
        cost(batched, Some(Per::Key), by_site),
        cost(batched, Some(Per::Batch), by_site),
    ];
    costs.push(cost(SyncMethod::MembarrierSyncCore, Some(Per::Batch), by_line));
    costs
}

fn kernel_sync(arch: &str) -> SyncMethod {
    SyncMethod::of_batch(arch, crate::target::World::Kernel)
}
