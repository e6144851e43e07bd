//! Composes the document of a plan: indexes become those of the document's lists.

use super::address::PlanAddress;
use super::document::{
    BatchRecord, CostRecord, DeferralRecord, ImageRecord, KeyRecord, KeyWriteRecord, OpRecord,
    PlanDocument, RefusalRecord, SCHEMA, SourceRecord, StrategyRecord,
};
use super::values::{
    Branch, Checksum, Hex, InsnName, ReasonCode, SpecialName, SyncName, TargetName, WishName,
    WorldName,
};
use crate::digest::Digests;
use crate::images::ReadImage;
use crate::key_set::{KeySet, SetKey};
use crate::plan::{LINE_BYTES, Op, PAGE_BYTES, Per, Plan, footprint, involved};
use crate::target::Target;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{Site, SiteId, Special};
use jlctl_shim::abi::JumpLabelType;
use rayon::prelude::*;

/// The document of `plan`, which was made for `images` and the keys of `set`. `digests` gives the
/// checksums of an image's file, for the images of the plan. `source` gives the source frame of a
/// site that reports show.
///
/// # Panics
/// If `set` or `images` are not those that the plan was made for.
pub fn compose(
    plan: &Plan<'_>,
    images: &[ReadImage<'_>],
    set: &KeySet,
    digests: impl Fn(usize) -> Digests,
    source: impl Fn(usize, SiteId) -> Option<SourceRecord> + Sync,
) -> PlanDocument {
    let involved = involved(plan, set);
    // `involved` has the image of every op, key write, refusal and home of a key.
    let position = |image: usize| {
        involved.binary_search(&image).expect("an image that the plan uses is involved in it")
    };
    let batch_of = |op: usize| plan.batches.partition_point(|batch| batch.first + batch.ops <= op);
    let ops: Vec<OpRecord> = plan
        .ops
        .par_iter()
        .enumerate()
        .map(|(at, op)| {
            let frame = source(op.image, op.site);
            OpRecord {
                image: position(op.image),
                batch: batch_of(at),
                ..op_record(&images[op.image], op, frame)
            }
        })
        .collect();
    let all = footprint(&plan.ops);
    PlanDocument {
        schema: SCHEMA.to_owned(),
        world: WorldName(plan.world),
        arch: images.first().map_or("", |read| read.image.arch().name()).to_owned(),
        images: involved
            .iter()
            .map(|image| image_record(&images[*image], digests(*image)))
            .collect(),
        queue: plan.queue.map(std::num::NonZeroUsize::get),
        sync: SyncName(plan.sync),
        keys: plan
            .keys
            .iter()
            .filter_map(|planned| {
                let key = set.keys().get(planned.key)?;
                Some(KeyRecord {
                    image: key.home.map(position),
                    wish: WishName(planned.wish),
                    old_enabled: planned.old,
                    new_enabled: planned.new,
                    ops: planned.ops,
                    ..key_record(images, key)
                })
            })
            .collect(),
        ops,
        key_writes: plan
            .key_writes
            .iter()
            .map(|write| KeyWriteRecord {
                key: write.key,
                image: position(write.image),
                address: PlanAddress::of(images[write.image].image, write.address),
                file_offset: write.offset.map(|offset| offset.0),
                old: Hex(write.old.to_vec()),
                new: Hex(write.new.to_vec()),
                after_batch: write.after_batch,
            })
            .collect(),
        batches: plan
            .batches
            .iter()
            .map(|batch| {
                let ops = plan.ops.get(batch.first..batch.first + batch.ops).unwrap_or_default();
                let touched = footprint(ops);
                BatchRecord {
                    first_op: batch.first,
                    ops: batch.ops,
                    pages: touched.pages,
                    cache_lines: touched.lines,
                    sync: SyncName(plan.sync),
                }
            })
            .collect(),
        deferrals: plan
            .deferrals
            .iter()
            .map(|deferral| DeferralRecord {
                op: deferral.op,
                reason: SpecialName(deferral.special),
                targets: vec![TargetName(Target::RunningKernel)],
                message: deferral_text(deferral.special).to_owned(),
            })
            .collect(),
        refusals: plan
            .refusals
            .iter()
            .map(|refusal| RefusalRecord {
                code: ReasonCode(refusal.reason),
                image: position(refusal.image),
                key: refusal.key,
                sites: refusal.sites.iter().map(|site| site.index()).collect(),
                targets: refusal.targets.iter().copied().map(TargetName).collect(),
                message: refusal.message.clone(),
            })
            .collect(),
        cost: CostRecord {
            cpus: plan.cpus,
            page_bytes: PAGE_BYTES,
            cache_line_bytes: LINE_BYTES,
            ops: plan.ops.len(),
            pages: all.pages,
            cache_lines: all.lines,
            strategies: plan
                .costs
                .iter()
                .map(|cost| StrategyRecord {
                    sync: SyncName(cost.sync),
                    per: cost.per.map(Per::name).map(str::to_owned),
                    cache_maintenance: cost.maintenance,
                    broadcasts: cost.broadcasts,
                    cpu_syncs: cost.cpu_syncs,
                })
                .collect(),
        },
    }
}

fn image_record(read: &ReadImage<'_>, digests: Digests) -> ImageRecord {
    ImageRecord {
        path: read.file.path().to_string_lossy().into_owned(),
        format: read.image.format().name().to_owned(),
        container: read.file.container_name(),
        r#type: read.image.type_name().map(str::to_owned),
        build_id: read.image.build_id().map(|id| Hex(id.to_vec())),
        release: read.image.release().map(str::to_owned),
        size: read.file.file_bytes().len() as u64,
        sha256: Checksum(digests.sha256),
        xxh3: Checksum(digests.xxh3),
        signed: read.is_signed(),
    }
}

/// The record of a key, without the claims about its change.
fn key_record(images: &[ReadImage<'_>], key: &SetKey) -> KeyRecord {
    let at = key.home.or_else(|| key.sites.first().map(|(image, _)| *image)).unwrap_or(0);
    let image = images[at].image;
    KeyRecord {
        name: key.name.full().to_owned(),
        image: None,
        address: PlanAddress::of(image, key.key.address),
        symbol: key.key.symbol.map(|at| image.symbols().name(at.symbol).into_owned()),
        offset: key.key.symbol.map(|at| at.offset),
        section: key.key.section.map(|id| image.section(id).name.to_owned()),
        wish: WishName(crate::wish::Wish::Flip),
        old_enabled: None,
        new_enabled: None,
        sites: key.sites.len(),
        ops: 0,
    }
}

/// The record of an op, without its image and batch.
fn op_record(read: &ReadImage<'_>, op: &Op<'_>, source: Option<SourceRecord>) -> OpRecord {
    let image = read.image;
    let site = read.table.map(|table| *table.site(op.site));
    let function = site.and_then(|site| site.function);
    let new = op.new.as_slice();
    let disassembly = |bytes, insn| {
        let shown = site.map(|site| Site { bytes: Some(bytes), insn: site_insn(insn, op), ..site });
        shown.and_then(|site| site.disassembly(image, op.code))
    };
    OpRecord {
        key: op.key,
        image: 0,
        site: op.site.index(),
        address: PlanAddress::of(image, op.code),
        file_offset: op.offset.0,
        section: section_name(image, site),
        function: function.map(|at| image.symbols().name(at.symbol).into_owned()),
        function_offset: function.map(|at| at.offset),
        source,
        branch: Branch(op.branch),
        from: InsnName(op.from),
        to: InsnName(op.to),
        target: PlanAddress::of(image, op.target),
        old: Hex(op.old.to_vec()),
        new: Hex(new.to_vec()),
        old_disassembly: disassembly(op.old, op.from),
        new_disassembly: disassembly(new, op.to),
        batch: 0,
    }
}

fn section_name(image: &Image<'_>, site: Option<Site<'_>>) -> Option<String> {
    let name = image.section(site?.section?).name;
    (!name.is_empty()).then(|| name.to_owned())
}

fn site_insn(insn: JumpLabelType, op: &Op<'_>) -> SiteInsn {
    match insn {
        JumpLabelType::Nop => SiteInsn::Nop,
        JumpLabelType::Jmp => SiteInsn::Jmp { to: op.target },
    }
}

/// The behaviour of a running kernel at a special site.
fn deferral_text(special: Special) -> &'static str {
    match special {
        Special::Init => {
            "init text is freed once the kernel runs or the module is loaded, and not patched from then on"
        }
        Special::Exit => {
            "exit text of the kernel itself is dropped at boot; that of a module is patched while it is loaded"
        }
        Special::El2 => {
            "code that runs at EL2 sees the change at its next entry from EL1, which synchronises"
        }
        Special::UnusualSection => "patched like any other",
    }
}
