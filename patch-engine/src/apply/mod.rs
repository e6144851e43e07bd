//! Applies checked byte changes to files.
//!
//! A [`Patch`] names an image, the bytes that must be in it and those that replace them. Nothing is
//! written before the image is recognised by its length, its checksum and every byte that is
//! replaced; all differences are reported.
//!
//! * [`dry_run`] only recognises the image.
//! * [`copy()`] writes a patched copy, which appears under its name complete or not at all.
//! * [`in_place()`] changes the image itself. Until the change is on the disk, a journal of the old
//!   bytes lies beside the image, so that [`recover`] restores the image after a crash.
//!
//! This module is not for processes, running kernels and compressed images: offsets are those of
//! the file as it lies on the disk.
//!
//! The checksum is XXH3 unless the caller asks for SHA-256: the sum of a 300 MB kernel must not
//! take longer than its copy. XXH3 tells the image from every file that was not crafted to collide
//! with it, and a crafted file gains little, since every old byte and every claim of the plan is
//! checked against it as well. In reverse, the checksum is that of the file as it will be, so that
//! the result is the image that the plan was made for, or nothing is written.

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

/// Recognises the image of `patch`, and reports what an apply would change.
///
/// # Errors
/// If the image is not the one that the patch is for.
pub fn dry_run(patch: &Patch<'_>) -> Result<ApplyReport, ApplyError> {
    let source = OpenImage::open(patch.image, false)?;
    source.verify(patch)?;
    Ok(ApplyReport::of(patch, source.path.clone(), source.path))
}
