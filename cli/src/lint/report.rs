//! Reports of `jlctl lint`: one document, in the requested format and layout.

use super::records::LintDocument;
use super::{json, sarif, text};
use crate::args::LintFormat;
use crate::terminal::output::Sink;
use std::path::Path;

/// The layout of a report.
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
/// Errors of the writer.
pub(crate) fn write(
    document: &LintDocument,
    layout: Layout<'_>,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match layout.format {
        LintFormat::Text => text::write(document, layout.width, sink),
        LintFormat::Json => json::write(document, sink.writer),
        LintFormat::Sarif => sarif::write(document, layout.directory, sink.writer),
    }
}
