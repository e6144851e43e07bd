//! The parts of a plan.

use crate::reason::Reason;
use crate::sync::SyncMethod;
use crate::target::{Target, World};
use crate::wish::Wish;
use jlctl_analyzer::addr::{FileOffset, Svma};
use jlctl_analyzer::jump_table::{SiteId, Special};
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::InsnBytes;
use std::num::NonZeroUsize;

/// Options of the planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// Most ops in a batch; the default of the architecture if `None`.
    pub queue: Option<NonZeroUsize>,
    /// Number of CPUs for the cost.
    pub cpus: u32,
}

/// A plan. Images are named by their index among those that the plan was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    /// Whose code the plan patches.
    pub world: World,
    /// Most ops in a batch; `None` if there is no bound.
    pub queue: Option<NonZeroUsize>,
    /// Number of CPUs for the cost.
    pub cpus: u32,
    /// The sync that must end each batch.
    pub sync: SyncMethod,
    /// The keys, in the order of the set.
    pub keys: Vec<PlannedKey>,
    /// The sites to patch, sorted by key, image and address.
    pub ops: Vec<Op<'a>>,
    /// The words of keys to write, by key.
    pub key_writes: Vec<KeyWrite>,
    /// The batches of the ops.
    pub batches: Vec<Batch>,
    /// Ops that a running kernel defers or does not apply.
    pub deferrals: Vec<Deferral>,
    /// Changes that are refused.
    pub refusals: Vec<Refusal>,
    /// The cost of each strategy.
    pub costs: Vec<Cost>,
}

/// A key of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedKey {
    /// Index of the key in the set.
    pub key: usize,
    /// The wanted change.
    pub wish: Wish,
    /// The old count; `None` if it is unknown.
    pub old: Option<i32>,
    /// The new count; `None` if the key is refused for every target.
    pub new: Option<i32>,
    /// Number of its sites that are patched.
    pub ops: usize,
}

/// The patch of one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op<'a> {
    /// Index of the key in the plan.
    pub key: usize,
    /// Index of the image.
    pub image: usize,
    /// The site.
    pub site: SiteId,
    /// Address of the site.
    pub code: Svma,
    /// Target of the site's JMP.
    pub target: Svma,
    /// Branch sense: true for *likely*.
    pub branch: bool,
    /// Offset of the site's bytes in the image.
    pub offset: FileOffset,
    /// The old instruction.
    pub from: JumpLabelType,
    /// The new instruction.
    pub to: JumpLabelType,
    /// The old bytes.
    pub old: &'a [u8],
    /// The new bytes.
    pub new: InsnBytes,
}

/// The write of a key's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWrite {
    /// Index of the key in the plan.
    pub key: usize,
    /// Index of the image that defines it.
    pub image: usize,
    /// Address of `enabled`.
    pub address: Svma,
    /// Offset of the word in the image; `None` if the file has no bytes of it.
    pub offset: Option<FileOffset>,
    /// The old bytes, in the image's byte order.
    pub old: Vec<u8>,
    /// The new bytes.
    pub new: Vec<u8>,
    /// The batch after whose sync the word is written; `None` if no site changes.
    pub after_batch: Option<usize>,
}

/// Ops that one sync covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Index of the first op.
    pub first: usize,
    /// Number of ops.
    pub ops: usize,
}

/// An op that a running kernel defers or does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferral {
    /// Index of the op.
    pub op: usize,
    /// The special property of the op's site.
    pub special: Special,
}

/// A change that is refused, with the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// Index of the image.
    pub image: usize,
    /// Index of the key in the plan; `None` where the refusal concerns the whole image.
    pub key: Option<usize>,
    /// The sites, in the order of the plan; empty where the refusal concerns the key or the image.
    pub sites: Vec<SiteId>,
    /// The targets for which the change is refused.
    pub targets: Vec<Target>,
    /// The reason in words, with what was found.
    pub message: String,
}

/// How often a strategy synchronises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Per {
    /// After each site.
    Site,
    /// After the sites of each key, and when the queue is full, like the kernel
    /// (`kernel/jump_label.c`, Linux 6.12, jump_label_update).
    Key,
    /// After each batch of this plan.
    Batch,
}

impl Per {
    /// Name in plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Key => "key",
            Self::Batch => "batch",
        }
    }
}

/// The cost of one strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The method of synchronisation.
    pub sync: SyncMethod,
    /// How often the strategy synchronises; `None` for never.
    pub per: Option<Per>,
    /// Number of cache-maintenance instructions of the patching CPU (DC CVAU and IC IVAU on arm64;
    /// none where caches are coherent, or the broadcast flushes them).
    pub maintenance: usize,
    /// Number of broadcasts to all CPUs.
    pub broadcasts: u64,
    /// Number of broadcasts times number of CPUs.
    pub cpu_syncs: u64,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The images differ in architecture or world.
    #[error(
        "{second_path}: expected an image of {first} as {first_path} is, found one of {second}: make a plan for each"
    )]
    Mixed {
        /// Path of the first image.
        first_path: String,
        /// Its architecture and world.
        first: String,
        /// Path of the image that differs.
        second_path: String,
        /// Its architecture and world.
        second: String,
    },
}
