//! `jlctl inspect`: reads images and reports their jump tables.

use super::filter::Filter;
use super::image_records::Records;
use super::inspection::{ImageSelection, ImageTable, Inspection, Lists, wanted_sites};
use super::set::Set;
use super::{csv, json, set_text, text};
use crate::args::{Global, Inspect, InspectFormat};
use crate::open::debug_info;
use crate::open::files::{candidates, images};
use crate::open::input::Input;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::output;
use crate::terminal::output::Sink;
use crate::terminal::progress::Progress;
use anyhow::Context as _;
use jlctl_analyzer::jump_table::{JumpTable, KeyId, Severity, SiteId};
use std::path::{Path, PathBuf};

pub(crate) fn run(global: &Global, args: &Inspect) -> anyhow::Result<Outcome> {
    let filter = Filter::of_args(args)?;
    let lists = lists(args)?;
    let progress = Progress::new(global);
    let paths = images(&args.image)?;
    match &paths[..] {
        [path] if !path.is_dir() => one(global, args, path, &filter, lists, &progress),
        several => set(global, args, several, &filter, lists, &progress),
    }
}

fn one(
    global: &Global,
    args: &Inspect,
    path: &Path,
    filter: &Filter,
    lists: Lists,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let of_path = || path.display().to_string();
    let input = Input::open(path, &args.debug_dir, progress)?;
    let image = input.image(progress)?;
    let table = progress
        .phase("read the jump table", 1, |_| JumpTable::read(&image))
        .map_err(|error| debug_info::no_table(&image, error))
        .with_context(of_path)?;
    let mut diagnostics = table.diagnostics().to_vec();
    let debug_info = if args.no_source {
        None
    } else {
        debug_info::open(&input, &image, progress, &mut diagnostics).with_context(of_path)?
    };
    let debug_info = debug_info.as_ref();
    let frames_of = |sites: &[SiteId]| {
        let mut faults = Vec::new();
        let look_up = |debug_info| {
            debug_info::frames(debug_info, &input, &table, sites, progress, &mut faults)
        };
        let frames = debug_info.filter(|_| !sites.is_empty()).map(look_up);
        (frames, faults)
    };
    // Without filters the wanted sites are known before the keys.
    let all = filter.is_empty() && lists.sites && !args.no_source;
    let (keys, frames) = rayon::join(
        || debug_info::describe_keys(debug_info, &input, &image, &table, progress),
        || all.then(|| frames_of(&table.site_ids().collect::<Vec<_>>())),
    );
    diagnostics.extend(keys.faults().iter().map(debug_info::debug_fault));
    let selection =
        ImageSelection::new(&ImageTable { image: &image, table: &table, keys: &keys }, filter)
            .with_context(of_path)?;
    diagnostics.retain(|found| {
        selection.concerns(found.site.map(SiteId::index), found.key.map(KeyId::index))
    });
    let (frames, faults) =
        frames.unwrap_or_else(|| frames_of(&wanted_sites(args, lists, &selection, &diagnostics)));
    diagnostics.extend(faults);
    let inspection = Inspection {
        file: input.file(),
        image: &image,
        table: &table,
        keys: &keys,
        selection: &selection,
        filter,
        diagnostics: &diagnostics,
        frames: frames.as_ref(),
        has_debug_info: input.debug().is_some(),
        debug_file: input.debug_file(),
        lists,
    };
    progress.phase("write the report", 1, |_| {
        output::write_result(global, |sink| write(&inspection, args.format, sink))
    })?;
    let failing = diagnostics.iter().any(|found| found.defect.severity() >= Severity::Error);
    // The process ends here.  Freeing a hundred thousand allocations would take a tenth of the run.
    std::mem::forget((frames, selection, keys, table, image));
    Ok(if failing { Outcome::Findings } else { Outcome::Clean })
}

fn set(
    global: &Global,
    args: &Inspect,
    paths: &[PathBuf],
    filter: &Filter,
    lists: Lists,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let set = Set::read(paths, &candidates(paths)?, args, filter, lists, progress)?
        .select(filter, args, progress)?;
    progress.phase("write the report", 1, |_| {
        output::write_result(global, |sink| write_set(&set, args.format, sink))
    })?;
    Ok(if set.has_errors() { Outcome::Findings } else { Outcome::Clean })
}

/// The lists that a report contains. Text is a summary unless a list is requested; other formats
/// contain both lists unless one is requested.
fn lists(args: &Inspect) -> anyhow::Result<Lists> {
    let (keys, sites) = (args.keys, args.sites);
    match args.format {
        InspectFormat::Text => Ok(Lists { keys, sites }),
        InspectFormat::Json | InspectFormat::Jsonl if !keys && !sites => {
            Ok(Lists { keys: true, sites: true })
        }
        InspectFormat::Json | InspectFormat::Jsonl => Ok(Lists { keys, sites }),
        InspectFormat::Csv if keys && sites => Err(failure(
            Kind::Usage,
            "--format csv: expected one of --keys and --sites, found both; CSV holds one table",
        )),
        InspectFormat::Csv => Ok(Lists { keys, sites: !keys }),
    }
}

/// Writes the report in a format.
///
/// # Errors
/// Errors of the writer.
fn write(
    inspection: &Inspection<'_>,
    format: InspectFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        InspectFormat::Text => text::write(inspection, sink),
        InspectFormat::Json => json::write(&Records::new(inspection, 0)?, sink.writer),
        InspectFormat::Jsonl => json::write_lines(&Records::new(inspection, 0)?, sink.writer),
        InspectFormat::Csv => csv::write(&Records::new(inspection, 0)?, sink.writer),
    }
}

/// As [`write()`], of a set of files.
///
/// # Errors
/// Errors of the writer.
fn write_set(set: &Set, format: InspectFormat, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    match format {
        InspectFormat::Text => set_text::write(set, sink),
        InspectFormat::Json => json::write(set, sink.writer),
        InspectFormat::Jsonl => json::write_lines(set, sink.writer),
        InspectFormat::Csv => csv::write(set, sink.writer),
    }
}
