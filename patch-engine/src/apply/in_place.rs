//! Changes an image in place, and restores an image whose change was interrupted.

use super::disk::{Disk, Real};
use super::error::ApplyError;
use super::journal::{Journal, journal_path};
use super::report::{ApplyReport, Durability, Recovery};
use super::source::{OpenImage, Patch};
use super::writes::ByteWrite;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Changes the image of `patch` in place. `also` runs once the image is locked and recognised; if
/// it fails, nothing is written.
///
/// A journal of the old bytes is complete on the disk before the first write, and is removed once
/// the last write is on the disk. If the process ends in between, [`recover`] restores the old
/// image. Permissions, owner and extended attributes are kept; the modification time is the
/// present.
///
/// # Errors
/// If the image is not the one that the patch is for, another process works on the image, or the
/// operating system fails. The image is unchanged then, or the error says that the journal restores
/// it.
pub fn in_place<E: From<ApplyError>>(
    patch: &Patch<'_>,
    also: impl FnOnce() -> Result<(), E>,
) -> Result<ApplyReport, E> {
    in_place_on(&Real, patch, also)
}

pub(super) fn in_place_on<E: From<ApplyError>>(
    disk: &dyn Disk,
    patch: &Patch<'_>,
    also: impl FnOnce() -> Result<(), E>,
) -> Result<ApplyReport, E> {
    let source = OpenImage::open(patch.image, true)?;
    source.lock()?;
    let (path, journal) = (source.path.clone(), journal_path(&source.path));
    if journal.exists() {
        return Err(ApplyError::JournalExists { image: path, journal }.into());
    }
    let names = source.metadata.nlink();
    if names > 1 {
        return Err(ApplyError::HardLinked { path, names }.into());
    }
    source.verify(patch)?;
    also()?;
    change(disk, patch, &source)?;
    let mut report = ApplyReport::of(patch, path.clone(), path);
    report.durability = Some(Durability::Disk);
    Ok(report)
}

fn change(disk: &dyn Disk, patch: &Patch<'_>, source: &OpenImage) -> Result<(), ApplyError> {
    let new_length = patch.new_length();
    let cut = usize::try_from(patch.length - new_length).unwrap_or(usize::MAX);
    let journal = Journal {
        old_length: patch.length,
        new_length,
        writes: patch.writes.clone(),
        cut: source.read(new_length, cut)?,
    };
    journal.store(disk, &source.path)?;
    let (path, action) = (source.path.clone(), "write");
    if let Err(error) = write(disk, &journal, source) {
        let undone =
            restore(disk, &journal, source).and_then(|()| Journal::remove(disk, &source.path));
        return Err(match undone {
            Ok(()) => ApplyError::TakenBack { path, action, source: error },
            Err(_) => {
                let journal = journal_path(&path);
                ApplyError::Interrupted { path, action, source: error, journal }
            }
        });
    }
    Journal::remove(disk, &source.path).map_err(|source| ApplyError::NotDurable {
        path: journal_path(&path),
        action: "remove the journal",
        source,
    })
}

fn write(disk: &dyn Disk, journal: &Journal, source: &OpenImage) -> io::Result<()> {
    for ByteWrite { offset, new, .. } in journal.writes.as_slice() {
        disk.write(&source.file, new, offset.0)?;
    }
    if journal.new_length != journal.old_length {
        disk.set_len(&source.file, journal.new_length)?;
    }
    disk.sync(&source.file)
}

/// Restores the old bytes, of which some may be in place already.
fn restore(disk: &dyn Disk, journal: &Journal, source: &OpenImage) -> io::Result<()> {
    for ByteWrite { offset, old, .. } in journal.writes.as_slice() {
        disk.write(&source.file, old, offset.0)?;
    }
    if !journal.cut.is_empty() {
        disk.write(&source.file, &journal.cut, journal.new_length)?;
    }
    disk.sync(&source.file)
}

/// Restores an image whose change in place was interrupted by a crash, a killed process or a full
/// disk. Does nothing without a journal.
///
/// # Errors
/// If the journal is damaged or belongs to another file, or the operating system fails. The journal
/// stays then, and the recovery can be repeated.
pub fn recover(image: &Path) -> Result<Recovery, ApplyError> {
    recover_on(&Real, image)
}

pub(super) fn recover_on(disk: &dyn Disk, image: &Path) -> Result<Recovery, ApplyError> {
    let source = OpenImage::open(image, true)?;
    source.lock()?;
    let Some(journal) = Journal::load(&source.path)? else {
        // The image is changed only after its journal is complete.
        let _ = Journal::remove_unfinished(disk, &source.path);
        return Ok(Recovery::NoJournal);
    };
    let undone = recognise(&journal, &source)?;
    let system = |action| {
        let path = source.path.clone();
        move |source| ApplyError::System { path, action, source }
    };
    restore(disk, &journal, &source).map_err(system("write the old bytes back to"))?;
    Journal::remove(disk, &source.path).map_err(system("remove the journal of"))?;
    let writes = journal.writes.as_slice().len() as u64;
    Ok(Recovery::Restored { writes, undone, length: journal.old_length })
}

/// The number of writes that were made, at least in part. Each byte must be an old or a new one;
/// any other byte means another file, or a file that was changed since.
fn recognise(journal: &Journal, source: &OpenImage) -> Result<u64, ApplyError> {
    let other = |why: String| ApplyError::JournalOfAnotherFile {
        image: source.path.clone(),
        journal: journal_path(&source.path),
        why,
    };
    let length = source.metadata.len();
    if !(journal.new_length..=journal.old_length).contains(&length) {
        let (old, new) = (journal.old_length, journal.new_length);
        let expected = if old == new { format!("{old}") } else { format!("{new} to {old}") };
        return Err(other(format!("expected {expected} bytes, found {length}")));
    }
    let mut done = 0;
    for ByteWrite { offset, old, new } in journal.writes.as_slice() {
        let found = source.read(offset.0, old.len())?;
        let is_either = found.len() == old.len()
            && found
                .iter()
                .zip(old.iter().zip(new))
                .all(|(now, (old, new))| [old, new].contains(&now));
        if !is_either {
            let hex =
                |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            return Err(other(format!(
                "file offset {offset}: expected {} or {}, found {}",
                hex(old),
                hex(new),
                hex(&found)
            )));
        }
        done += u64::from(found != *old);
    }
    Ok(done)
}
