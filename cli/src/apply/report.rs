//! Reports of `jlctl apply`: the bytes written, and the state that results.

use crate::args::ApplyFormat;
use crate::live::reached::Reached;
use crate::terminal::output::Sink;
use crate::terminal::style::{Palette, count, grouped, label, printable};
use jlctl_patch_engine::apply::{ApplyReport, CopyMethod, Durability, Recovery};
use serde::Serialize;
use std::io::Write;

/// Name and version of the schema.
const SCHEMA: &str = "jlctl.apply/1";

/// The result for all images of a plan.
#[derive(Serialize)]
pub(crate) struct Applied {
    pub(crate) schema: &'static str,
    pub(crate) plan: String,
    pub(crate) mode: &'static str,
    pub(crate) reverse: bool,
    pub(crate) images: Vec<AppliedImage>,
    /// The result for a process; null for files.
    pub(crate) process: Option<AppliedProcess>,
    /// Keys whose sites and count now disagree.
    pub(crate) split_keys: Vec<SplitKey>,
}

/// The result for a process.
#[derive(Serialize)]
pub(crate) struct AppliedProcess {
    pub(crate) pid: i32,
    pub(crate) sites: usize,
    pub(crate) key_words: usize,
    #[serde(flatten)]
    pub(crate) reached: Reached,
}

/// A key whose sites were patched, but not its count.
#[derive(Serialize)]
pub(crate) struct SplitKey {
    pub(crate) name: String,
    /// The state that the sites implement.
    pub(crate) code: &'static str,
    /// The state of the count when the image starts.
    pub(crate) counter: &'static str,
}

/// The result for one image.
#[derive(Serialize)]
pub(crate) struct AppliedImage {
    image: String,
    target: Option<String>,
    sites: usize,
    key_words: usize,
    bytes_written: u64,
    bytes_changed: u64,
    pages: u64,
    old_length: u64,
    new_length: u64,
    copied: Option<&'static str>,
    on_disk: Option<bool>,
    /// Whether the file is the one that its build id identifies; null without a build id.
    build_id_matches: Option<bool>,
    /// `none`, `dropped`, `broken` or, in reverse, `sound` again.
    signature: &'static str,
}

impl Applied {
    pub(crate) fn new(plan: String, mode: &'static str, reverse: bool) -> Self {
        Self {
            schema: SCHEMA,
            plan,
            mode,
            reverse,
            images: Vec::new(),
            process: None,
            split_keys: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        report: &ApplyReport,
        (sites, key_words): (usize, usize),
        has_build_id: bool,
        signature: &'static str,
    ) {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        self.images.push(AppliedImage {
            image: text(&report.image),
            target: report.durability.map(|_| text(&report.target)),
            sites,
            key_words,
            bytes_written: report.bytes_written,
            bytes_changed: report.bytes_changed,
            pages: report.pages,
            old_length: report.old_length,
            new_length: report.new_length,
            copied: report.copied.map(|method| match method {
                CopyMethod::Reflink => "reflink",
                CopyMethod::CopyFileRange => "copy-file-range",
                CopyMethod::ReadWrite => "read-write",
            }),
            on_disk: report.durability.map(|durability| durability == Durability::Disk),
            build_id_matches: has_build_id.then_some(self.reverse),
            signature,
        });
    }
}

/// Writes the report on an applied plan.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn write(
    applied: &Applied,
    format: ApplyFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    if format == ApplyFormat::Json {
        serde_json::to_writer_pretty(&mut *sink.writer, applied)?;
        return Ok(writeln!(sink.writer)?);
    }
    let palette = Palette::new(sink.color);
    let out = &mut *sink.writer;
    for image in &applied.images {
        image_text(out, &palette, applied, image)?;
    }
    if let Some(process) = &applied.process {
        process_text(out, &palette, process)?;
    }
    for key in &applied.split_keys {
        let text = format!(
            "{}: the sites are {}, the count is {} when the image starts",
            printable(&key.name),
            key.code,
            key.counter
        );
        label(out, &palette, "sites only", &text)?;
    }
    Ok(())
}

fn process_text(
    out: &mut dyn Write,
    palette: &Palette,
    process: &AppliedProcess,
) -> anyhow::Result<()> {
    let (sites, words) = (count(process.sites, "site"), count(process.key_words, "key word"));
    label(out, palette, "process", &format!("{}: {sites}, {words} written", process.pid))?;
    process.reached.text().map_or(Ok(()), |text| label(out, palette, "sync", &text))
}

fn image_text(
    out: &mut dyn Write,
    palette: &Palette,
    applied: &Applied,
    image: &AppliedImage,
) -> anyhow::Result<()> {
    label(out, palette, "image", &printable(&image.image))?;
    let verb = match &image.target {
        Some(target) => printable(target),
        None => "nothing (dry run)".to_owned(),
    };
    label(out, palette, "wrote", &verb)?;
    let what = format!(
        "{} and {}{}; {}, {} of them changed, on {}",
        count(image.sites, "site"),
        count(image.key_words, "key word"),
        if applied.reverse { ", restored" } else { "" },
        count(image.bytes_written, "byte"),
        grouped(image.bytes_changed),
        count(image.pages, "page"),
    );
    label(out, palette, "", &what)?;
    match image.signature {
        "dropped" => {
            let cut = image.old_length - image.new_length;
            let cut = count(cut, "byte");
            label(out, palette, "signature", &format!("removed ({cut})"))?;
        }
        "broken" => label(out, palette, "signature", "kept, no longer valid")?,
        _ => {}
    }
    match image.build_id_matches {
        Some(false) => label(
            out,
            palette,
            "build id",
            "unchanged, although the file is no longer the one \
             that was built",
        ),
        Some(true) => label(out, palette, "build id", "identifies the file again"),
        None => Ok(()),
    }
}

/// Writes the report on a recovery.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn write_recovery(
    image: &str,
    recovery: &Recovery,
    format: ApplyFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Recovered<'a> {
        schema: &'static str,
        mode: &'static str,
        image: &'a str,
        restored: bool,
        writes: Option<u64>,
        undone: Option<u64>,
    }
    let (writes, undone) = match recovery {
        Recovery::NoJournal => (None, None),
        Recovery::Restored { writes, undone, .. } => (Some(*writes), Some(*undone)),
    };
    if format == ApplyFormat::Json {
        let restored = writes.is_some();
        let record = Recovered { schema: SCHEMA, mode: "recover", image, restored, writes, undone };
        serde_json::to_writer_pretty(&mut *sink.writer, &record)?;
        return Ok(writeln!(sink.writer)?);
    }
    let image = printable(image);
    match (writes, undone) {
        (Some(writes), Some(undone)) => writeln!(
            sink.writer,
            "{image}: the old bytes are restored; {undone} of {writes} writes had been done"
        )?,
        _ => writeln!(sink.writer, "{image}: no apply was interrupted; nothing to do")?,
    }
    Ok(())
}
