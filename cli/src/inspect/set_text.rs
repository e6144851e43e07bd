//! The text report on a set of files: a kernel and its modules together.

use super::records::{FileRecord, KeyRecord};
use super::set::Set;
use super::set_file::FileSite;
use crate::terminal::output::Sink;
use crate::terminal::style::{
    Palette, aligned, count, function_name, grouped, heading, label, printable, right_align, rows,
    special,
};
use std::collections::BTreeSet;
use std::io::Write;

/// Rows of a list in the summary.
const FIRST: usize = 10;

pub(super) fn write(set: &Set, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let report = Report { set, palette: Palette::new(sink.color) };
    let out = &mut sink.writer;
    report.head(out)?;
    if !set.lists.keys && !set.lists.sites {
        report.busiest(out)?;
        report.fullest(out)?;
        report.unresolved(out)?;
    }
    if set.lists.keys {
        report.keys(out)?;
    }
    if set.lists.sites {
        report.sites(out)?;
    }
    report.diagnostics(out)
}

struct Report<'a> {
    set: &'a Set,
    palette: Palette,
}

impl Report<'_> {
    fn head(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Set { files, keys, summary, passed, .. } = self.set;
        let with = |is: fn(&FileRecord) -> bool| files.iter().filter(|file| is(file)).count();
        let failed = with(|file| file.error.is_some());
        let tables = with(|file| file.table.is_some());
        let without = files.len() - failed - tables;
        let mut text =
            format!("{}: {} with a jump table", count(files.len(), "file"), grouped(tables));
        for (number, what) in [(without, "without"), (failed, "not read")] {
            if number > 0 {
                text += &format!(", {} {what}", grouped(number));
            }
        }
        if *passed > 0 {
            let are = if *passed == 1 { "is not an image" } else { "are not images" };
            text += &format!("; {} {are}", count(*passed, "other file"));
        }
        label(out, &self.palette, "set", &text)?;
        label(out, &self.palette, "", &self.identities())?;
        let mut sites = format!(
            "{}: {} nop, {} jmp",
            grouped(summary.entries),
            grouped(summary.nop),
            grouped(summary.jmp)
        );
        if summary.other > 0 {
            sites += &format!(", {} other", grouped(summary.other));
        }
        label(out, &self.palette, "sites", &sites)?;
        let sections: Vec<String> = summary
            .sections
            .iter()
            .map(|(name, sites)| {
                let name = if name.is_empty() { "no section" } else { name };
                format!("{} {}", printable(name), grouped(*sites))
            })
            .collect();
        label(out, &self.palette, "", &sections.join(", "))?;
        if let Some(special) = special(&summary.special) {
            label(out, &self.palette, "", &special)?;
        }
        let count_keys =
            |is: &dyn Fn(&KeyRecord<'_>) -> bool| keys.iter().filter(|key| is(&key.record)).count();
        let unresolved = count_keys(&|key| key.unresolved.is_some());
        let mut text = format!(
            "{}: {} on, {} off",
            grouped(keys.len()),
            grouped(count_keys(&|key| key.enabled.is_some_and(|enabled| enabled != 0))),
            grouped(count_keys(&|key| key.enabled == Some(0))),
        );
        let shared = keys.iter().filter(|key| key.files > 1).count();
        text += &format!(
            ", {} unresolved; {} used by several files",
            grouped(unresolved),
            grouped(shared)
        );
        label(out, &self.palette, "keys", &text)?;
        if let Some(selection) = &self.set.selection {
            let text =
                format!("{} of {}", count(selection.sites, "site"), count(selection.keys, "key"));
            label(out, &self.palette, "selected", &text)?;
        }
        Ok(())
    }

    /// Architectures and releases, as far as they agree.
    fn identities(&self) -> String {
        let images = || self.set.files.iter().filter_map(|file| file.image.as_ref());
        let archs: BTreeSet<&str> = images().map(|image| image.arch).collect();
        let releases: BTreeSet<&str> =
            images().filter_map(|image| image.release.as_deref()).collect();
        let list =
            |all: BTreeSet<&str>| all.into_iter().map(printable).collect::<Vec<_>>().join(", ");
        match releases.len() {
            0 => list(archs),
            1 => format!("{}, kernel {}", list(archs), list(releases)),
            _ => format!("{}, kernels {}", list(archs), list(releases)),
        }
    }

    fn busiest(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut keys: Vec<_> = self.set.keys.iter().collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.record.sites));
        let all = grouped(keys.len());
        keys.truncate(FIRST);
        let title = format!("Keys with most sites, {} of {all} (--keys: all)", keys.len());
        heading(out, &self.palette, &title)?;
        let mut table = aligned(&["sites", "files", "state", "key", "defined in"]);
        for key in keys {
            table.add_row([
                grouped(key.record.sites),
                grouped(key.files),
                state(&key.record).to_owned(),
                printable(&key.record.name),
                self.defined_in(&key.record),
            ]);
        }
        right_align(&mut table, 0);
        right_align(&mut table, 1);
        rows(out, &self.palette, &table)
    }

    fn fullest(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let entries =
            |file: &FileRecord| file.summary.as_ref().map_or(0, |summary| summary.entries);
        let mut files: Vec<_> = self.set.files.iter().filter(|file| entries(file) > 0).collect();
        files.sort_by_key(|file| std::cmp::Reverse(entries(file)));
        let all = grouped(files.len());
        files.truncate(FIRST);
        heading(out, &self.palette, &format!("Files with most sites, {} of {all}", files.len()))?;
        let mut table = aligned(&["sites", "keys", "file"]);
        for file in files {
            let keys = file.summary.as_ref().map_or(0, |summary| summary.keys);
            table.add_row([grouped(entries(file)), grouped(keys), short(&file.path)]);
        }
        right_align(&mut table, 0);
        right_align(&mut table, 1);
        rows(out, &self.palette, &table)
    }

    fn unresolved(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut keys: Vec<_> =
            self.set.keys.iter().filter(|key| key.record.unresolved.is_some()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.record.sites));
        let all = grouped(keys.len());
        keys.truncate(FIRST);
        heading(out, &self.palette, &format!("Unresolved keys, {} of {all}", keys.len()))?;
        let mut table = aligned(&["sites", "files", "key", "why"]);
        for key in keys {
            table.add_row([
                grouped(key.record.sites),
                grouped(key.files),
                printable(&key.record.name),
                printable(key.record.unresolved.as_deref().unwrap_or_default()),
            ]);
        }
        right_align(&mut table, 0);
        right_align(&mut table, 1);
        rows(out, &self.palette, &table)
    }

    fn keys(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        heading(out, &self.palette, "Keys")?;
        let columns = ["address", "sites", "state", "defined", "section", "key", "defined in"];
        let mut table = aligned(&columns);
        for key in self.set.keys.iter().map(|key| &key.record) {
            table.add_row([
                printable(&key.address.to_string()),
                grouped(key.sites),
                state(key).to_owned(),
                key.initial.unwrap_or("?").to_owned(),
                printable(key.section.as_deref().unwrap_or("?")),
                printable(&key.name),
                self.defined_in(key),
            ]);
        }
        right_align(&mut table, 1);
        rows(out, &self.palette, &table)
    }

    fn sites(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        heading(out, &self.palette, "Sites")?;
        let columns = ["file", "code", "insn", "branch", "target", "key", "function", "source"];
        let mut table = aligned(&columns);
        for FileSite { record: site, used_at, .. } in &self.set.sites {
            let function = site.function.as_deref().map(|name| {
                format!("{}+{:#x}", function_name(name), site.function_offset.unwrap_or(0))
            });
            let source = used_at.as_ref().and_then(|frame| {
                Some(format!("{}:{}", printable(frame.file.as_deref()?), frame.line?))
            });
            let insn = match site.insn {
                "other" => printable(site.disassembly.as_deref().unwrap_or("?")),
                name => name.to_owned(),
            };
            table.add_row([
                short(&self.set.files[site.image].path),
                printable(&site.code.to_string()),
                insn,
                site.branch.to_owned(),
                printable(&site.target.to_string()),
                printable(&site.key_name),
                function.unwrap_or_else(|| "?".to_owned()),
                source.unwrap_or_default(),
            ]);
        }
        rows(out, &self.palette, &table)
    }

    fn diagnostics(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let found = &self.set.diagnostics;
        if found.is_empty() {
            return heading(out, &self.palette, "No diagnostics");
        }
        heading(out, &self.palette, &format!("Diagnostics: {}", grouped(found.len())))?;
        for diagnostic in found {
            let style = self.palette.of_severity(diagnostic.severity);
            let (severity, code) = (diagnostic.severity, diagnostic.code);
            writeln!(out, "{style}{severity} {code}{style:#} {}", printable(&diagnostic.message))?;
            if let Some(file) = diagnostic.image.and_then(|index| self.set.files.get(index)) {
                writeln!(out, "    {}", printable(&file.path))?;
            }
        }
        Ok(())
    }

    fn defined_in(&self, key: &KeyRecord<'_>) -> String {
        let file = key.image.and_then(|index| self.set.files.get(index));
        file.map_or_else(|| "?".to_owned(), |file| short(&file.path))
    }
}

/// The last part of a path.
fn short(path: &str) -> String {
    printable(path.rsplit('/').next().unwrap_or(path))
}

fn state(key: &KeyRecord<'_>) -> &'static str {
    match key.enabled {
        Some(0) => "off",
        Some(_) => "on",
        None => "?",
    }
}
