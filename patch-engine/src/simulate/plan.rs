//! Simulates a plan: one exploration for each class of ops.
//!
//! A plan has thousands of ops. Two ops are of one class if they have the same old and new words,
//! apart from the target of a branch, and as many other ops of their batch on their cache line, up
//! to [`MAX_OTHERS`](super::strategy::MAX_OTHERS). The model has nothing else of an op: its address
//! matters only for its line, and its key and function not at all. Ops on other lines share no
//! state with it, since DC and IC work on lines and PEs synchronise for all of a batch at once. A
//! batch without the ops on other lines has every execution, as far as the remaining line is
//! concerned, that the batch has. Tests show that one and two other ops on a line change no
//! verdict, and that all ops, one by one, have the verdict of all classes.

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
    /// The plan is for another architecture.
    #[error(
        "the plan is for {0}: only arm64 is modelled, since the other architectures \
         synchronise by other rules"
    )]
    Architecture(String),
    /// A site is not one word.
    #[error("op {op}: expected words of 4 bytes, found {old} and {new} bytes")]
    Word {
        /// Index of the op.
        op: usize,
        /// Number of old bytes.
        old: usize,
        /// Number of new bytes.
        new: usize,
    },
    /// A synchronisation that arm64 does not have.
    #[error("the plan ends its batches with {0}, which arm64 does not have: name a --strategy")]
    Sync(&'static str),
}

/// Ops that the model cannot distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpClass {
    /// Their class.
    pub class: Class,
    /// Number of ops.
    pub ops: usize,
    /// Index of the first op.
    pub first: usize,
}

/// The class of each op of a plan.
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

/// The verdict of all classes under one strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanJudgement {
    /// The worst verdict of the classes in each reading, and the sum of their states.
    pub judgement: Judgement,
    /// Index of the worst class.
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

/// Whether the user cancelled the exploration.
#[must_use]
pub fn is_cancelled(judgement: &Judgement) -> bool {
    judgement.incomplete == Some(Incomplete::Cancelled)
}

/// The evidence for the strategy that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The lint finds that the kernel synchronises after every patch of a site.
    LintSynchronised,
    /// The lint finds that the kernel patches sites and does not synchronise.
    LintUnsynchronised,
    /// The kernel has the symbols `arch_jump_label_transform_queue` and `_apply`; its code shows no
    /// more.
    QueueAndApply,
    /// The kernel has the symbol `arch_jump_label_transform` alone.
    TransformAlone,
    /// The sync of the plan's batches: there is no kernel image, or none with these symbols.
    Plan,
}

impl Basis {
    /// The evidence in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::LintSynchronised => {
                "as the kernel's code does: the lint finds that it synchronises the other CPUs after every \
                 patch of a site (arch_jump_label_transform*)"
            }
            Self::LintUnsynchronised => {
                "as the kernel's code does: the lint finds that it patches sites \
                 (arch_jump_label_transform*) and synchronises only the CPU that patches"
            }
            Self::QueueAndApply => {
                "as the kernel's code does: it has arch_jump_label_transform_queue and _apply"
            }
            Self::TransformAlone => {
                "as the kernel's code does: it has arch_jump_label_transform alone, and \
                 synchronises only the CPU that patches"
            }
            Self::Plan => "as the plan's batches end",
        }
    }
}

/// The strategy of a kernel's code, as the lint finds it; `None` if the lint finds no function that
/// patches sites.
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

/// The strategy of a plan's images: that of the kernel's code, or else the one that its symbols
/// suggest.
///
/// # Errors
/// If there is no kernel image, and the plan's sync is not one of arm64.
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
