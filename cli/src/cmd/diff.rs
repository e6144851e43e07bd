//! `jlctl diff`: compares the jump tables of two images.

use crate::args::{Diff, Global};
use crate::exit::{Kind, Outcome, failure, kind_of};
use crate::output;
use crate::pattern::Pattern;
use crate::progress::Progress;
use crate::report::diff::{self, Comparison, Side};
use anyhow::Context as _;
use jlctl_analyzer::debug_info::{DebugFile, find_debug_file};
use jlctl_analyzer::image::{Image, MappedFile};
use jlctl_analyzer::jump_table::diff::{TableDiff, TableModel};
use jlctl_analyzer::jump_table::{JumpTable, LocateError};
use std::path::{Path, PathBuf};

pub(crate) fn run(global: &Global, args: &Diff) -> anyhow::Result<Outcome> {
    let pattern = args.key.as_ref().map(|text| Pattern::parse("--key", text)).transpose()?;
    let progress = Progress::new(global);
    let files = |path| Files::open(path, &args.debug_dir);
    let (a, b) = both(rayon::join(|| files(&args.a), || files(&args.b)))?;
    let read = progress.phase("read the images", 1, |_| rayon::join(|| a.read(), || b.read()));
    let ((image_a, table_a), (image_b, table_b)) = both(read)?;
    let (model_a, model_b) = rayon::join(
        || TableModel::new(&image_a, &table_a, |key| key.name(&image_a), |_| None),
        || TableModel::new(&image_b, &table_b, |key| key.name(&image_b), |_| None),
    );
    let mut diff = progress.phase("compare", 1, |_| TableDiff::new(&model_a, &model_b));
    if let (Some(pattern), Some(text)) = (&pattern, &args.key) {
        select(&mut diff, &model_a, &model_b, pattern, text)?;
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
        output::write_result(global, |sink| diff::write(&comparison, args.format, sink))
    })?;
    let failing = args.exit_code && diff.is_different();
    Ok(if failing { Outcome::Findings } else { Outcome::Clean })
}

/// An image's file, and a separate one with its symbols.
struct Files {
    path: PathBuf,
    file: MappedFile,
    separate: Option<DebugFile>,
}

impl Files {
    fn open(path: &Path, debug_dirs: &[PathBuf]) -> anyhow::Result<Self> {
        let file = MappedFile::open(path)?;
        let sections =
            Image::parse_sections(file.bytes()).with_context(|| path.display().to_string())?;
        let separate = if sections.has_symbol_table() {
            None
        } else {
            find_debug_file(path, &sections, debug_dirs)
        };
        Ok(Self { path: path.to_owned(), file, separate })
    }

    fn read(&self) -> anyhow::Result<(Image<'_>, JumpTable<'_>)> {
        let of_path = || self.path.display().to_string();
        let mut image = Image::parse(self.file.bytes()).with_context(of_path)?;
        if let Some(separate) = &self.separate {
            image.adopt_symbols(separate.file.bytes());
        }
        let table = JumpTable::read(&image)
            .map_err(|error| no_table(&image, error))
            .with_context(of_path)?;
        Ok((image, table))
    }
}

/// A damaged image without a table most likely had one.
fn no_table(image: &Image<'_>, error: LocateError) -> anyhow::Error {
    if image.faults().is_empty() {
        return error.into();
    }
    let faults: Vec<String> = image.faults().iter().map(ToString::to_string).collect();
    failure(Kind::Input, format!("{error}; the image is damaged: {}", faults.join("; ")))
}

/// Both results, or what is wrong with which of the two.
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

/// Leaves the keys whose names match in either table.
fn select(
    diff: &mut TableDiff,
    a: &TableModel<'_>,
    b: &TableModel<'_>,
    pattern: &Pattern,
    text: &str,
) -> anyhow::Result<()> {
    let matches = |model: &TableModel<'_>, key: usize| pattern.matches(&model.keys[key].name);
    diff.pairs.retain(|pair| matches(a, pair.a) || matches(b, pair.b));
    diff.removed.retain(|key| matches(a, *key));
    diff.added.retain(|key| matches(b, *key));
    if diff.pairs.is_empty() && diff.removed.is_empty() && diff.added.is_empty() {
        let message = format!("--key {text}: matches no key of these tables");
        return Err(failure(Kind::Refused, message));
    }
    Ok(())
}
