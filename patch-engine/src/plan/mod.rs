//! Plans: which sites are patched, from what to what, in which batches.
//!
//! The semantics are the kernel's: a site holds a JMP exactly if `enabled ^ branch`.
//! Three steps make a plan, as they make a flip in the kernel: whether a site may
//! be patched (`eligible`), queueing, and applying a full queue (`queue`).
//! What cannot be done is refused key by key, for the targets that it concerns.

mod cost;
mod eligible;
mod entangled;
mod key;
mod planner;
mod queue;
mod refusal;

pub use cost::{Cost, Footprint, LINE_BYTES, PAGE_BYTES, Per, costs, footprint};
pub use refusal::Refusal;

use crate::images::ReadImage;
use crate::key_set::KeySet;
use crate::sync::{Sync, default_queue};
use crate::target::World;
use crate::wanted::Wish;
use jlctl_analyzer::addr::{FileOffset, Svma};
use jlctl_analyzer::jump_table::{SiteId, Special};
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::InsnBytes;
use planner::Planner;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// What a plan is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Most ops in a batch; `None` for what the architecture has.
    pub queue: Option<NonZeroUsize>,
    /// CPUs that the cost is reckoned for.
    pub cpus: u32,
}

/// A plan.  Images are named by their index among those that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    /// Whose code it patches.
    pub world: World,
    /// Most ops in a batch; `None` if nothing bounds it.
    pub queue: Option<NonZeroUsize>,
    /// CPUs that the cost is reckoned for.
    pub cpus: u32,
    /// What must end each batch before anyone relies on it.
    pub sync: Sync,
    /// The keys, in the order of the set.
    pub keys: Vec<PlannedKey>,
    /// What is patched: by key, then by image and address.
    pub ops: Vec<Op<'a>>,
    /// Words of keys that change, by key.
    pub key_writes: Vec<KeyWrite>,
    /// Ops in batches.
    pub batches: Vec<Batch>,
    /// Ops that a live target does later or never.
    pub deferrals: Vec<Deferral>,
    /// What cannot be done.
    pub refusals: Vec<Refusal>,
    /// What each strategy costs.
    pub costs: Vec<Cost>,
}

/// One key and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedKey {
    /// Its index in the set.
    pub key: usize,
    /// What was wanted.
    pub wish: Wish,
    /// `enabled` now; `None` if it is not known.
    pub old: Option<i32>,
    /// `enabled` afterwards; `None` if the key is refused everywhere.
    pub new: Option<i32>,
    /// How many of its sites are patched.
    pub ops: usize,
}

/// One site that is patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op<'a> {
    /// Index of its key in the plan.
    pub key: usize,
    /// Index of the image.
    pub image: usize,
    /// The site.
    pub site: SiteId,
    /// Address of the site.
    pub code: Svma,
    /// Where a JMP there goes.
    pub target: Svma,
    /// Branch sense: true for *likely*.
    pub branch: bool,
    /// Where its bytes lie in the image.
    pub offset: FileOffset,
    /// What is there.
    pub from: JumpLabelType,
    /// What is wanted there.
    pub to: JumpLabelType,
    /// The bytes there.
    pub old: &'a [u8],
    /// The bytes wanted there.
    pub new: InsnBytes,
}

/// The word of a key that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWrite {
    /// Index of the key in the plan.
    pub key: usize,
    /// Index of the image that defines it.
    pub image: usize,
    /// Address of `enabled`.
    pub address: Svma,
    /// Where it lies in the image; `None` if the file does not have it.
    pub offset: Option<FileOffset>,
    /// The bytes now, in the image's byte order.
    pub old: Vec<u8>,
    /// The bytes afterwards.
    pub new: Vec<u8>,
    /// The batch after whose sync it is written; `None` if no site changes.
    pub after_batch: Option<usize>,
}

/// Ops that one sync covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Index of its first op.
    pub first: usize,
    /// How many it has.
    pub ops: usize,
}

/// An op that a running kernel does not do as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferral {
    /// Index of the op.
    pub op: usize,
    /// What is special about its site.
    pub special: Special,
}

/// Why no plan can be made at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Images of two kinds.
    #[error(
        "{second_path}: expected an image of {first} as {first_path} is, found one of {second}: plan for them one by one"
    )]
    Mixed {
        /// Path of the first image.
        first_path: String,
        /// Its architecture and world.
        first: String,
        /// Path of the one that differs.
        second_path: String,
        /// Its architecture and world.
        second: String,
    },
}

/// Makes the plan that fulfils `wishes`, by index in the set of the images' keys.
///
/// # Errors
/// If the images are not of one architecture and world.
pub fn plan<'a>(
    images: &[ReadImage<'a>],
    set: &KeySet,
    wishes: &BTreeMap<usize, Wish>,
    options: Options,
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
    let sync = Sync::of_batch(arch, world);
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
        // Text in an unusual section is patched like any other.
        (special != Special::UnusualSection).then_some(special)
    };
    let of_op = |(at, op)| Some(Deferral { op: at, special: special(op)? });
    ops.iter().enumerate().filter_map(of_op).collect()
}

/// The images that a plan needs: those with ops, keys or refusals in it.
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
