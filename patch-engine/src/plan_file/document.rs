//! The document of a plan: schema `jlctl.plan/1`.
//!
//! Addresses are strings: `0x…`, or in a relocatable file a section or symbol with an offset.
//! Offsets are in bytes. Unknown values are null. An unknown field is an error, so that no claim of
//! a plan is ignored.

use super::address::PlanAddress;
use super::values::{
    Branch, Checksum, Hex, InsnName, ReasonCode, SpecialName, SyncName, TargetName, WishName,
    WorldName,
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
    /// The images of the plan; other fields refer to them by index.
    pub images: Vec<ImageRecord>,
    /// Most ops in a batch; null if there is no bound.
    pub queue: Option<usize>,
    /// The sync that must end each batch.
    pub sync: SyncName,
    /// The keys; other fields refer to them by index.
    pub keys: Vec<KeyRecord>,
    /// The sites to patch, sorted by key, image and address.
    pub ops: Vec<OpRecord>,
    /// The words of keys to write.
    pub key_writes: Vec<KeyWriteRecord>,
    /// The batches of the ops; the sync ends each.
    pub batches: Vec<BatchRecord>,
    /// Ops that a running kernel defers or does not apply.
    pub deferrals: Vec<DeferralRecord>,
    /// Changes that are refused.
    pub refusals: Vec<RefusalRecord>,
    /// The cost.
    pub cost: CostRecord,
}

/// An image of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// Path that the plan was made with.
    pub path: String,
    /// `elf`, `arm64-image` or `riscv64-image`.
    pub format: String,
    /// The container of the image: `gz`, `xz`, …; null without one.
    pub container: Option<String>,
    /// `exec`, `dyn` or `rel`; null for raw kernels.
    pub r#type: Option<String>,
    /// Build id (NT_GNU_BUILD_ID); null if there is none.
    pub build_id: Option<Hex>,
    /// Kernel release; null for programs.
    pub release: Option<String>,
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-256 of the whole file.
    #[cfg_attr(test, schemars(with = "Hex"))]
    pub sha256: Checksum<32>,
    /// XXH3 (128 bits) of the whole file, which apply verifies unless SHA-256 is asked for.
    #[cfg_attr(test, schemars(with = "Hex"))]
    pub xxh3: Checksum<16>,
    /// Whether a module's signature is appended.
    pub signed: bool,
}

/// A key, and its change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Name of the key.
    pub name: String,
    /// The image that defines the key; null if no image of the plan does.
    pub image: Option<usize>,
    /// Address of the key, or the undefined symbol of the key.
    pub address: PlanAddress,
    /// The symbol of the object that is or contains the key; null without a symbol.
    pub symbol: Option<String>,
    /// Bytes from that object to the key.
    pub offset: Option<u64>,
    /// The section of the key.
    pub section: Option<String>,
    /// The wanted change.
    pub wish: WishName,
    /// The old count; null if it is unknown.
    pub old_enabled: Option<i32>,
    /// The new count; null if the key is refused for every target.
    pub new_enabled: Option<i32>,
    /// Number of its sites in the plan's images.
    pub sites: usize,
    /// Number of its sites that are patched.
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

/// The patch of one site.
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
    /// Offset of the site's bytes in the file, or in the contents of its container.
    pub file_offset: u64,
    /// Section of the site.
    pub section: Option<String>,
    /// The function that contains the site, by symbols.
    pub function: Option<String>,
    /// Bytes from the start of the function to the site.
    pub function_offset: Option<u64>,
    /// The first frame outside `jump_label.h`; null without debug information.
    pub source: Option<SourceRecord>,
    /// Branch sense.
    pub branch: Branch,
    /// The old instruction.
    pub from: InsnName,
    /// The new instruction.
    pub to: InsnName,
    /// Target of the site's JMP.
    pub target: PlanAddress,
    /// The old bytes.
    pub old: Hex,
    /// The new bytes.
    pub new: Hex,
    /// Disassembly of `old`.
    pub old_disassembly: Option<String>,
    /// Disassembly of `new`.
    pub new_disassembly: Option<String>,
    /// The batch.
    pub batch: usize,
}

/// The write of a key's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyWriteRecord {
    /// The key.
    pub key: usize,
    /// The image that defines the key.
    pub image: usize,
    /// Address of `enabled`.
    pub address: PlanAddress,
    /// Offset of the word in the file; null if the file has no bytes of it.
    pub file_offset: Option<u64>,
    /// The old bytes.
    pub old: Hex,
    /// The new bytes.
    pub new: Hex,
    /// The batch after whose sync it is written; null if no site changes.
    pub after_batch: Option<usize>,
}

/// Ops that one sync covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BatchRecord {
    /// Index of the first op.
    pub first_op: usize,
    /// Number of ops.
    pub ops: usize,
    /// Number of distinct pages that the ops touch.
    pub pages: usize,
    /// Number of distinct cache lines that the ops touch.
    pub cache_lines: usize,
    /// The sync that ends the batch.
    pub sync: SyncName,
}

/// An op that a running kernel defers or does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeferralRecord {
    /// The op.
    pub op: usize,
    /// The special property of the op's site.
    pub reason: SpecialName,
    /// The targets that are concerned.
    pub targets: Vec<TargetName>,
    /// The reason in words.
    pub message: String,
}

/// A change that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RefusalRecord {
    /// The reason.
    pub code: ReasonCode,
    /// The image.
    pub image: usize,
    /// The key; null where the refusal concerns the whole image.
    pub key: Option<usize>,
    /// The sites, by index in the image's table; empty where the refusal concerns the key or the
    /// image.
    pub sites: Vec<usize>,
    /// The targets for which the change is refused.
    pub targets: Vec<TargetName>,
    /// The reason in words, with what was found.
    pub message: String,
}

/// The cost of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CostRecord {
    /// Number of CPUs.
    pub cpus: u32,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Bytes of a cache line.
    pub cache_line_bytes: u64,
    /// Number of ops.
    pub ops: usize,
    /// Number of distinct pages.
    pub pages: usize,
    /// Number of distinct cache lines.
    pub cache_lines: usize,
    /// The cost of each strategy.
    pub strategies: Vec<StrategyRecord>,
}

/// The cost of one strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StrategyRecord {
    /// The method of synchronisation.
    pub sync: SyncName,
    /// How often the strategy synchronises: `site`, `key` or `batch`; null for never.
    pub per: Option<String>,
    /// Number of cache-maintenance instructions.
    pub cache_maintenance: usize,
    /// Number of broadcasts to all CPUs.
    pub broadcasts: u64,
    /// Number of broadcasts times number of CPUs.
    pub cpu_syncs: u64,
}
