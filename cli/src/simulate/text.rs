//! Text: a table of verdicts, and each stale execution with a column for each PE.

use super::verdicts::{Inquiry, Verdict};
use crate::terminal::output::Sink;
use crate::terminal::style::{Palette, aligned, count, grouped, heading, label, printable, rows};
use jlctl_patch_engine::simulate::strategy::{Mark, Reading, Safety, Trace, TraceStep, word_name};
use std::io::Write;

/// Columns of text for each PE of a trace.
const WIDTH: usize = 44;

pub(super) fn write(
    inquiry: &Inquiry,
    verdicts: &[Verdict],
    is_partial: bool,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    let (out, palette) = (&mut *sink.writer, Palette::new(sink.color));
    head(out, &palette, inquiry)?;
    if is_partial {
        label(out, &palette, "partial", "interrupted: unexplored executions are unknown")?;
    }
    if inquiry.classes.is_empty() {
        writeln!(out, "\nNothing to simulate: the plan patches no site")?;
        return Ok(());
    }
    table(out, &palette, inquiry, verdicts)?;
    reasons(out, verdicts)?;
    for verdict in verdicts {
        if let Some((reading, trace)) = &verdict.trace {
            execution(out, &palette, verdict, *reading, trace)?;
        }
    }
    Ok(())
}

fn head(out: &mut dyn Write, palette: &Palette, inquiry: &Inquiry) -> anyhow::Result<()> {
    label(
        out,
        palette,
        "plan",
        &format!("{}: {}", printable(&inquiry.plan), count(inquiry.ops, "op")),
    )?;
    for image in &inquiry.images {
        let release =
            image.release.as_ref().map(|release| format!(", kernel {}", printable(release)));
        let missing = image.missing.as_ref().map(|why| format!("; not read: {why}"));
        let text = format!(
            "{}{}{}",
            printable(&image.path),
            release.unwrap_or_default(),
            missing.unwrap_or_default()
        );
        label(out, palette, "image", &text)?;
    }
    for class in &inquiry.classes {
        let others = match class.class.others {
            0 => "alone on their cache lines".to_owned(),
            1 => "with 1 other on their line".to_owned(),
            _ => "with 2 or more others on their line".to_owned(),
        };
        let (old, new) = (word_name(class.class.old), word_name(class.class.new));
        label(
            out,
            palette,
            "class",
            &format!("{}: {old} to {new}, {others}", count(class.ops, "op")),
        )?;
    }
    for (strategy, basis) in &inquiry.strategies {
        if let Some(basis) = basis {
            label(out, palette, "strategy", &format!("{}, {}", strategy.name(), basis.text()))?;
        }
    }
    let text = format!("{}, one of which patches", count(inquiry.pes, "PE"));
    label(out, palette, "model", &text)
}

fn table(
    out: &mut dyn Write,
    palette: &Palette,
    inquiry: &Inquiry,
    verdicts: &[Verdict],
) -> anyhow::Result<()> {
    heading(out, palette, "Can another PE execute an old instruction after the call returned?")?;
    let caches: Vec<&str> = inquiry.caches.iter().map(|cache| cache.name()).collect();
    let mut table = aligned(&[&["strategy"], &caches[..], &["states"]].concat());
    for (strategy, _) in &inquiry.strategies {
        let own: Vec<&Verdict> = verdicts.iter().filter(|of| of.strategy == *strategy).collect();
        let mut row = vec![strategy.name()];
        row.extend(own.iter().map(|verdict| safety(verdict)));
        let states: u64 = own.iter().map(|verdict| verdict.judgement.judgement.states).sum();
        row.push(grouped(states));
        table.add_row(row);
    }
    rows(out, palette, &table)
}

/// One word if both readings agree, otherwise both.
fn safety(verdict: &Verdict) -> String {
    let judgement = &verdict.judgement.judgement;
    let [real_time, causal] = Reading::ALL.map(|reading| judgement.safety(reading));
    if real_time == causal {
        return real_time.name().to_owned();
    }
    format!("{} (causal: {})", real_time.name(), causal.name())
}

/// The reasons for verdicts that are neither safe nor stale.
fn reasons(out: &mut dyn Write, verdicts: &[Verdict]) -> anyhow::Result<()> {
    let mut said: Vec<String> = Vec::new();
    for verdict in verdicts {
        let judgement = &verdict.judgement.judgement;
        let text = match (verdict.safety(), judgement.incomplete, judgement.unpredictable) {
            (Safety::Unknown, Some(why), _) => format!("unknown: {}", why.text()),
            (Safety::Unpredictable, _, Some((old, new))) => format!(
                "unpredictable: {} and {} may not both be modified while they execute",
                word_name(old),
                word_name(new)
            ),
            _ => continue,
        };
        if !said.contains(&text) {
            writeln!(out, "{text}")?;
            said.push(text);
        }
    }
    Ok(())
}

fn execution(
    out: &mut dyn Write,
    palette: &Palette,
    verdict: &Verdict,
    reading: Reading,
    trace: &Trace,
) -> anyhow::Result<()> {
    let (strategy, cache) = (verdict.strategy.name(), verdict.cache.name());
    let title = format!("Stale under {strategy} with {cache}, read in {}:", reading_name(reading));
    heading(out, palette, title.trim_end_matches(':'))?;
    let pes = trace.steps.iter().map(|step| step.pe + 1).max().unwrap_or(1);
    let names: Vec<String> = (0..pes)
        .map(|pe| if pe == 0 { "PE 0 (patches)".to_owned() } else { format!("PE {pe}") })
        .collect();
    let columns: String = names.iter().map(|name| format!("{name:<WIDTH$}")).collect();
    let faint = palette.faint;
    writeln!(out, "{faint}      {}{faint:#}", columns.trim_end())?;
    for (step, number) in trace.steps.iter().zip(1..) {
        line(out, palette, step, number)?;
    }
    Ok(())
}

const fn reading_name(reading: Reading) -> &'static str {
    match reading {
        Reading::RealTime => "real time",
        Reading::Causal => "causal order",
    }
}

fn line(
    out: &mut dyn Write,
    palette: &Palette,
    step: &TraceStep,
    number: usize,
) -> anyhow::Result<()> {
    let indent = " ".repeat(step.pe * WIDTH);
    let (style, note) = match step.mark {
        Some(Mark::Stale) => (palette.error, "  <== STALE"),
        Some(Mark::Fetched) => (palette.warning, "  <-- the stale fetch"),
        Some(Mark::Returned) => (palette.heading, "  <-- the call has returned"),
        None => (anstyle::Style::new(), ""),
    };
    writeln!(out, "{number:>4}  {indent}{style}{}{note}{style:#}", step.text)?;
    if let Some(holds) = &step.holds {
        let faint = palette.faint;
        writeln!(out, "      {indent}{faint}  {holds}{faint:#}")?;
    }
    Ok(())
}
