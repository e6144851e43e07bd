//! The plan file of a command line, and the images of the plan.

use crate::terminal::exit::{Kind, failure};
use jlctl_patch_engine::digest::Digests;
use jlctl_patch_engine::images::ReadImage;
use jlctl_patch_engine::plan_file::{self, ImageRecord, PlanDocument};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Maximum size of a plan file in bytes, enough for some 400,000 ops.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the plan at `path`; `-` is standard input.
///
/// # Errors
/// If the file cannot be read, or is not a plan of this version.
pub(crate) fn read(path: &Path) -> anyhow::Result<PlanDocument> {
    let fail = |text: String| failure(Kind::Input, format!("{}: {text}", path.display()));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path);
        file.and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| fail(format!("cannot read the plan: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail(format!("expected a plan of at most {MAX_BYTES} bytes, found more")));
    }
    plan_file::read(&bytes).map_err(|error| fail(error.to_string()))
}

/// The paths of a plan's images: the paths `named`, or else those that the plan records.
pub(crate) fn images(document: &PlanDocument, named: &[PathBuf]) -> Vec<PathBuf> {
    if named.is_empty() {
        return document.images.iter().map(|image| PathBuf::from(&image.path)).collect();
    }
    named.to_vec()
}

/// For each image of the plan, its index in `read`.
///
/// # Errors
/// If an image is missing, with the checksums expected and found.
pub(crate) fn matched(
    document: &PlanDocument,
    read: &[ReadImage<'_>],
    sums: &[Digests],
) -> anyhow::Result<Vec<usize>> {
    let mut missing = Vec::new();
    let mut matched = Vec::new();
    for image in &document.images {
        let at = (0..read.len()).find(|at| sums[*at].sha256 == image.sha256.0);
        // A single image that differs is checked all the same, to report the differences.
        match at.or_else(|| (document.images.len() == 1 && read.len() == 1).then_some(0)) {
            Some(at) => matched.push(at),
            None => missing.push(wanted(image)),
        }
    }
    if missing.is_empty() {
        return Ok(matched);
    }
    let found: Vec<String> = read
        .iter()
        .zip(sums)
        .map(|(read, sum)| format!("{} (SHA-256 {})", read.file.path().display(), hex(&sum.sha256)))
        .collect();
    Err(failure(
        Kind::Refused,
        format!(
            "the plan is for other images: expected {}; found {}",
            missing.join(", "),
            found.join(", ")
        ),
    ))
}

fn wanted(image: &ImageRecord) -> String {
    format!("{} (SHA-256 {})", image.path, image.sha256)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksums that a plan states.
pub(crate) fn digests(image: &ImageRecord) -> Digests {
    Digests { sha256: image.sha256.0, xxh3: image.xxh3.0 }
}
