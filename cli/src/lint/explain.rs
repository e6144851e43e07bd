//! The page of a rule.

use crate::terminal::output::Sink;
use crate::terminal::style::Palette;
use crate::terminal::wrapping::wrapped;
use jlctl_analyzer::lint::{RuleDescriptor, without_markup};

/// Writes the page, in lines of `width` columns.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn write(
    rule: &RuleDescriptor,
    width: usize,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    let palette = Palette::new(sink.color);
    let (heading, level) = (palette.heading, palette.of_severity(rule.level.name()));
    writeln!(
        sink.writer,
        "{heading}{}{heading:#}  {}  {level}{}{level:#}",
        rule.code,
        rule.name,
        rule.level.name()
    )?;
    for text in [rule.summary, rule.description] {
        writeln!(sink.writer)?;
        write_text(text, width, sink)?;
    }
    for (title, text) in rule.sections() {
        writeln!(sink.writer, "\n{heading}{title}{heading:#}")?;
        write_text(text, width, sink)?;
    }
    Ok(())
}

/// Writes the paragraphs and list items of a rule's text.
fn write_text(text: &str, width: usize, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    for line in without_markup(text).lines() {
        let (first, indent, words) = match line.strip_prefix("- ") {
            Some(item) => ("  - ", 4, item),
            None => ("  ", 2, line),
        };
        match words {
            "" => writeln!(sink.writer)?,
            words => writeln!(sink.writer, "{}", wrapped(words, first, indent, width))?,
        }
    }
    Ok(())
}
