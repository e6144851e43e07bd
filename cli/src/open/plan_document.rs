//! A plan file that the command line names, and the images that it is about.

use crate::terminal::exit::{Kind, failure};
use jlctl_patch_engine::digest::Digests;
use jlctl_patch_engine::images::ReadImage;
use jlctl_patch_engine::plan_file::{self, ImageRecord, PlanDocument};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Most bytes of a plan file: some 400,000 ops.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the plan at `path`; `-` is standard input.
///
/// # Errors
/// If it cannot be read, or is no plan of this version.
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

/// Where the images of a plan are: where it is said, or else where it was made.
pub(crate) fn images(document: &PlanDocument, named: &[PathBuf]) -> Vec<PathBuf> {
    if named.is_empty() {
        return document.images.iter().map(|image| PathBuf::from(&image.path)).collect();
    }
    named.to_vec()
}

/// For each image of the plan which of `read` it is.
///
/// # Errors
/// If one is missing; says what differs.
pub(crate) fn matched(
    document: &PlanDocument,
    read: &[ReadImage<'_>],
    sums: &[Digests],
) -> anyhow::Result<Vec<usize>> {
    let mut missing = Vec::new();
    let mut matched = Vec::new();
    for image in &document.images {
        let at = (0..read.len()).find(|at| sums[*at].sha256[..] == image.sha256.0[..]);
        // One image that differs is looked at all the same, to say in what.
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

/// The sums that a plan states; zero where they are none.
pub(crate) fn digests(image: &ImageRecord) -> Digests {
    Digests { sha256: exact(&image.sha256), xxh3: exact(&image.xxh3) }
}

fn exact<const BYTES: usize>(hex: &plan_file::Hex) -> [u8; BYTES] {
    hex.0.clone().try_into().unwrap_or([0; BYTES])
}
