//! Patches an image itself, and brings it back.

use super::disk::{Disk, Real};
use super::error::ApplyError;
use super::journal::{Journal, journal_path};
use super::report::{ApplyReport, Durability, Recovery};
use super::source::{OpenImage, Patch};
use super::writes::ByteWrite;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Changes the image of `patch`; `also` runs once it is locked and recognised, and
/// if it fails nothing is written.
///
/// The old bytes are in a journal beside the image, on the disk, before the first
/// write, and the journal goes when the last is on the disk.  Whatever ends the
/// process in between, [`recover`] brings the old image back.  Permissions, owner and
/// extended attributes stay; the time of modification is now.
///
/// # Errors
/// If the image is not the one of the patch, or another process is at it, or the
/// operating system fails: the image is then as it was, or the error says that the
/// journal brings it back.
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

/// Writes the old bytes back, of which some may be there already.
fn restore(disk: &dyn Disk, journal: &Journal, source: &OpenImage) -> io::Result<()> {
    for ByteWrite { offset, old, .. } in journal.writes.as_slice() {
        disk.write(&source.file, old, offset.0)?;
    }
    if !journal.cut.is_empty() {
        disk.write(&source.file, &journal.cut, journal.new_length)?;
    }
    disk.sync(&source.file)
}

/// Brings an image back whose change in place was interrupted: after a crash, a
/// killed process, a full disk.  Does nothing if there is no journal.
///
/// # Errors
/// If the journal is damaged or of another file, or the operating system fails; the
/// journal stays then, and this can be repeated.
pub fn recover(image: &Path) -> Result<Recovery, ApplyError> {
    recover_on(&Real, image)
}

pub(super) fn recover_on(disk: &dyn Disk, image: &Path) -> Result<Recovery, ApplyError> {
    let source = OpenImage::open(image, true)?;
    source.lock()?;
    let Some(journal) = Journal::load(&source.path)? else {
        // The image was not touched before its journal was whole.
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

/// How many writes were done, at least partly.  Each byte must be an old or a new
/// one: anything else is another file, or one that somebody changed since.
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
