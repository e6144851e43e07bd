//! A plan as changes of files: the file of each image, the refusals, and the bytes to write.

use crate::args::Apply;
use crate::open::images::{self, Depth};
use crate::open::input::Input;
use crate::open::plan_document;
use crate::terminal::exit::{Kind, failure};
use crate::terminal::progress::Progress;
use crate::terminal::style::count;
use anyhow::Context as _;
use jlctl_analyzer::addr::FileOffset;
use jlctl_patch_engine::apply::{ApplyError, Patch};
use jlctl_patch_engine::check::check;
use jlctl_patch_engine::digest::{Digests, Sum};
use jlctl_patch_engine::plan_edits::{self, FileEdits};
use jlctl_patch_engine::plan_file::{Hex, PlanDocument};
use jlctl_patch_engine::reason::Waiver;
use jlctl_patch_engine::target::Target;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The edits of one image of a plan, with its file.
pub(crate) struct FileChange<'a> {
    pub(crate) path: PathBuf,
    pub(crate) edits: FileEdits<'a>,
}

impl FileChange<'_> {
    /// The change as the patch engine applies it.
    pub(crate) fn patch(&self, args: &Apply, cut_to: Option<u64>) -> Patch<'_> {
        let FileEdits { image, writes, .. } = &self.edits;
        let Digests { sha256, xxh3 } = plan_document::digests(image);
        let sum = if args.sha256 { Sum::Sha256(sha256) } else { Sum::Xxh3(xxh3) };
        let length = image.size;
        Patch { image: &self.path, length, sum, writes, is_reverse: args.reverse, cut_to }
    }
}

/// Refuses a plan that cannot be applied to a file, unless an option lifts the refusal.
///
/// # Errors
/// All refusals that are not waived.
pub(crate) fn refuse(document: &PlanDocument, args: &Apply) -> anyhow::Result<()> {
    let is_waived = |waiver| match waiver {
        Waiver::SitesOnly => args.sites_only,
        Waiver::Signature => args.drop_signature || args.keep_broken_signature,
    };
    plan_edits::refuse(document, Target::File, is_waived).map_err(refused)
}

/// A refusal of the engine, as a failure of the command.
pub(crate) fn refused(error: impl Display) -> anyhow::Error {
    failure(Kind::Refused, error.to_string())
}

/// The files of the images that a plan changes.
///
/// # Errors
/// If the number of files is not the number of images, or two writes overlap.
pub(crate) fn changes<'a>(
    document: &'a PlanDocument,
    named: &[PathBuf],
    reverse: bool,
) -> anyhow::Result<Vec<FileChange<'a>>> {
    let paths = plan_document::images(document, named);
    if paths.len() != document.images.len() {
        return Err(failure(
            Kind::Usage,
            format!(
                "expected {} in the order of the plan, found {}: {}",
                count(document.images.len(), "image"),
                paths.len(),
                document.images.iter().map(|image| &*image.path).collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    let edits = plan_edits::file_edits(document, reverse).map_err(refused)?;
    Ok(paths.into_iter().zip(edits).map(|(path, edits)| FileChange { path, edits }).collect())
}

/// Checks the plan against its images as they are before the plan is applied; in reverse, as they
/// are after it is reverted.
///
/// # Errors
/// All claims that do not hold.
pub(crate) fn verify(
    document: &PlanDocument,
    changes: &[FileChange<'_>],
    reverse: bool,
    debug_dirs: &[PathBuf],
    progress: &Progress,
) -> anyhow::Result<()> {
    let quiet = Progress::none();
    let open = |change: &FileChange<'_>| {
        let edits: Vec<(FileOffset, &[u8])> = if reverse {
            change.edits.writes.as_slice().iter().map(|write| (write.offset, &*write.new)).collect()
        } else {
            Vec::new()
        };
        Input::open_edited(&change.path, &edits, debug_dirs, &quiet)
    };
    let inputs: Vec<Input> = changes.iter().map(open).collect::<anyhow::Result<_>>()?;
    let images = images::images(&inputs, &quiet)?;
    let contents = images::contents(&inputs, &images, Depth::Tables, &quiet)?;
    let read = images::read_images(&inputs, &images, &contents);
    // The writer verifies that the files have these checksums.
    let sums: Vec<Digests> =
        changes.iter().map(|change| plan_document::digests(change.edits.image)).collect();
    let findings = progress.phase("check the plan", 1, |_| check(document, &read, &sums));
    std::mem::forget(contents);
    if findings.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = findings.iter().take(10).map(ToString::to_string).collect();
    let more = match findings.len() - shown.len() {
        0 => String::new(),
        more => format!("; and {more} more (jlctl plan --check)"),
    };
    Err(failure(
        Kind::Refused,
        format!("the plan does not hold; nothing was written: {}{more}", shown.join("; ")),
    ))
}

/// The offset at which the signature of a module begins.
///
/// # Errors
/// If the file has no valid signature.
pub(crate) fn signature_start(path: &Path) -> anyhow::Result<u64> {
    let input = Input::open(path, &[], &Progress::none())?;
    let signature = input.file().signature().with_context(|| path.display().to_string());
    let signature = signature.map_err(|error| {
        failure(
            Kind::Refused,
            format!(
                "{error:#}; it cannot be removed; use \
         --keep-broken-signature"
            ),
        )
    })?;
    Ok(signature.map_or(input.file().file_bytes().len() as u64, |found| found.content_len))
}

/// `error` with the differences between the file and the image of the plan, if the file is another
/// image.
pub(crate) fn with_identity(error: anyhow::Error, change: &FileChange<'_>) -> anyhow::Error {
    let is_other = matches!(
        error.downcast_ref(),
        Some(ApplyError::Length { .. } | ApplyError::OldBytes { .. } | ApplyError::Digest { .. })
    );
    let Some(differs) = is_other.then(|| difference(change)).flatten() else { return error };
    let plan = &change.edits.image.path;
    failure(
        Kind::Refused,
        format!("not the image that the plan was made for ({plan}): {differs}; {error:#}"),
    )
}

/// The differences between the identity of a file and that of its image; `None` if the identity is
/// the same and only the content differs.
fn difference(change: &FileChange<'_>) -> Option<String> {
    let quiet = Progress::none();
    let input = Input::open(&change.path, &[], &quiet).ok()?;
    let image = input.image(&quiet).ok()?;
    let build_id = image.build_id().map(|id| Hex(id.to_vec()).to_string());
    let expected_id = change.edits.image.build_id.as_ref().map(Hex::to_string);
    let release = image.release().map(str::to_owned);
    let differs = |what: &str, expected: &Option<String>, found: &Option<String>| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        (expected != found)
            .then(|| format!("{what}: expected {}, found {}", text(expected), text(found)))
    };
    let all = [
        differs("build id", &expected_id, &build_id),
        differs("release", &change.edits.image.release, &release),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}
