//! Maps a file into memory: the crate's only I/O and only `unsafe`.

use super::error::ImageError;
use crate::addr::FileOffset;
use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file mapped for reading.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    map: Map,
}

#[derive(Debug)]
enum Map {
    Shared(Mmap),
    /// With bytes of our own in place of some of the file's.
    Private(MmapMut),
}

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// If the path names no regular file, or it cannot be opened or mapped.  An
    /// empty file is an error too, since nothing can be mapped of it.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let io = |action| move |source| ImageError::Io { path: path.to_owned(), action, source };
        // Asked before opening: opening a FIFO would wait for a writer.
        let metadata = std::fs::metadata(path).map_err(io("cannot open"))?;
        let kind = metadata.file_type();
        let not_a_file = |found| Err(ImageError::NotAFile { path: path.to_owned(), found });
        if kind.is_dir() {
            return not_a_file("a directory");
        }
        if !kind.is_file() {
            return not_a_file("a pipe, socket or device (write it to a file first)");
        }
        if metadata.len() == 0 {
            return not_a_file("an empty file");
        }
        let file = File::open(path).map_err(io("cannot open"))?;
        let map = map(&file).map_err(io("cannot map"))?;
        Ok(Self { path: path.to_owned(), map: Map::Shared(map) })
    }

    /// As [`Self::open`], with some bytes as if the file had others there: pairs of
    /// file offset and bytes.  The file stays as it is, and only the pages that are
    /// edited are copied.
    ///
    /// # Errors
    /// As [`Self::open`], and if an edit is beyond the end of the file.
    pub fn open_edited(path: &Path, edits: &[(FileOffset, &[u8])]) -> Result<Self, ImageError> {
        let plain = Self::open(path)?;
        let io = |action| move |source| ImageError::Io { path: path.to_owned(), action, source };
        let file = File::open(path).map_err(io("cannot open"))?;
        let mut map = map_private(&file).map_err(io("cannot map"))?;
        for (offset, bytes) in edits {
            let place = usize::try_from(offset.0)
                .ok()
                .and_then(|start| map.get_mut(start..start.checked_add(bytes.len())?));
            let Some(place) = place else {
                let error = std::io::ErrorKind::UnexpectedEof.into();
                return Err(io("cannot find bytes to replace in")(error));
            };
            place.copy_from_slice(bytes);
        }
        Ok(Self { map: Map::Private(map), ..plain })
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.map {
            Map::Shared(map) => map,
            Map::Private(map) => map,
        }
    }
}

#[allow(unsafe_code, reason = "mapping is unsafe by nature; this is the one place")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is private and read-only, and no reference into it
    // outlives `Mmap`.  What remains is another process that changes the file
    // meanwhile: a write could change bytes under a `&[u8]`, a truncation raises
    // SIGBUS.  Every tool that maps its input takes that risk; nothing here
    // relies on two reads of one byte being equal for memory safety, since each
    // offset and size that is read out of the file is checked against the
    // length of the mapping where it is used.
    unsafe { Mmap::map(file) }
}

#[allow(unsafe_code, reason = "mapping is unsafe by nature; this is the one place")]
fn map_private(file: &File) -> std::io::Result<MmapMut> {
    // SAFETY: as for `map`: the mapping is private (MAP_PRIVATE), so that what is
    // written to it is seen by nobody else, and `MmapMut` owns it.  Another process
    // that changes the file can still change pages that were not written to here;
    // nothing relies on two reads of one byte being equal for memory safety.
    unsafe { memmap2::MmapOptions::new().map_copy(file) }
}
