//! A page of text: headings, lists with a limit, lines of 80 columns.

use super::site_changes::{ByFunction, Move};
use crate::terminal::output::Sink;
use crate::terminal::style::{Palette, grouped, printable};
use anstyle::Style;
use std::io::Write;

/// Columns of a line, unless one name alone is wider.
const WIDTH: usize = 80;
/// Lines of a list without --all.
const LIMIT: usize = 12;

/// The output of a text report, and the limits of its lists.
pub(super) struct Page<'w> {
    out: &'w mut dyn Write,
    pub(super) palette: Palette,
    all: bool,
}

impl<'w> Page<'w> {
    /// `all`: lists have no limit.
    pub(super) fn new(sink: &'w mut Sink<'_>, all: bool) -> Self {
        Self { palette: Palette::new(sink.color), out: &mut *sink.writer, all }
    }

    pub(super) fn plain(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{text}")?)
    }

    pub(super) fn styled(&mut self, style: Style, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{style}{text}{style:#}")?)
    }

    pub(super) fn shown(&self, lines: usize) -> usize {
        // A line that reports one more line is as long as that line.
        if self.all || lines <= LIMIT + 1 { lines } else { LIMIT }
    }

    pub(super) fn list<T>(
        &mut self,
        what: &str,
        items: &[T],
        line: impl Fn(&T) -> String,
    ) -> anyhow::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        self.heading(&format!("{what}: {}", grouped(items.len())))?;
        let shown = self.shown(items.len());
        for item in &items[..shown] {
            writeln!(self.out, "  {}", broken(line(item)))?;
        }
        if shown < items.len() { self.more(&grouped(items.len() - shown)) } else { Ok(()) }
    }

    pub(super) fn more(&mut self, what: &str) -> anyhow::Result<()> {
        let faint = self.palette.faint;
        Ok(writeln!(self.out, "  {faint}and {what} more (--all){faint:#}")?)
    }

    pub(super) fn heading(&mut self, text: &str) -> anyhow::Result<()> {
        let heading = self.palette.heading;
        Ok(writeln!(self.out, "\n{heading}{text}{heading:#}")?)
    }

    pub(super) fn label(&mut self, label: &str, text: &str) -> anyhow::Result<()> {
        let heading = self.palette.heading;
        Ok(writeln!(self.out, "{heading}{label:<10}{heading:#}  {text}")?)
    }

    pub(super) fn items(&mut self, label: &str, items: &[String]) -> anyhow::Result<()> {
        let mut lines = wrap(items, WIDTH - 12).into_iter();
        self.label(label, &lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| self.label("", &line))
    }

    pub(super) fn wrapped(
        &mut self,
        indent: usize,
        items: &[String],
        limit: usize,
    ) -> anyhow::Result<()> {
        let (lines, faint) = (wrap(items, WIDTH - indent), self.palette.faint);
        for line in lines.iter().take(limit) {
            writeln!(self.out, "{:indent$}{line}", "")?;
        }
        let rest: usize = lines.iter().skip(limit).map(|line| line.matches(", ").count() + 1).sum();
        if rest > 0 {
            writeln!(self.out, "{:indent$}{faint}and {} more{faint:#}", "", grouped(rest))?;
        }
        Ok(())
    }
}

/// A line that is too long, broken before the new name of a key.
pub(super) fn broken(line: String) -> String {
    match line.rsplit_once(" → ") {
        Some((old, new)) if line.chars().count() + 2 > WIDTH => {
            format!("{old}\n{:8}→ {new}", "")
        }
        _ => line,
    }
}

pub(super) fn named(function: Option<&str>) -> String {
    function.map_or_else(|| "?".to_owned(), printable)
}

pub(super) fn arrow((from, to): Move<'_>) -> String {
    format!("{} → {}", named(from), named(to))
}

/// `+2 f`, `+1 g`; without a sign `f (2)`, `g`.
pub(super) fn counted(sign: &str, functions: &ByFunction<'_>) -> Vec<String> {
    let item = |(function, sites): &(Option<&str>, usize)| match (sign, sites) {
        ("", 1) => named(*function),
        ("", sites) => format!("{} ({})", named(*function), grouped(*sites)),
        (sign, sites) => format!("{sign}{} {}", grouped(*sites), named(*function)),
    };
    functions.iter().map(item).collect()
}

/// Items with commas between them, in lines of at most `width` characters if no
/// item is longer.
pub(super) fn wrap(items: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let comma = if index + 1 < items.len() { "," } else { "" };
        let length = item.chars().count() + comma.len();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + length <= width => {
                *line += &format!(" {item}{comma}");
            }
            _ => lines.push(format!("{item}{comma}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_wrapped_between_them() {
        let items = ["one", "two", "three-is-longer", "four"].map(str::to_owned);
        assert_eq!(wrap(&items, 9), ["one, two,", "three-is-longer,", "four"]);
        assert_eq!(wrap(&[], 9), [""; 0]);
    }
}
