//! `jlctl diff`: compares the jump tables of two images.

use super::comparison::{Comparison, Side};
use super::{json, text};
use crate::args::DiffFormat;
use crate::args::{Diff, Global};
use crate::open::debug_info;
use crate::open::input::Input;
use crate::terminal::exit::{Kind, Outcome, failure, kind_of};
use crate::terminal::output;
use crate::terminal::output::Sink;
use crate::terminal::progress::Progress;
use anyhow::Context as _;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::diff::{TableDiff, TableModel};
use jlctl_analyzer::jump_table::{JumpTable, KeyDescriptions, KeyQuery};

pub(crate) fn run(global: &Global, args: &Diff) -> anyhow::Result<Outcome> {
    let query = args.key.as_deref().map(KeyQuery::parse).transpose();
    let query = query.map_err(|error| failure(Kind::Usage, format!("--key {error}")))?;
    let progress = Progress::new(global);
    // Both images are read in parallel, so the phases of one are not shown.
    let quiet = Progress::none();
    let open = |path| Input::open(path, &args.debug_dir, &quiet);
    let (a, b) = both(rayon::join(|| open(&args.a), || open(&args.b)))?;
    // Names are compared, so types are used only if both sides have debug information.
    let with_types = a.debug().is_some() && b.debug().is_some();
    let read = progress.phase("read the images", 1, |_| rayon::join(|| read(&a), || read(&b)));
    let ((image_a, table_a), (image_b, table_b)) = both(read)?;
    let (keys_a, keys_b) = progress.phase("describe the keys", 1, |_| {
        rayon::join(
            || describe(&a, &image_a, &table_a, with_types),
            || describe(&b, &image_b, &table_b, with_types),
        )
    });
    let (keys_a, keys_b) = both((keys_a, keys_b))?;
    let (model_a, model_b) = rayon::join(
        || TableModel::new(&image_a, &table_a, &keys_a),
        || TableModel::new(&image_b, &table_b, &keys_b),
    );
    let mut diff = progress.phase("compare", 1, |_| TableDiff::new(&model_a, &model_b));
    if let Some(query) = &query {
        select(&mut diff, query, (&table_a, &keys_a), (&table_b, &keys_b))?;
    }
    let comparison = Comparison {
        a: Side { path: &args.a, image: &image_a, table: &table_a, model: &model_a },
        b: Side { path: &args.b, image: &image_b, table: &table_b, model: &model_b },
        diff: &diff,
        key: args.key.as_deref(),
        all: args.all,
        summary: args.summary,
    };
    progress.phase("write the report", 1, |_| {
        output::write_result(global, |sink| write(&comparison, args.format, sink))
    })?;
    let failing = args.exit_code && diff.is_different();
    Ok(if failing { Outcome::Findings } else { Outcome::Clean })
}

fn read(input: &Input) -> anyhow::Result<(Image<'_>, JumpTable<'_>)> {
    let image = input.image(&Progress::none())?;
    let table = JumpTable::read(&image)
        .map_err(|error| debug_info::no_table(&image, error))
        .with_context(|| input.path().display().to_string())?;
    Ok((image, table))
}

fn describe(
    input: &Input,
    image: &Image<'_>,
    table: &JumpTable<'_>,
    with_types: bool,
) -> anyhow::Result<KeyDescriptions> {
    let (quiet, mut faults) = (Progress::none(), Vec::new());
    let debug_info =
        if with_types { debug_info::open(input, image, &quiet, &mut faults)? } else { None };
    Ok(debug_info::describe_keys(debug_info.as_ref(), input, image, table, &quiet))
}

/// Both results, or an error that names the side that failed.
fn both<T>(results: (anyhow::Result<T>, anyhow::Result<T>)) -> anyhow::Result<(T, T)> {
    match results {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Ok(_)) => Err(a.context("A")),
        (Ok(_), Err(b)) => Err(b.context("B")),
        (Err(a), Err(b)) => {
            let kinds = [kind_of(&a), kind_of(&b)];
            let kind = if kinds.contains(&Kind::Input) { Kind::Input } else { kinds[0] };
            Err(failure(kind, format!("A: {a:#}; B: {b:#}")))
        }
    }
}

/// Keeps the keys that the query matches in either table.
fn select(
    diff: &mut TableDiff,
    query: &KeyQuery,
    a: (&JumpTable<'_>, &KeyDescriptions),
    b: (&JumpTable<'_>, &KeyDescriptions),
) -> anyhow::Result<()> {
    let find = |(table, keys): (&JumpTable<'_>, &KeyDescriptions)| {
        let address = |at: usize| table.keys().get(at).map(|key| key.address);
        query.some(keys.names().all(), address)
    };
    let (in_a, in_b) = (find(a), find(b));
    if let (Err(error), Err(_)) = (&in_a, &in_b) {
        return Err(failure(Kind::Refused, format!("--key {error}")));
    }
    let (in_a, in_b) = (in_a.unwrap_or_default(), in_b.unwrap_or_default());
    let has = |found: &[usize], key: usize| found.binary_search(&key).is_ok();
    diff.pairs.retain(|pair| has(&in_a, pair.a) || has(&in_b, pair.b));
    diff.removed.retain(|key| has(&in_a, *key));
    diff.added.retain(|key| has(&in_b, *key));
    Ok(())
}

/// Writes the report in a format.
///
/// # Errors
/// Errors of the writer.
fn write(
    comparison: &Comparison<'_>,
    format: DiffFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        DiffFormat::Text => text::write(comparison, sink),
        DiffFormat::Json => json::write(comparison, sink.writer),
    }
}
