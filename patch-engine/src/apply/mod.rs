//! Writes checked byte changes to files.
//!
//! A [`Patch`] names an image, what must be in it and what takes its place.  Nothing
//! is written before the image was recognised: by its length, its sum and every
//! byte that is to be replaced, of which all that differ are reported.
//!
//! * [`dry_run`] does no more than that.
//! * [`copy()`] writes a patched copy, which appears under its name complete or not
//!   at all.
//! * [`in_place()`] changes the image itself.  A journal of the old bytes lies beside
//!   it meanwhile, so that [`recover`] can bring the old image back after a crash.
//!
//! What this is not for: processes and running kernels, and images that are
//! compressed (offsets are those of the file as it lies on the disk).

mod copy;
mod disk;
mod error;
mod in_place;
mod journal;
mod report;
mod rewrite;
mod source;
#[cfg(test)]
mod tests;
mod writes;

pub use copy::copy;
pub use error::{ApplyError, ByteDifference, FailureClass, JournalDamage};
pub use in_place::{in_place, recover};
pub use journal::journal_path;
pub use report::{ApplyReport, CopyMethod, Durability, Recovery};
pub(crate) use rewrite::{Original, Rewrite, rewrite};
pub use source::Patch;
pub use writes::{ByteWrite, ByteWrites, WritesError};

use source::OpenImage;

/// Recognises the image of `patch`, and reports what an apply would do.
///
/// # Errors
/// If it is not the image that the patch is for.
pub fn dry_run(patch: &Patch<'_>) -> Result<ApplyReport, ApplyError> {
    let source = OpenImage::open(patch.image, false)?;
    source.verify(patch)?;
    Ok(ApplyReport::of(patch, source.path.clone(), source.path))
}
