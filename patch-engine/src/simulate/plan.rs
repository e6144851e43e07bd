//! A plan as checks: one exploration for each class of op.
//!
//! Two ops are of one class if they have the same words before and after, up to where
//! a branch goes, and as many other ops of their batch on their cache line, up to
//! [`MAX_OTHERS`](super::strategy::MAX_OTHERS).  Nothing else of an op is in the model:
//! its address matters only for its line, its key and function not at all; ops on other
//! lines share no state with it, since DC and IC work on lines and PEs synchronise for
//! all of a batch at once; and a batch without the ops on other lines has every
//! execution, as far as the remaining line is concerned, that the batch has.  That one
//! and two others on a line change no verdict is tested, as is that op by op gives the
//! verdict of all classes.

use super::explore::{Bounds, Incomplete};
use super::machine::CacheType;
use super::strategy::{Class, Judgement, Safety, Scheme, Setting, Strategy};
use crate::plan_file::{OpRecord, PlanAddress, PlanDocument};
use crate::sync::SyncMethod;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_analyzer::lint::{Config, lint_in};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Why a plan cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSimulated {
    /// Another instruction set.
    #[error(
        "the plan is for {0}: only arm64 is modelled, since the other architectures \
         synchronise by other rules"
    )]
    Architecture(String),
    /// A site that is not one word.
    #[error("op {op}: expected words of 4 bytes, found {old} and {new} bytes")]
    Word {
        /// Which op.
        op: usize,
        /// Bytes before.
        old: usize,
        /// Bytes afterwards.
        new: usize,
    },
    /// A way to synchronise that arm64 does not have.
    #[error("the plan ends its batches with {0}, which arm64 does not have: name a --strategy")]
    Sync(&'static str),
}

/// Ops that behave alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpClass {
    /// What they have in common.
    pub class: Class,
    /// How many there are.
    pub ops: usize,
    /// The first of them, by its place in the plan.
    pub first: usize,
}

/// The ops of a plan one by one.
///
/// # Errors
/// If the plan is not for arm64.
pub fn ops(document: &PlanDocument) -> Result<Vec<OpClass>, NotSimulated> {
    if document.arch != "arm64" {
        return Err(NotSimulated::Architecture(document.arch.clone()));
    }
    let line_bytes = i128::from(document.cost.cache_line_bytes.max(4));
    let line = |op: &OpRecord| match &op.address {
        PlanAddress::Stated(address) => (None, i128::from(address.0).div_euclid(line_bytes)),
        // The loader gives a section an address; its lines are counted from its start.
        PlanAddress::Relative { base, offset } => {
            (Some(base.clone()), i128::from(offset.unwrap_or(0)).div_euclid(line_bytes))
        }
    };
    let lines: Vec<_> = document.ops.iter().map(|op| (op.batch, op.image, line(op))).collect();
    let mut on_line: BTreeMap<_, usize> = BTreeMap::new();
    for line in &lines {
        *on_line.entry(line).or_default() += 1;
    }
    let word = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).map(u32::from_le_bytes).ok();
    let of = |(at, (op, line)): (usize, (&OpRecord, _))| {
        let (Some(old), Some(new)) = (word(&op.old.0), word(&op.new.0)) else {
            return Err(NotSimulated::Word { op: at, old: op.old.0.len(), new: op.new.0.len() });
        };
        let others = on_line.get(line).map_or(0, |ops| ops - 1);
        Ok(OpClass { class: Class::new(old, new, others), ops: 1, first: at })
    };
    document.ops.iter().zip(&lines).enumerate().map(of).collect()
}

/// The classes of a plan's ops, in the order of their first op.
///
/// # Errors
/// As [`ops`].
pub fn classes(document: &PlanDocument) -> Result<Vec<OpClass>, NotSimulated> {
    let mut classes: Vec<OpClass> = Vec::new();
    for op in ops(document)? {
        match classes.iter_mut().find(|class| class.class == op.class) {
            Some(class) => class.ops += 1,
            None => classes.push(op),
        }
    }
    Ok(classes)
}

/// What all classes come to under one strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanJudgement {
    /// The worst of the classes, in each reading; states of all.
    pub judgement: Judgement,
    /// The class that is worst, by its place.
    pub worst: Option<usize>,
}

/// Judges all `classes`; `None` if the number of PEs is out of range.
#[must_use]
pub fn judge(
    classes: &[OpClass],
    strategy: Strategy,
    pes: usize,
    cache: CacheType,
    bounds: Bounds,
    cancel: &AtomicBool,
) -> Option<PlanJudgement> {
    let mut all = PlanJudgement {
        judgement: Judgement {
            real_time: Safety::Safe,
            causal: Safety::Safe,
            unpredictable: None,
            incomplete: None,
            states: 0,
        },
        worst: None,
    };
    for (at, class) in classes.iter().enumerate() {
        let one = Setting { strategy, class: class.class, pes }.judge(cache, bounds, cancel)?;
        let sum = &mut all.judgement;
        if all.worst.is_none() || one.worst() > sum.worst() {
            all.worst = Some(at);
        }
        sum.real_time = sum.real_time.max(one.real_time);
        sum.causal = sum.causal.max(one.causal);
        sum.unpredictable = sum.unpredictable.or(one.unpredictable);
        sum.incomplete = sum.incomplete.or(one.incomplete);
        sum.states += one.states;
    }
    Some(all)
}

/// Whether an exploration was cut short by its user.
#[must_use]
pub fn is_cancelled(judgement: &Judgement) -> bool {
    judgement.incomplete == Some(Incomplete::Cancelled)
}

/// Where the strategy that is simulated comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The lint finds that the kernel synchronises behind every patch of a site.
    LintSynchronised,
    /// The lint finds that the kernel patches sites and does not synchronise.
    LintUnsynchronised,
    /// The kernel has symbols `arch_jump_label_transform_queue` and `_apply`; its code
    /// does not tell more.
    QueueAndApply,
    /// The kernel has the symbol `arch_jump_label_transform` alone.
    TransformAlone,
    /// What ends the plan's batches: there is no kernel image, or none with symbols
    /// that tell.
    Plan,
}

impl Basis {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::LintSynchronised => {
                "as the kernel's code does: the lint finds other CPUs synchronised behind every \
                 patch of a site (arch_jump_label_transform*)"
            }
            Self::LintUnsynchronised => {
                "as the kernel's code does: the lint finds that it patches sites \
                 (arch_jump_label_transform*) and synchronises nobody but the CPU that patches"
            }
            Self::QueueAndApply => {
                "as the kernel's code does: it has arch_jump_label_transform_queue and _apply"
            }
            Self::TransformAlone => {
                "as the kernel's code does: it has arch_jump_label_transform alone, and \
                 synchronises nobody but the CPU that patches"
            }
            Self::Plan => "what ends the plan's batches",
        }
    }
}

/// What the code of a kernel does behind the patches of its sites, as the lint finds it;
/// `None` if it finds nothing that patches them.
fn by_lint(image: &Image<'_>) -> Option<(Strategy, Basis)> {
    let table = JumpTable::read(image).ok();
    let (_, summary) = lint_in(image, table.as_ref(), &Config::default(), None);
    let of_sites = |(name, _): &(&String, &bool)| name.starts_with("arch_jump_label_transform");
    let patchers: Vec<bool> =
        summary.patchers.iter().filter(of_sites).map(|(_, is_unsynced)| *is_unsynced).collect();
    match (patchers.is_empty(), patchers.contains(&true)) {
        (true, _) => None,
        (_, true) => Some((Strategy::full(Scheme::IsbSelf), Basis::LintUnsynchronised)),
        (_, false) => Some((Strategy::full(Scheme::Kick), Basis::LintSynchronised)),
    }
}

/// The strategy that the images of a plan follow: what the kernel's code does, or else
/// what its symbols say.
///
/// # Errors
/// If there is no kernel image and the plan's own way is none of arm64.
pub fn default_strategy<'a, 'b: 'a>(
    document: &PlanDocument,
    images: impl IntoIterator<Item = &'a Image<'b>>,
) -> Result<(Strategy, Basis), NotSimulated> {
    for image in images {
        let has = |name: &str| image.symbols().named(name).next().is_some();
        if !image.is_kernel() {
            continue;
        }
        if let Some(found) = by_lint(image) {
            return Ok(found);
        }
        if has("arch_jump_label_transform_queue") && has("arch_jump_label_transform_apply") {
            return Ok((Strategy::full(Scheme::Kick), Basis::QueueAndApply));
        }
        if has("arch_jump_label_transform") {
            return Ok((Strategy::full(Scheme::IsbSelf), Basis::TransformAlone));
        }
    }
    let scheme = match document.sync.0 {
        SyncMethod::Nosync => Scheme::Nosync,
        SyncMethod::StopMachine => Scheme::StopMachine,
        SyncMethod::Ipi => Scheme::Ipi,
        SyncMethod::Kick => Scheme::Kick,
        SyncMethod::MembarrierSyncCore => Scheme::MembarrierSyncCore,
        other @ (SyncMethod::TextPoke | SyncMethod::FlushIcache) => {
            return Err(NotSimulated::Sync(other.name()));
        }
    };
    Ok((Strategy::full(scheme), Basis::Plan))
}
