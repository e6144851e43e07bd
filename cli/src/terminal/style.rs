//! Common parts of text reports: styles, columns, numbers, and names that are safe to print.

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};
use jlctl_analyzer::debug_info::{demangled, with_paths};
use std::collections::BTreeMap;
use std::io::Write;

/// Styles of the parts of a report; all are plain without colour.
#[derive(Default)]
pub(crate) struct Palette {
    pub(crate) heading: Style,
    pub(crate) error: Style,
    pub(crate) warning: Style,
    pub(crate) on: Style,
    pub(crate) faint: Style,
}

impl Palette {
    pub(crate) fn new(color: bool) -> Self {
        if !color {
            return Self::default();
        }
        Self {
            heading: Style::new().bold(),
            error: AnsiColor::Red.on_default().bold(),
            warning: AnsiColor::Yellow.on_default(),
            on: AnsiColor::Green.on_default(),
            faint: Style::new().dimmed(),
        }
    }

    /// The style of a severity, by its name.
    pub(crate) fn of_severity(&self, severity: &str) -> Style {
        match severity {
            "error" => self.error,
            "warning" => self.warning,
            _ => self.faint,
        }
    }
}

pub(crate) fn label(
    out: &mut dyn Write,
    palette: &Palette,
    label: &str,
    text: &str,
) -> anyhow::Result<()> {
    let heading = palette.heading;
    Ok(writeln!(out, "{heading}{label:<10}{heading:#}  {text}")?)
}

pub(crate) fn heading(out: &mut dyn Write, palette: &Palette, text: &str) -> anyhow::Result<()> {
    let heading = palette.heading;
    Ok(writeln!(out, "\n{heading}{text}{heading:#}")?)
}

/// Writes a table, its header line faint.
pub(crate) fn rows(out: &mut dyn Write, palette: &Palette, table: &Table) -> anyhow::Result<()> {
    for (line, text) in table.lines().enumerate() {
        let style = if line == 0 { palette.faint } else { Style::new() };
        writeln!(out, "{style}{}{style:#}", text.trim_end())?;
    }
    Ok(())
}

pub(crate) fn aligned(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

pub(crate) fn right_align(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
}

/// `text` with its control characters escaped: names come from files, and must not control the
/// terminal.
pub(crate) fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// A function by its symbol: the path that it is mangled from, or itself.
pub(crate) fn function_name(symbol: &str) -> String {
    printable(&demangled(symbol).unwrap_or_else(|| symbol.to_owned()))
}

/// A sentence with functions in it, by their symbols, as [`function_name`] has them.
pub(crate) fn sentence(text: &str) -> String {
    printable(&with_paths(text))
}

/// The common directory of all source files, with its last slash.
pub(crate) fn common_root<'a>(mut files: impl Iterator<Item = &'a str>) -> &'a str {
    let Some(first) = files.next() else { return "" };
    let directory = |path: &str| path.rfind('/').map_or(0, |slash| slash + 1);
    let root = &first[..directory(first)];
    files.fold(root, |root, path| {
        let common = root.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
        let slash = root.as_bytes()[..common].iter().rposition(|byte| *byte == b'/');
        slash.map_or("", |slash| &root[..=slash])
    })
}

/// A number and its noun: "1 site", "27,757 sites".
pub(crate) fn count(number: impl TryInto<usize>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(usize::MAX);
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Digits in groups of three.
pub(crate) fn grouped(number: impl TryInto<usize>) -> String {
    let digits = number.try_into().unwrap_or(usize::MAX).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Sites that are special, as a line of a summary; `None` if there are none.
pub(crate) fn special(sites: &BTreeMap<&'static str, usize>) -> Option<String> {
    let parts: Vec<String> =
        sites.iter().map(|(kind, sites)| format!("{kind} {}", grouped(*sites))).collect();
    (!parts.is_empty()).then(|| format!("special: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (27757, "27,757")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((count(1, "key"), count(2, "key")), ("1 key".into(), "2 keys".into()));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(printable("größe"), "größe");
    }
}
