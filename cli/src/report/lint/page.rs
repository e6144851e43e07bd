//! Lines of a text report: a label, and a text beside it.

use super::wrap::wrapped;
use crate::report::style::{Palette, printable};
use std::io::Write;

/// Columns of the labels.
pub(super) const LABEL: usize = 12;

/// A space at which lines are not broken.
const NO_BREAK: char = '\u{a0}';

/// `items` with `separator` and a space between them, none broken over two lines.
pub(super) fn whole(items: &[String], separator: char) -> String {
    let items: Vec<String> = items.iter().map(|item| item.replace(' ', "\u{a0}")).collect();
    items.join(&format!("{separator} "))
}

/// Where text is written, in how many columns.
pub(super) struct Page<'w> {
    pub(super) out: &'w mut dyn Write,
    pub(super) palette: Palette,
    pub(super) width: usize,
}

impl Page<'_> {
    /// A label and a text beside it.
    pub(super) fn label(&mut self, label: &str, text: &str) -> anyhow::Result<()> {
        let (heading, width) = (self.palette.heading, self.width.max(LABEL + 20) - LABEL);
        let text = wrapped(&printable(text), "", 0, width);
        for (at, line) in text.lines().enumerate() {
            let label = if at == 0 { label } else { "" };
            let line = line.trim_end().replace(NO_BREAK, " ");
            writeln!(self.out, "{heading}{label:<LABEL$}{heading:#}{line}")?;
        }
        Ok(())
    }
}
