//! What a plan is made of.

use crate::reason::Reason;
use crate::sync::SyncMethod;
use crate::target::{Target, World};
use crate::wish::Wish;
use jlctl_analyzer::addr::{FileOffset, Svma};
use jlctl_analyzer::jump_table::{SiteId, Special};
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::InsnBytes;
use std::num::NonZeroUsize;

/// What a plan is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
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
    pub sync: SyncMethod,
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

/// Something that cannot be done, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Index of the image that it concerns.
    pub image: usize,
    /// The key, by its index in the plan; `None` where it concerns all of the
    /// image.
    pub key: Option<usize>,
    /// The sites that it concerns, in the order of the plan; none where it concerns
    /// the key or the image.
    pub sites: Vec<SiteId>,
    /// What cannot be done there.
    pub targets: Vec<Target>,
    /// The reason in words, with what was found.
    pub message: String,
}

/// How often a strategy synchronises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Per {
    /// After each site.
    Site,
    /// After the sites of each key, and when the queue is full: what the kernel's
    /// own code does (`kernel/jump_label.c`, Linux 6.12, jump_label_update).
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
    /// How it synchronises.
    pub sync: SyncMethod,
    /// How often.
    pub per: Option<Per>,
    /// Cache-maintenance instructions that the patching CPU executes (DC CVAU and
    /// IC IVAU on arm64; none where caches are coherent, or all are flushed by the
    /// broadcast).
    pub maintenance: usize,
    /// Broadcasts to all CPUs.
    pub broadcasts: u64,
    /// Broadcasts times CPUs: how often a CPU is made to synchronise.
    pub cpu_syncs: u64,
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
