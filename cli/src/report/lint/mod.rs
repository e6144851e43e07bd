//! Reports of `jlctl lint`.

mod coverage;
pub(crate) mod explain;
mod json;
mod page;
pub(crate) mod record;
#[cfg(test)]
pub(crate) mod samples;
mod sarif;
mod sarif_model;
#[cfg(test)]
mod tests;
mod text;
mod uri;
mod wrap;

pub(crate) use wrap::WIDTH;

use crate::args::lint::LintFormat;
use crate::output::Sink;
use record::Document;
use std::path::Path;

/// How a report is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    pub(crate) format: LintFormat,
    /// Columns of text.
    pub(crate) width: usize,
    /// The directory that paths in SARIF are relative to.
    pub(crate) directory: &'a Path,
}

/// Writes the report in a format.
///
/// # Errors
/// What the writer raises.
pub(crate) fn write(
    document: &Document,
    layout: Layout<'_>,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match layout.format {
        LintFormat::Text => text::write(document, layout.width, sink),
        LintFormat::Json => json::write(document, sink.writer),
        LintFormat::Sarif => sarif::write(document, layout.directory, sink.writer),
    }
}
