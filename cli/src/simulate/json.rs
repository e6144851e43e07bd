//! JSON: the schema jlctl.simulate/1.

use super::verdicts::{Inquiry, Verdict};
use jlctl_patch_engine::simulate::explore::Incomplete;
use jlctl_patch_engine::simulate::plan::Basis;
use jlctl_patch_engine::simulate::strategy::{Mark, Reading};
use serde::Serialize;
use std::io::Write;

/// Name and version of the schema.
pub(super) const SCHEMA: &str = "jlctl.simulate/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    /// False if the exploration was interrupted.
    complete: bool,
    plan: &'a str,
    images: Vec<ImageRecord<'a>>,
    /// Number of PEs in the model, one of which patches.
    pes: usize,
    max_states: u64,
    ops: usize,
    classes: Vec<ClassRecord>,
    strategies: Vec<StrategyRecord>,
}

#[derive(Serialize)]
struct ImageRecord<'a> {
    path: &'a str,
    release: Option<&'a str>,
    /// Why the image was not read; null if it was.
    missing: Option<&'a str>,
}

#[derive(Serialize)]
struct ClassRecord {
    old: String,
    new: String,
    /// Number of other sites of the batch on the cache line; 2 means two or more.
    others_on_line: usize,
    ops: usize,
    first_op: usize,
}

#[derive(Serialize)]
struct StrategyRecord {
    strategy: String,
    /// Why the strategy is the default; null if it was requested.
    basis: Option<&'static str>,
    verdicts: Vec<VerdictRecord>,
}

#[derive(Serialize)]
struct VerdictRecord {
    cache: &'static str,
    verdict: &'static str,
    real_time: &'static str,
    causal: &'static str,
    /// The class with the worst verdict.
    class: Option<usize>,
    /// Why the verdict is unknown.
    incomplete: Option<&'static str>,
    states: u64,
    trace: Option<TraceRecord>,
}

#[derive(Serialize)]
struct TraceRecord {
    reading: &'static str,
    steps: Vec<StepRecord>,
}

#[derive(Serialize)]
struct StepRecord {
    /// From 1.
    number: usize,
    pe: usize,
    text: String,
    /// The values that the PE could have fetched.
    holds: Option<String>,
    mark: Option<&'static str>,
}

pub(super) fn write(
    inquiry: &Inquiry,
    verdicts: &[Verdict],
    is_partial: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let images = inquiry.images.iter().map(|image| ImageRecord {
        path: &image.path,
        release: image.release.as_deref(),
        missing: image.missing.as_deref(),
    });
    let word = |word: u32| format!("{word:#010x}");
    let classes = inquiry.classes.iter().map(|class| ClassRecord {
        old: word(class.class.old),
        new: word(class.class.new),
        others_on_line: class.class.others,
        ops: class.ops,
        first_op: class.first,
    });
    let strategies = inquiry.strategies.iter().map(|(strategy, basis)| StrategyRecord {
        strategy: strategy.name(),
        basis: basis.map(Basis::text),
        verdicts: verdicts.iter().filter(|of| of.strategy == *strategy).map(verdict).collect(),
    });
    let document = Document {
        schema: SCHEMA,
        complete: !is_partial,
        plan: &inquiry.plan,
        images: images.collect(),
        pes: inquiry.pes,
        max_states: inquiry.bounds.states,
        ops: inquiry.ops,
        classes: classes.collect(),
        strategies: strategies.collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    Ok(writeln!(out)?)
}

fn verdict(verdict: &Verdict) -> VerdictRecord {
    let judgement = &verdict.judgement.judgement;
    let steps = |trace: &jlctl_patch_engine::simulate::strategy::Trace| {
        let record =
            |(step, number): (&jlctl_patch_engine::simulate::strategy::TraceStep, _)| StepRecord {
                number,
                pe: step.pe,
                text: step.text.clone(),
                holds: step.holds.clone(),
                mark: step.mark.map(Mark::name),
            };
        trace.steps.iter().zip(1..).map(record).collect()
    };
    VerdictRecord {
        cache: verdict.cache.name(),
        verdict: verdict.safety().name(),
        real_time: judgement.safety(Reading::RealTime).name(),
        causal: judgement.safety(Reading::Causal).name(),
        class: verdict.judgement.worst,
        incomplete: judgement.incomplete.map(Incomplete::text),
        states: judgement.states,
        trace: verdict
            .trace
            .as_ref()
            .map(|(reading, trace)| TraceRecord { reading: reading.name(), steps: steps(trace) }),
    }
}
