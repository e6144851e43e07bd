//! The text report on one image: a summary, and lists on request.

use super::image_records::signature;
use super::inspection::Inspection;
use super::records::SignatureRecord;
use crate::schema::{Hex, branch_name, insn_name};
use crate::terminal::output::Sink;
use crate::terminal::style::{
    Palette, aligned, common_root, count, function_name, grouped, heading, label, printable,
    right_align, special,
};
use anstyle::Style;
use comfy_table::Table;
use jlctl_analyzer::image::{ImageFormat, ImageKind, SymbolOffset};
use jlctl_analyzer::jump_table::{
    Diagnostic, EntryLayout, Key, KeyId, LocatedBy, Severity, SiteId,
};
use std::fmt::Write as _;
use std::io::Write;

/// Number of keys that the summary lists.
const BUSIEST: usize = 10;

pub(super) fn write(inspection: &Inspection<'_>, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let (palette, root) = (Palette::new(sink.color), source_root(inspection));
    let report = Report { inspection, palette, root };
    let out = &mut sink.writer;
    report.head(out)?;
    if !inspection.lists.keys && !inspection.lists.sites {
        report.busiest(out)?;
    }
    if inspection.lists.keys {
        report.keys(out, &inspection.selection.keys)?;
    }
    if inspection.lists.sites {
        report.sites(out)?;
    }
    report.diagnostics(out)
}

struct Report<'a> {
    inspection: &'a Inspection<'a>,
    palette: Palette,
    /// Directory that source paths are relative to, with its last slash.
    root: &'a str,
}

/// The signers that a signature names; verifying it would take their keys.
fn signature_text(signature: &SignatureRecord) -> String {
    if let Some(error) = &signature.error {
        return printable(error);
    }
    let signers: Vec<String> = signature
        .signers
        .iter()
        .map(|signer| {
            let name = signer.name.clone().unwrap_or_else(|| format!("key {}", signer.key_id));
            format!("{} ({})", printable(&name), printable(&signer.digest))
        })
        .collect();
    format!("by {}; not verified", signers.join(", "))
}

/// The common directory of all source files, which is shown once.
fn source_root<'a>(inspection: &Inspection<'a>) -> &'a str {
    inspection.frames.map_or("", |frames| common_root(frames.files()))
}

impl Report<'_> {
    fn head(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Inspection { file, image, table, selection, filter, .. } = *self.inspection;
        let kind = match image.kind() {
            _ if image.format() != ImageFormat::Elf => "raw kernel image",
            ImageKind::Exec => "executable",
            ImageKind::Dyn => "position-independent image",
            ImageKind::Rel => "relocatable file",
        };
        let order = if image.is_big_endian() { ", big-endian data" } else { "" };
        let range = table.location().range;
        let layout = match table.layout() {
            EntryLayout::Relative => "self-relative",
            EntryLayout::Absolute => "absolute",
            EntryLayout::StaticKeys => "static-keys: self-relative",
        };
        let by = match table.location().by {
            LocatedBy::Symbols => "symbols",
            LocatedBy::Section => "section",
            LocatedBy::Scan => "structure",
        };
        let confidence = table.location().confidence.map_or(String::new(), |found| {
            let (entries, next) = (grouped(found.entries), grouped(found.next_longest));
            format!(", a chain of {entries}; the next longest has {next}")
        });
        let counts = table.insn_counts();
        let keys = table.keys();
        let count_keys = |is: fn(&Key) -> bool| keys.iter().filter(|key| is(key)).count();
        let sections = self.inspection.sites_by_section();
        let sections: Vec<String> = sections
            .iter()
            .map(|(name, sites)| {
                let name = if name.is_empty() { "no section" } else { name };
                format!("{} {}", printable(name), grouped(*sites))
            })
            .collect();

        self.label(out, "image", &printable(&file.path().to_string_lossy()))?;
        let release = image.release().map(|release| format!(", kernel {}", printable(release)));
        let what = format!("{} {kind}{order}{}", image.arch().name(), release.unwrap_or_default());
        self.label(out, "", &what)?;
        if let Some(id) = image.build_id() {
            self.label(out, "build id", &Hex(id.into()).to_string())?;
        }
        if let Some(path) = self.inspection.debug_file {
            self.label(out, "debug file", &printable(&path.to_string_lossy()))?;
        }
        if let Some(signature) = signature(file) {
            self.label(out, "signature", &signature_text(&signature))?;
        }
        self.label(
            out,
            "table",
            &format!(
                "{} to {}, found by {by}",
                image.address_text(range.start()),
                image.address_text(range.end())
            ),
        )?;
        let entry_size = table.layout().entry_size();
        self.label(out, "", &format!("{layout} entries of {entry_size} bytes{confidence}"))?;
        let mut sites = format!(
            "{}: {} nop, {} jmp",
            grouped(table.len()),
            grouped(counts.nop),
            grouped(counts.jmp)
        );
        if counts.other > 0 {
            write!(sites, ", {} other", grouped(counts.other))?;
        }
        self.label(out, "sites", &sites)?;
        self.label(out, "", &sections.join(", "))?;
        if let Some(special) = special(&self.inspection.special_sites()) {
            self.label(out, "", &special)?;
        }
        let mut key_counts = format!(
            "{}: {} on, {} off; {} in the file, {} zero-filled",
            grouped(keys.len()),
            grouped(count_keys(|key| key.is_on() == Some(true))),
            grouped(count_keys(|key| key.is_on() == Some(false))),
            grouped(count_keys(Key::is_file_backed)),
            grouped(count_keys(|key| !key.is_file_backed() && key.enabled().is_some())),
        );
        match count_keys(Key::is_flipped) {
            0 => {}
            flipped => write!(key_counts, "; {} flipped in this file", grouped(flipped))?,
        }
        self.label(out, "keys", &key_counts)?;
        if !self.root.is_empty() {
            self.label(out, "source", &format!("below {}", printable(self.root)))?;
        }
        if !filter.is_empty() {
            let (sites, keys) = (selection.sites.len(), selection.keys.len());
            let text = format!("{} of {}", count(sites, "site"), count(keys, "key"));
            self.label(out, "selected", &text)?;
        }
        Ok(())
    }

    fn label(&self, out: &mut dyn Write, text: &str, value: &str) -> anyhow::Result<()> {
        label(out, &self.palette, text, value)
    }

    fn heading(&self, out: &mut dyn Write, text: &str) -> anyhow::Result<()> {
        heading(out, &self.palette, text)
    }

    fn busiest(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let selection = self.inspection.selection;
        let mut keys = selection.keys.clone();
        keys.sort_by_key(|id| std::cmp::Reverse(selection.sites_of[id.index()]));
        if keys.len() > BUSIEST {
            let all = grouped(keys.len());
            self.heading(out, &format!("Keys with most sites, {BUSIEST} of {all} (--keys: all)"))?;
        } else {
            self.heading(out, "Keys by number of sites")?;
        }
        keys.truncate(BUSIEST);
        let mut table = aligned(&["sites", "state", "section", "key"]);
        for id in &keys {
            table.add_row([
                grouped(selection.sites_of[id.index()]),
                state(self.key(*id)).to_owned(),
                self.section_of(*id),
                self.key_name(*id),
            ]);
        }
        right_align(&mut table, 0);
        self.table(out, &table, |row| self.style_of_key(keys[row]))
    }

    fn keys(&self, out: &mut dyn Write, keys: &[KeyId]) -> anyhow::Result<()> {
        self.heading(out, "Keys")?;
        let mut table = aligned(&["address", "sites", "state", "defined", "section", "key"]);
        for id in keys {
            let key = self.key(*id);
            table.add_row([
                self.inspection.image.address_text(key.address),
                grouped(self.inspection.selection.sites_of[id.index()]),
                state(key).to_owned(),
                key.initially_true().map_or("?", |on| if on { "true" } else { "false" }).to_owned(),
                self.section_of(*id),
                self.key_with_message(*id),
            ]);
        }
        right_align(&mut table, 1);
        self.table(out, &table, |row| self.style_of_key(keys[row]))
    }

    fn sites(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Inspection { image, table, selection, frames, .. } = *self.inspection;
        self.heading(out, "Sites")?;
        let columns = ["code", "insn", "branch", "target", "key", "function", "source"];
        // Without debug information there is no source column.
        let columns = &columns[..columns.len() - usize::from(frames.is_none())];
        let mut rows = aligned(columns);
        for id in &selection.sites {
            let (entry, site) = (table.entry(*id), table.site(*id));
            let insn = match insn_name(site.insn) {
                "other" => site.disassembly(image, entry.code).unwrap_or_else(|| "?".to_owned()),
                name => name.to_owned(),
            };
            let mut row = vec![
                image.address_text(entry.code),
                insn,
                branch_name(entry.branch).to_owned(),
                image.address_text(entry.target),
                self.key_name(table.key_of(*id)),
                self.function(site.function),
            ];
            if frames.is_some() {
                row.push(self.source(*id).unwrap_or_else(|| "?".to_owned()));
            }
            rows.add_row(row);
        }
        self.table(out, &rows, |_| Style::new())
    }

    fn diagnostics(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let found = self.inspection.diagnostics;
        let of = |severity| found.iter().filter(|d| d.defect.severity() == severity).count();
        let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
        let notes = of(Severity::Note);
        if found.is_empty() {
            return self.heading(out, "No diagnostics");
        }
        let parts = [(errors, "error"), (warnings, "warning"), (notes, "note")];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(*n, what)).collect();
        self.heading(out, &format!("Diagnostics: {}", parts.join(", ")))?;
        found.iter().try_for_each(|diagnostic| self.diagnostic(out, diagnostic))
    }

    fn diagnostic(&self, out: &mut dyn Write, found: &Diagnostic) -> anyhow::Result<()> {
        let severity = found.defect.severity();
        let style = match severity {
            Severity::Error => self.palette.error,
            Severity::Warning => self.palette.warning,
            Severity::Note => self.palette.faint,
        };
        let (name, code) = (severity.name(), found.defect.code());
        writeln!(
            out,
            "{style}{name} {code}{style:#} {}",
            printable(&self.inspection.image.localize(&found.defect.to_string()))
        )?;
        let Some(id) = found.site else { return Ok(()) };
        let table = self.inspection.table;
        let mut location = format!("entry {}", id.index());
        if let Some(function) = table.site(id).function {
            write!(location, " in {}", self.function(Some(function)))?;
        }
        write!(location, ", key {}", self.key_name(table.key_of(id)))?;
        if let Some(source) = self.source(id) {
            write!(location, ", {source}")?;
        }
        Ok(writeln!(out, "    {location}")?)
    }

    fn table(
        &self,
        out: &mut dyn Write,
        table: &Table,
        style: impl Fn(usize) -> Style,
    ) -> anyhow::Result<()> {
        for (line, text) in table.lines().enumerate() {
            let style = line.checked_sub(1).map_or(self.palette.faint, &style);
            writeln!(out, "{style}{}{style:#}", text.trim_end())?;
        }
        Ok(())
    }

    fn key(&self, id: KeyId) -> &Key {
        self.inspection.table.key(id)
    }

    fn style_of_key(&self, id: KeyId) -> Style {
        if self.key(id).is_on() == Some(true) { self.palette.on } else { Style::new() }
    }

    /// The key, and the location of its message if it is a dynamic debug key.
    fn key_with_message(&self, id: KeyId) -> String {
        let Inspection { image, keys, .. } = *self.inspection;
        let name = self.key_name(id);
        match keys.dynamic_debug(image, id, self.key(id)) {
            None => name,
            Some(message) => format!(
                "{name} ({}:{} {})",
                printable(&message.file),
                message.line,
                printable(&message.function)
            ),
        }
    }

    fn key_name(&self, id: KeyId) -> String {
        printable(self.inspection.keys.names().get(id).full())
    }

    fn section_of(&self, id: KeyId) -> String {
        let section = self.key(id).section.map(|id| self.inspection.image.section(id).name);
        printable(section.unwrap_or("?"))
    }

    fn function(&self, function: Option<SymbolOffset>) -> String {
        match (self.inspection.function_name(function), function) {
            (Some(name), Some(at)) => format!("{}+{:#x}", function_name(&name), at.offset),
            _ => "?".to_owned(),
        }
    }

    /// File and line of the frame in which the key is used.
    fn source(&self, id: SiteId) -> Option<String> {
        let frames = self.inspection.frames?;
        let frame = frames.used_at_frame(id)?;
        let path = frames.all().string(frame.file?);
        let file = printable(path.strip_prefix(self.root).unwrap_or(path));
        Some(frame.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
    }
}

fn state(key: &Key) -> &'static str {
    match key.is_on() {
        Some(true) => "on",
        Some(false) => "off",
        None => "?",
    }
}
