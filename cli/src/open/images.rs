//! Several images opened and read in parallel, with the parts that a plan needs.

use super::debug_info;
use super::files::{Candidate, candidates};
use super::input::{Input, is_no_image};
use crate::terminal::exit::{Kind, failure, kind_of};
use crate::terminal::progress::Progress;
use crate::terminal::style::count;
use anyhow::Context as _;
use jlctl_analyzer::debug_info::DebugInfo;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{JumpTable, KeyDescriptions, LocateError};
use jlctl_patch_engine::images::ReadImage;
use rayon::prelude::*;
use std::path::PathBuf;

/// The files that are named, directories replaced by the images below them.
///
/// # Errors
/// One error with all files that cannot be opened.
pub(crate) fn open(
    paths: &[PathBuf],
    debug_dirs: &[PathBuf],
    progress: &Progress,
) -> anyhow::Result<Vec<Input>> {
    let candidates = candidates(paths)?;
    let quiet = Progress::none();
    let opened: Vec<anyhow::Result<Option<Input>>> =
        progress.phase("open the files", candidates.len(), |done| {
            let open = |candidate: &Candidate| {
                let opened = Input::open(&candidate.path, debug_dirs, &quiet);
                done(1);
                match opened {
                    Ok(input) => Ok(Some(input)),
                    // The file is not named, and not an image.
                    Err(error) if candidate.is_found && is_no_image(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            candidates.par_iter().map(open).collect()
        });
    let inputs: Vec<Input> = all(opened)?.into_iter().flatten().collect();
    if inputs.is_empty() {
        let named: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(failure(Kind::Input, format!("{}: no images found", named.join(", "))));
    }
    Ok(inputs)
}

/// The images in `inputs`.
///
/// # Errors
/// One error with all images that cannot be read.
pub(crate) fn images<'a>(
    inputs: &'a [Input],
    progress: &Progress,
) -> anyhow::Result<Vec<Image<'a>>> {
    let quiet = Progress::none();
    progress.phase("read the images", inputs.len(), |done| {
        let read = |input: &'a Input| {
            let image = input.image(&quiet);
            done(1);
            image
        };
        all(inputs.par_iter().map(read).collect())
    })
}

/// The jump table, debug information and key names of an image.
pub(crate) struct Contents<'a> {
    pub(crate) table: Option<JumpTable<'a>>,
    pub(crate) debug_info: Option<DebugInfo<'a>>,
    pub(crate) keys: KeyDescriptions,
}

/// How much is read about keys and sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Only the tables: a check does not rely on names.
    Tables,
    /// Also the names of keys, from symbols.
    Names,
    /// Also debug information, for the names of keys and for source lines.
    Source,
}

/// The tables and names of keys. In a set, an image may have no table; a single image must have
/// one.
///
/// # Errors
/// If tables cannot be read, or no image has one.
pub(crate) fn contents<'a>(
    inputs: &'a [Input],
    images: &[Image<'a>],
    depth: Depth,
    progress: &Progress,
) -> anyhow::Result<Vec<Contents<'a>>> {
    let read = |(input, image): (&'a Input, &Image<'a>)| {
        let contents = read_contents(input, image, depth, inputs.len() > 1, progress);
        contents.with_context(|| input.path().display().to_string())
    };
    let contents: Vec<Contents<'a>> = progress.phase("read the jump tables", 1, |_| {
        all(inputs.par_iter().zip(images).map(read).collect())
    })?;
    if contents.iter().all(|contents| contents.table.is_none()) {
        return Err(failure(
            Kind::Refused,
            format!("no jump table in the {}", count(inputs.len(), "file")),
        ));
    }
    Ok(contents)
}

fn read_contents<'a>(
    input: &'a Input,
    image: &Image<'a>,
    depth: Depth,
    is_one_of_many: bool,
    progress: &Progress,
) -> anyhow::Result<Contents<'a>> {
    let quiet = Progress::none();
    let table = match JumpTable::read(image) {
        Ok(table) => Some(table),
        Err(LocateError::NoTable { .. }) if is_one_of_many && image.faults().is_empty() => None,
        Err(error) => return Err(debug_info::no_table(image, error)),
    };
    let mut faults = Vec::new();
    let debug_info = if depth == Depth::Source && table.is_some() {
        debug_info::open(input, image, &quiet, &mut faults)?
    } else {
        None
    };
    let keys = match &table {
        Some(table) if depth != Depth::Tables => {
            debug_info::describe_keys(debug_info.as_ref(), input, image, table, &quiet)
        }
        _ => KeyDescriptions::default(),
    };
    faults.extend(keys.faults().iter().map(debug_info::debug_fault));
    for fault in &faults {
        progress.warn(&format!("{}: {}", input.path().display(), fault.defect));
    }
    Ok(Contents { table, debug_info, keys })
}

/// The images as the patch engine reads them.
pub(crate) fn read_images<'a>(
    inputs: &'a [Input],
    images: &'a [Image<'a>],
    contents: &'a [Contents<'a>],
) -> Vec<ReadImage<'a>> {
    inputs
        .iter()
        .zip(images)
        .zip(contents)
        .map(|((input, image), contents)| ReadImage {
            file: input.file(),
            image,
            table: contents.table.as_ref(),
            keys: &contents.keys,
        })
        .collect()
}

/// All values, or one error with all errors.
fn all<T>(results: Vec<anyhow::Result<T>>) -> anyhow::Result<Vec<T>> {
    let (mut values, mut errors) = (Vec::with_capacity(results.len()), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    match errors.len() {
        0 => Ok(values),
        1 => Err(errors.remove(0)),
        _ => {
            let kinds: Vec<Kind> = errors.iter().map(kind_of).collect();
            let kind = if kinds.contains(&Kind::Input) { Kind::Input } else { kinds[0] };
            let texts: Vec<String> = errors.iter().map(|error| format!("{error:#}")).collect();
            Err(failure(kind, texts.join("; ")))
        }
    }
}
