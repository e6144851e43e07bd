//! Reports of `jlctl plan`: JSON is the plan file itself, text is for people.

mod cost;
mod findings;
mod text;

pub(crate) use findings::write as write_findings;

use crate::args::PlanFormat;
use crate::output::Sink;
use jlctl_patch_engine::plan_file::{self, Document};

/// Writes a plan in a format.
///
/// # Errors
/// What the writer raises.
pub(crate) fn write(
    document: &Document,
    format: PlanFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        PlanFormat::Text => text::write(document, sink),
        PlanFormat::Json => Ok(plan_file::write(document, sink.writer)?),
    }
}
