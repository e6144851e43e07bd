//! The report on a check of a plan.

use crate::args::PlanFormat;
use crate::terminal::output::Sink;
use crate::terminal::style::{Palette, count, printable};
use jlctl_patch_engine::check::Finding;
use serde::Serialize;

/// Name and version of the schema.
const SCHEMA: &str = "jlctl.plan-check/1";

#[derive(Serialize)]
struct Record<'a> {
    schema: &'static str,
    plan: &'a str,
    passed: bool,
    findings: Vec<FindingRecord>,
}

#[derive(Serialize)]
struct FindingRecord {
    place: String,
    expected: String,
    found: String,
    message: String,
}

/// Writes the findings of a check of the plan at `path`.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn write(
    path: &str,
    findings: &[Finding],
    format: PlanFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        PlanFormat::Text => text(path, findings, sink),
        PlanFormat::Json => {
            let record = |finding: &Finding| FindingRecord {
                place: finding.field.to_string(),
                expected: finding.expected.clone(),
                found: finding.found.clone(),
                message: finding.to_string(),
            };
            let findings: Vec<_> = findings.iter().map(record).collect();
            let record =
                Record { schema: SCHEMA, plan: path, passed: findings.is_empty(), findings };
            serde_json::to_writer_pretty(&mut *sink.writer, &record)?;
            Ok(writeln!(sink.writer)?)
        }
    }
}

fn text(path: &str, findings: &[Finding], sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let palette = Palette::new(sink.color);
    if findings.is_empty() {
        let on = palette.on;
        return Ok(writeln!(sink.writer, "{}: {on}every claim holds{on:#}", printable(path))?);
    }
    let (error, what) = (palette.error, count(findings.len(), "claim"));
    writeln!(
        sink.writer,
        "{}: {error}{what} {} not hold{error:#}",
        printable(path),
        if findings.len() == 1 { "does" } else { "do" }
    )?;
    for finding in findings {
        writeln!(sink.writer, "  {}", printable(&finding.to_string()))?;
    }
    Ok(())
}
