//! Reports of `jlctl simulate`: verdicts and executions, for people, programs and
//! bug reports.

mod json;
mod litmus;
mod svg;
mod text;

pub(crate) use svg::svg;

use crate::args::SimulateFormat;
use crate::judge::{Inquiry, Verdict};
use crate::litmus::LitmusFile;
use crate::output::Sink;

/// Name and version of the schema.
const SCHEMA: &str = "jlctl.simulate/1";

/// Writes what came of a plan.
///
/// # Errors
/// What the writer raises.
pub(crate) fn write(
    inquiry: &Inquiry,
    verdicts: &[Verdict],
    is_partial: bool,
    format: SimulateFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        SimulateFormat::Text => text::write(inquiry, verdicts, is_partial, sink),
        SimulateFormat::Json => json::write(inquiry, verdicts, is_partial, sink.writer),
    }
}

/// Writes what came of litmus tests.
///
/// # Errors
/// What the writer raises.
pub(crate) fn write_litmus(
    files: &[LitmusFile],
    is_partial: bool,
    format: SimulateFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        SimulateFormat::Text => litmus::text(files, sink.writer),
        SimulateFormat::Json => litmus::json(files, is_partial, sink.writer),
    }
}
