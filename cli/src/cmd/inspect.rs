//! `jlctl inspect`: reads images and reports their jump tables.

use crate::args::{Format, Global, Inspect};
use crate::exit::{Kind, Outcome, failure};
use crate::files::{candidates, images};
use crate::input::Input;
use crate::output;
use crate::progress::Progress;
use crate::report::{self, Inspection, Lists};
use crate::selection::{Filter, Selection};
use crate::set::Set;
use crate::source;
use anyhow::Context as _;
use jlctl_analyzer::jump_table::{JumpTable, Severity, SiteId};
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
        .map_err(|error| source::no_table(&image, error))
        .with_context(of_path)?;
    let mut diagnostics = table.diagnostics().to_vec();
    let debug_info = if args.no_source {
        None
    } else {
        source::open(&input, &image, progress, &mut diagnostics).with_context(of_path)?
    };
    let debug_info = debug_info.as_ref();
    let frames_of = |sites: &[SiteId]| {
        let mut faults = Vec::new();
        let look_up =
            |debug_info| source::frames(debug_info, &input, &table, sites, progress, &mut faults);
        let frames = debug_info.filter(|_| !sites.is_empty()).map(look_up);
        (frames, faults)
    };
    // Without filters it is known before which sites are wanted.
    let all = filter.is_empty() && lists.sites && !args.no_source;
    let (keys, frames) = rayon::join(
        || source::describe_keys(debug_info, &input, &image, &table, progress),
        || all.then(|| frames_of(&table.site_ids().collect::<Vec<_>>())),
    );
    diagnostics.extend(keys.faults().iter().map(source::debug_fault));
    let selection = Selection::new(&image, &table, &keys, filter).with_context(of_path)?;
    diagnostics.retain(|diagnostic| selection.concerns(diagnostic));
    let (frames, faults) = frames
        .unwrap_or_else(|| frames_of(&source::wanted_sites(args, lists, &selection, &diagnostics)));
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
        output::write_result(global, |sink| report::write(&inspection, args.format, sink))
    })?;
    let failing = diagnostics.iter().any(|found| found.defect.severity() >= Severity::Error);
    // The process ends here.  To give back a hundred thousand allocations one by
    // one would take a tenth of the run.
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
    let set = Set::read(paths, &candidates(paths)?, args, lists, progress)?.select(filter)?;
    progress.phase("write the report", 1, |_| {
        output::write_result(global, |sink| report::write_set(&set, args.format, sink))
    })?;
    Ok(if set.has_errors() { Outcome::Findings } else { Outcome::Clean })
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
