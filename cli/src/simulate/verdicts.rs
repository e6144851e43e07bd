//! Verdicts on a plan under strategies and cache types.

use crate::terminal::progress::Progress;
use jlctl_patch_engine::simulate::explore::Bounds;
use jlctl_patch_engine::simulate::machine::CacheType;
use jlctl_patch_engine::simulate::plan::{Basis, OpClass, PlanJudgement, judge};
use jlctl_patch_engine::simulate::strategy::{Reading, Safety, Setting, Strategy, Trace};
use rayon::prelude::*;
use std::sync::atomic::AtomicBool;

/// An image of the plan.
pub(crate) struct ImageOfPlan {
    pub(crate) path: String,
    pub(crate) release: Option<String>,
    /// Why the image was not read; `None` if it was.
    pub(crate) missing: Option<String>,
}

/// The plan, strategies and cache types to judge.
pub(crate) struct Inquiry {
    pub(crate) plan: String,
    pub(crate) images: Vec<ImageOfPlan>,
    pub(crate) ops: usize,
    pub(crate) classes: Vec<OpClass>,
    /// The strategies, and the basis of the default strategy.
    pub(crate) strategies: Vec<(Strategy, Option<Basis>)>,
    pub(crate) caches: Vec<CacheType>,
    pub(crate) pes: usize,
    pub(crate) bounds: Bounds,
}

/// The verdict on one strategy and cache type.
pub(crate) struct Verdict {
    pub(crate) strategy: Strategy,
    pub(crate) cache: CacheType,
    pub(crate) judgement: PlanJudgement,
    /// The shortest stale execution, with its reading.
    pub(crate) trace: Option<(Reading, Trace)>,
}

impl Verdict {
    pub(crate) fn safety(&self) -> Safety {
        self.judgement.judgement.worst()
    }
}

/// Judges every strategy and cache type of `inquiry`.
pub(crate) fn verdicts(
    inquiry: &Inquiry,
    cancel: &AtomicBool,
    progress: &Progress,
) -> Vec<Verdict> {
    let questions: Vec<(Strategy, CacheType)> = inquiry
        .strategies
        .iter()
        .flat_map(|(strategy, _)| inquiry.caches.iter().map(|cache| (*strategy, *cache)))
        .collect();
    progress.phase("explore", questions.len(), |done| {
        let one = |(strategy, cache): &(Strategy, CacheType)| {
            let verdict = verdict(inquiry, *strategy, *cache, cancel);
            done(1);
            verdict
        };
        questions.par_iter().filter_map(one).collect()
    })
}

fn verdict(
    inquiry: &Inquiry,
    strategy: Strategy,
    cache: CacheType,
    cancel: &AtomicBool,
) -> Option<Verdict> {
    let Inquiry { classes, pes, bounds, .. } = inquiry;
    let judgement = judge(classes, strategy, *pes, cache, *bounds, cancel)?;
    let worst = judgement.worst.and_then(|worst| classes.get(worst));
    let reading = Reading::ALL
        .into_iter()
        .rev()
        .find(|reading| judgement.judgement.safety(*reading) == Safety::Stale);
    // A causal trace is the strongest result, and one with two PEs the shortest.
    let trace = reading.zip(worst).and_then(|(reading, worst)| {
        let setting = |pes| Setting { strategy, class: worst.class, pes };
        let with = |pes| setting(pes).trace(cache, reading, *bounds, cancel);
        with(2).or_else(|| with(*pes)).map(|trace| (reading, trace))
    });
    Some(Verdict { strategy, cache, judgement, trace })
}
