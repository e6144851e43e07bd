//! Plans: the sites to patch, their old and new bytes, and the batches.
//!
//! The semantics are the kernel's: a site holds a JMP exactly if `enabled ^ branch`. Three steps
//! make a plan, like a flip in the kernel: may a site be patched (`eligible`), queue, and apply a
//! full queue (`queue`). Impossible changes are refused key by key, for the targets that they
//! concern.

mod cost;
mod eligible;
mod key;
mod model;
mod planner;
mod queue;

pub use cost::{Footprint, LINE_BYTES, PAGE_BYTES, costs, footprint};
pub use model::{
    Batch, Cost, Deferral, KeyWrite, Op, Per, Plan, PlanError, PlanOptions, PlannedKey, Refusal,
};

use crate::images::ReadImage;
use crate::key_set::KeySet;
use crate::sync::{SyncMethod, default_queue};
use crate::target::World;
use crate::wish::Wish;
use jlctl_analyzer::jump_table::Special;
use planner::Planner;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// Makes the plan for `wishes`, which are by index in the set of the images' keys.
///
/// # Errors
/// If the images differ in architecture or world.
pub fn plan<'a>(
    images: &[ReadImage<'a>],
    set: &KeySet,
    wishes: &BTreeMap<usize, Wish>,
    options: PlanOptions,
) -> Result<Plan<'a>, PlanError> {
    let (arch, world) = common(images)?;
    let mut planner = Planner::new(images, world);
    for (at, wish) in wishes {
        if let Some(key) = set.keys().get(*at) {
            planner.add(*at, key, *wish);
        }
    }
    planner.refuse_images();
    let queue = options.queue.or_else(|| default_queue(arch).and_then(NonZeroUsize::new));
    let batches = queue::batches(planner.ops.len(), queue);
    planner.schedule_key_writes(&batches);
    let sync = SyncMethod::of_batch(arch, world);
    let Planner { keys, ops, key_writes, refusals, .. } = planner;
    let kernel_syncs =
        keys.iter().map(|key| key.ops.div_ceil(default_queue(arch).unwrap_or(usize::MAX))).sum();
    let costs = costs(&ops, &batches, kernel_syncs, arch, sync, options.cpus);
    let deferrals = deferrals(images, &ops);
    Ok(Plan {
        world,
        queue,
        cpus: options.cpus,
        sync,
        keys,
        ops,
        key_writes,
        batches,
        deferrals,
        refusals,
        costs,
    })
}

fn common(images: &[ReadImage<'_>]) -> Result<(&'static str, World), PlanError> {
    let kind = |read: &ReadImage<'_>| (read.image.arch().name(), World::of(read.image));
    let text = |(arch, world): (&str, World)| format!("{arch} ({})", world.name());
    let path = |read: &ReadImage<'_>| read.file.path().display().to_string();
    let Some(first) = images.first() else { return Ok(("arm64", World::Kernel)) };
    for other in images {
        if kind(other) != kind(first) {
            return Err(PlanError::Mixed {
                first_path: path(first),
                first: text(kind(first)),
                second_path: path(other),
                second: text(kind(other)),
            });
        }
    }
    Ok(kind(first))
}

fn deferrals(images: &[ReadImage<'_>], ops: &[Op<'_>]) -> Vec<Deferral> {
    let special = |op: &Op<'_>| {
        let read = &images[op.image];
        let site = read.table?.site(op.site);
        let section = site.section.map(|id| read.image.section(id).name)?;
        let function = site.function.map(|at| read.image.symbols().name(at.symbol));
        let special = Special::of(section, function.as_deref())?;
        // Text in an unusual section is patched like any other text.
        (special != Special::UnusualSection).then_some(special)
    };
    let of_op = |(at, op)| Some(Deferral { op: at, special: special(op)? });
    ops.iter().enumerate().filter_map(of_op).collect()
}

/// The images of a plan: those with keys, sites or refusals in it.
#[must_use]
pub fn involved(plan: &Plan<'_>, set: &KeySet) -> Vec<usize> {
    let homes = plan.keys.iter().filter_map(|key| set.keys().get(key.key)?.home);
    let sites = plan.keys.iter().filter_map(|key| set.keys().get(key.key));
    let sites = sites.flat_map(|key| key.sites.iter().map(|(image, _)| *image));
    let refused = plan.refusals.iter().map(|refusal| refusal.image);
    let mut all: Vec<usize> = homes.chain(sites).chain(refused).collect();
    all.sort_unstable();
    all.dedup();
    all
}
