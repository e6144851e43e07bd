//! `jlctl inspect`: reads an image and reports its jump table.

use crate::args::{Format, Global, Inspect};
use crate::exit::{Kind, Outcome, failure};
use crate::input::Input;
use crate::output;
use crate::progress::Progress;
use crate::report::{self, Inspection, Lists, SiteFrames};
use crate::selection::{Filter, Selection};
use anyhow::Context as _;
use jlctl_analyzer::debug_info::{DebugInfo, DebugInfoError};
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{Defect, Diagnostic, JumpTable, LocateError, Severity, SiteId};
use std::path::{Path, PathBuf};

pub(crate) fn run(global: &Global, args: &Inspect) -> anyhow::Result<Outcome> {
    let filter = Filter::of_args(args)?;
    let lists = lists(args)?;
    let progress = Progress::new(global);
    let path = image_path(args.image.as_deref())?;
    let of_path = || path.display().to_string();
    let input = Input::open(&path, &args.debug_dir, &progress)?;
    let image = input.image(&progress)?;
    let table = progress
        .phase("read the jump table", 1, |_| JumpTable::read(&image))
        .map_err(|error| no_table(&image, error))
        .with_context(of_path)?;
    let selection = Selection::new(&image, &table, &filter).with_context(of_path)?;
    let mut diagnostics: Vec<Diagnostic> = table
        .diagnostics()
        .iter()
        .filter(|diagnostic| selection.concerns(diagnostic))
        .cloned()
        .collect();
    let sites = sites_with_source(args, lists, &selection, &diagnostics);
    let frames = match input.debug() {
        Some(debug) if !sites.is_empty() => {
            look_up(debug, &table, &sites, &progress, &mut diagnostics).with_context(of_path)?
        }
        _ => None,
    };

    let inspection = Inspection {
        path: &path,
        image: &image,
        table: &table,
        selection: &selection,
        filter: &filter,
        diagnostics: &diagnostics,
        frames: frames.as_ref(),
        has_debug_info: input.debug().is_some(),
        debug_file: input.debug_file(),
        lists,
    };
    progress.phase("write the report", 1, |_| {
        output::write_result(global, |sink| report::write(&inspection, args.format, sink))
    })?;
    let failing = diagnostics.iter().any(|found| found.defect.severity() >= Severity::Error);
    Ok(if failing { Outcome::Findings } else { Outcome::Clean })
}

/// A damaged image without a table most likely had one: that is no refusal but
/// an input that cannot be read.
fn no_table(image: &Image<'_>, error: LocateError) -> anyhow::Error {
    if image.faults().is_empty() {
        return error.into();
    }
    let faults: Vec<String> = image.faults().iter().map(ToString::to_string).collect();
    failure(Kind::Input, format!("{error}; the image is damaged: {}", faults.join("; ")))
}

/// The lists that a report carries.  Text is a summary unless they are asked
/// for; the others are whole unless one is asked for alone.
fn lists(args: &Inspect) -> anyhow::Result<Lists> {
    let (keys, sites) = (args.keys, args.sites);
    match args.format {
        Format::Text => Ok(Lists { keys, sites }),
        Format::Json | Format::Jsonl if !keys && !sites => Ok(Lists { keys: true, sites: true }),
        Format::Json | Format::Jsonl => Ok(Lists { keys, sites }),
        Format::Csv if keys && sites => Err(failure(
            Kind::Usage,
            "--format csv: expected one of --keys and --sites, found both; CSV holds one table",
        )),
        Format::Csv => Ok(Lists { keys, sites: !keys }),
    }
}

/// The image to read: the argument (or JLCTL_IMAGE), or else `./vmlinux`.
fn image_path(argument: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = argument {
        return Ok(path.to_owned());
    }
    let default = PathBuf::from("./vmlinux");
    if default.exists() {
        return Ok(default);
    }
    Err(failure(
        Kind::Usage,
        "no IMAGE given, JLCTL_IMAGE is not set and there is no ./vmlinux; see jlctl inspect --help",
    ))
}

/// The sites whose source lines a report shows: those that it lists, or else
/// those that something is wrong with.
fn sites_with_source(
    args: &Inspect,
    lists: Lists,
    selection: &Selection,
    diagnostics: &[Diagnostic],
) -> Vec<SiteId> {
    if args.no_source {
        return Vec::new();
    }
    if lists.sites {
        return selection.sites.clone();
    }
    if args.format != Format::Text {
        return Vec::new();
    }
    let mut sites: Vec<SiteId> = diagnostics.iter().filter_map(|found| found.site).collect();
    sites.dedup();
    sites
}

fn look_up(
    (file, path): (&[u8], &Path),
    table: &JumpTable<'_>,
    sites: &[SiteId],
    progress: &Progress,
    diagnostics: &mut Vec<Diagnostic>,
) -> anyhow::Result<Option<SiteFrames>> {
    let sections = Image::parse_sections(file)?;
    let debug_info =
        match progress.phase("open debug information", 1, |_| DebugInfo::new(&sections)) {
            Ok(debug_info) => debug_info,
            Err(DebugInfoError::Absent) => return Ok(None),
            Err(error) => {
                diagnostics.push(Diagnostic { defect: Defect::of_debug_info(&error), site: None });
                return Ok(None);
            }
        };
    let addresses: Vec<_> = sites.iter().map(|id| table.entry(*id).code).collect();
    let frames = progress.phase("look up source lines", addresses.len(), |done| {
        debug_info.frames(&addresses, path, done)
    });
    diagnostics.extend(
        frames
            .faults()
            .iter()
            .map(|fault| Diagnostic { defect: Defect::DebugInfo(fault.clone()), site: None }),
    );
    Ok(Some(SiteFrames::new(frames, sites, table.len())))
}
