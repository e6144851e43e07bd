//! Reports of `jlctl link`: the program linked, or the link removed.

use crate::args::LinkFormat;
use crate::terminal::output::Sink;
use crate::terminal::style::{Palette, count, label, printable};
use jlctl_patch_engine::apply::CopyMethod;
use jlctl_patch_engine::link::{LinkReport, RemoveReport};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Name and version of the schema.
const SCHEMA: &str = "jlctl.link/1";

/// The result for a program; a field that does not apply is null.
#[derive(Serialize)]
pub(crate) struct Done {
    schema: &'static str,
    /// `link` or `remove`.
    mode: &'static str,
    image: String,
    target: String,
    machine: Option<&'static str>,
    /// `program` or `library`.
    kind: Option<&'static str>,
    sites: Option<usize>,
    keys: Option<usize>,
    named_keys: Option<usize>,
    shim: Option<String>,
    runpath: Option<String>,
    sync_icache: Option<bool>,
    moved_dynamic: Option<bool>,
    /// After a removal: whether the file is identical to the one before the link.
    exact: Option<bool>,
    old_length: u64,
    new_length: u64,
    copied: &'static str,
}

impl Done {
    pub(crate) fn linked(image: &Path, out: &Path, sync_icache: bool, report: &LinkReport) -> Self {
        Self {
            machine: Some(report.machine),
            kind: Some(if report.is_library { "library" } else { "program" }),
            sites: Some(report.sites),
            keys: Some(report.keys),
            named_keys: Some(report.names),
            shim: Some(text(&report.shim)),
            runpath: report.runpath.clone(),
            sync_icache: Some(sync_icache),
            moved_dynamic: Some(report.moved_dynamic),
            ..Self::new("link", (image, out), (report.old_length, report.new_length), report.copied)
        }
    }

    pub(crate) fn removed(image: &Path, out: &Path, report: &RemoveReport) -> Self {
        let lengths = (report.old_length, report.new_length);
        Self {
            exact: Some(report.is_exact),
            ..Self::new("remove", (image, out), lengths, report.copied)
        }
    }

    fn new(
        mode: &'static str,
        (image, out): (&Path, &Path),
        (old_length, new_length): (u64, u64),
        copied: CopyMethod,
    ) -> Self {
        let copied = match copied {
            CopyMethod::Reflink => "reflink",
            CopyMethod::CopyFileRange => "copy-file-range",
            CopyMethod::ReadWrite => "read-write",
        };
        let (image, target) = (text(image), text(out));
        Self {
            schema: SCHEMA,
            mode,
            image,
            target,
            machine: None,
            kind: None,
            sites: None,
            keys: None,
            named_keys: None,
            shim: None,
            runpath: None,
            sync_icache: None,
            moved_dynamic: None,
            exact: None,
            old_length,
            new_length,
            copied,
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Writes the report.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn write(done: &Done, format: LinkFormat, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    if format == LinkFormat::Json {
        serde_json::to_writer_pretty(&mut *sink.writer, done)?;
        return Ok(writeln!(sink.writer)?);
    }
    let palette = Palette::new(sink.color);
    let out = &mut *sink.writer;
    label(out, &palette, "image", &printable(&done.image))?;
    label(out, &palette, "wrote", &printable(&done.target))?;
    match done.exact {
        Some(true) => {
            label(out, &palette, "", "the file before the link, except for keys flipped since")
        }
        Some(false) => label(
            out,
            &palette,
            "",
            "no longer depends on libjlshim; it was changed since the link, so the added parts \
             remain",
        ),
        None => linked_text(out, &palette, done),
    }
}

fn linked_text(out: &mut dyn Write, palette: &Palette, done: &Done) -> anyhow::Result<()> {
    let number = |value: Option<usize>| value.unwrap_or(0);
    let keys = number(done.keys);
    let what = format!(
        "{} of {}, {} of them named; {} added",
        count(number(done.sites), "site"),
        count(keys, "key"),
        number(done.named_keys),
        count(done.new_length.saturating_sub(done.old_length), "byte")
    );
    label(out, palette, "", &what)?;
    label(out, palette, "library", &printable(done.shim.as_deref().unwrap_or("")))?;
    match &done.runpath {
        Some(runpath) => label(out, palette, "looked for", &printable(runpath))?,
        None => label(out, palette, "", "in the program itself: no library is loaded")?,
    }
    if done.kind == Some("library") {
        label(out, palette, "closing", "never: dlclose does not unload the object")?;
    }
    if done.moved_dynamic == Some(true) {
        let text = "the dynamic section had no room and was moved: it remains writable";
        label(out, palette, "note", text)?;
    }
    Ok(())
}
