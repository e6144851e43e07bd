//! The page of a rule.

use crate::terminal::output::Sink;
use crate::terminal::style::Palette;
use crate::terminal::wrapping::wrapped;
use jlctl_analyzer::lint::RuleDescriptor;

/// Writes the page, in lines of `width` columns.
///
/// # Errors
/// What the writer raises.
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
        rule.title,
        rule.level.name()
    )?;
    for (title, text) in parts(rule) {
        let text = wrapped(text, "  ", 2, width);
        writeln!(sink.writer, "\n{heading}{title}{heading:#}\n{text}")?;
    }
    Ok(())
}

/// Headings and texts of the page.
pub(crate) fn parts(rule: &RuleDescriptor) -> [(&'static str, &'static str); 6] {
    [
        ("Finds", rule.finds),
        ("How", rule.how),
        ("False positives", rule.false_positives),
        ("False negatives", rule.false_negatives),
        ("History", rule.history),
        ("What mends it", rule.fix),
    ]
}
