//! What a plan file says: schema `jlctl.plan/1`.
//!
//! Addresses are strings: `0x…`, or in a relocatable file section or symbol and
//! offset.  Offsets are in bytes.  What is unknown is null; a field that is not
//! known is an error, so that nothing that a plan says is passed over.

use super::address::PlanAddress;
use super::values::{
    Branch, Hex, InsnName, ReasonCode, SpecialName, SyncName, TargetName, WishName, WorldName,
};
use serde::{Deserialize, Serialize};

/// Name and version of the schema.
pub const SCHEMA: &str = "jlctl.plan/1";

/// A plan file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanDocument {
    /// `jlctl.plan/1`.
    pub schema: String,
    /// Whose code is patched.
    pub world: WorldName,
    /// Architecture of all images.
    pub arch: String,
    /// The images that the plan is about; elsewhere named by their place here.
    pub images: Vec<ImageRecord>,
    /// Most ops in a batch; null if nothing bounds it.
    pub queue: Option<usize>,
    /// What must end each batch before anyone relies on it.
    pub sync: SyncName,
    /// The keys; elsewhere named by their place here.
    pub keys: Vec<KeyRecord>,
    /// What is patched, by key, image and address.
    pub ops: Vec<OpRecord>,
    /// The keys' words that change.
    pub key_writes: Vec<KeyWriteRecord>,
    /// Ops in batches, each of which ends with the sync.
    pub batches: Vec<BatchRecord>,
    /// Ops that a running kernel does not do, or that take effect later there.
    pub deferrals: Vec<DeferralRecord>,
    /// What cannot be done, and where.
    pub refusals: Vec<RefusalRecord>,
    /// What it costs.
    pub cost: CostRecord,
}

/// Which image a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// Path that the plan was made with.
    pub path: String,
    /// `elf`, `arm64-image` or `riscv64-image`.
    pub format: String,
    /// What the file is wrapped in: `gz`, `xz`, …; null if in nothing.
    pub container: Option<String>,
    /// `exec`, `dyn` or `rel`; null for raw kernels.
    pub r#type: Option<String>,
    /// Build id (NT_GNU_BUILD_ID); null without one.
    pub build_id: Option<Hex>,
    /// Kernel release; null for programs.
    pub release: Option<String>,
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-256 of the whole file.
    pub sha256: Hex,
    /// XXH3 (128 bits) of the whole file, which is what apply verifies unless it is
    /// told to verify SHA-256.
    pub xxh3: Hex,
    /// Whether a module's signature is appended.
    pub signed: bool,
}

/// A key and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Its name.
    pub name: String,
    /// The image that defines it; null if none of the plan's does.
    pub image: Option<usize>,
    /// Its address there, or the symbol that is looked for.
    pub address: PlanAddress,
    /// The object that it is or lies in; null without a symbol.
    pub symbol: Option<String>,
    /// Bytes from that object to the key.
    pub offset: Option<u64>,
    /// The section that it lies in.
    pub section: Option<String>,
    /// What was wanted.
    pub wish: WishName,
    /// Its count in the image; null if not known.
    pub old_enabled: Option<i32>,
    /// Its count afterwards; null if it is refused everywhere.
    pub new_enabled: Option<i32>,
    /// Its sites in the plan's images.
    pub sites: usize,
    /// Those of them that are patched.
    pub ops: usize,
}

/// A frame of source code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// The function, inlined or not.
    pub function: Option<String>,
    /// Path of the file.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
}

/// A site that is patched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OpRecord {
    /// The key.
    pub key: usize,
    /// The image.
    pub image: usize,
    /// Index of the site's entry in the image's table.
    pub site: usize,
    /// Address of the site.
    pub address: PlanAddress,
    /// Where its bytes lie: in the file, or in what its container holds.
    pub file_offset: u64,
    /// Section of the site.
    pub section: Option<String>,
    /// The function that the site lies in, by symbols.
    pub function: Option<String>,
    /// Bytes from its start to the site.
    pub function_offset: Option<u64>,
    /// The first frame outside `jump_label.h`; null without debug information.
    pub source: Option<SourceRecord>,
    /// Branch sense.
    pub branch: Branch,
    /// What stands there.
    pub from: InsnName,
    /// What is to stand there.
    pub to: InsnName,
    /// Where a JMP there goes.
    pub target: PlanAddress,
    /// The bytes there.
    pub old: Hex,
    /// The bytes that are to be there.
    pub new: Hex,
    /// Disassembly of `old`.
    pub old_disassembly: Option<String>,
    /// Disassembly of `new`.
    pub new_disassembly: Option<String>,
    /// The batch.
    pub batch: usize,
}

/// The word of a key that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyWriteRecord {
    /// The key.
    pub key: usize,
    /// The image that defines it.
    pub image: usize,
    /// Address of `enabled`.
    pub address: PlanAddress,
    /// Where it lies in the file; null if the file has no bytes of it.
    pub file_offset: Option<u64>,
    /// The bytes there.
    pub old: Hex,
    /// The bytes that are to be there.
    pub new: Hex,
    /// The batch after whose sync it is written; null if no site changes.
    pub after_batch: Option<usize>,
}

/// Ops that one sync covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BatchRecord {
    /// Its first op.
    pub first_op: usize,
    /// How many it has.
    pub ops: usize,
    /// Distinct pages that they touch.
    pub pages: usize,
    /// Distinct cache lines that they touch.
    pub cache_lines: usize,
    /// What ends it.
    pub sync: SyncName,
}

/// An op that a running kernel does not do, or that takes effect later there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeferralRecord {
    /// The op.
    pub op: usize,
    /// What is special about its site.
    pub reason: SpecialName,
    /// Where that matters.
    pub targets: Vec<TargetName>,
    /// The same in words.
    pub message: String,
}

/// Something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RefusalRecord {
    /// Why.
    pub code: ReasonCode,
    /// The image that it concerns.
    pub image: usize,
    /// The key; null where it concerns all of the image.
    pub key: Option<usize>,
    /// The sites, by their index in the image's table; none where it concerns the
    /// key or the image.
    pub sites: Vec<usize>,
    /// Where it cannot be done.
    pub targets: Vec<TargetName>,
    /// The same in words, with what was found.
    pub message: String,
}

/// What a plan costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CostRecord {
    /// CPUs that the figures are for.
    pub cpus: u32,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Bytes of a cache line.
    pub cache_line_bytes: u64,
    /// Ops in all.
    pub ops: usize,
    /// Distinct pages in all.
    pub pages: usize,
    /// Distinct cache lines in all.
    pub cache_lines: usize,
    /// What each strategy adds to that.
    pub strategies: Vec<StrategyRecord>,
}

/// The cost of one strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StrategyRecord {
    /// How it synchronises.
    pub sync: SyncName,
    /// How often: `site`, `key` or `batch`; null for never.
    pub per: Option<String>,
    /// Cache-maintenance instructions.
    pub cache_maintenance: usize,
    /// Broadcasts to all CPUs.
    pub broadcasts: u64,
    /// Broadcasts times CPUs.
    pub cpu_syncs: u64,
}
