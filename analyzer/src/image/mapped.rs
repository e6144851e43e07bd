//! Maps files into memory: the crate's only I/O and its only `unsafe` code.

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
    /// With some of the file's bytes replaced in memory.
    Private(MmapMut),
}

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// If the path does not name a regular file, or the file cannot be opened or mapped.  An
    /// empty file is an error too, because it cannot be mapped.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let io = |action| move |source| ImageError::Io { path: path.to_owned(), action, source };
        // Before opening: opening a FIFO would wait for a writer.
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

    /// As [`Self::open`], with `edits` (file offset and bytes) applied to the bytes in memory.
    /// The file does not change, and only the edited pages are copied.
    ///
    /// # Errors
    /// As [`Self::open`], and if an edit lies beyond the end of the file.
    pub fn open_edited(path: &Path, edits: &[(FileOffset, &[u8])]) -> Result<Self, ImageError> {
        let plain = Self::open(path)?;
        let io = |action| move |source| ImageError::Io { path: path.to_owned(), action, source };
        let file = File::open(path).map_err(io("cannot open"))?;
        let mut map = map_private(&file).map_err(io("cannot map"))?;
        for (offset, bytes) in edits {
            let target = usize::try_from(offset.0)
                .ok()
                .and_then(|start| map.get_mut(start..start.checked_add(bytes.len())?));
            let Some(target) = target else {
                let error = std::io::ErrorKind::UnexpectedEof.into();
                return Err(io("cannot replace bytes beyond the end")(error));
            };
            target.copy_from_slice(bytes);
        }
        Ok(Self { map: Map::Private(map), ..plain })
    }

    /// The path of the file.
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

#[allow(unsafe_code, reason = "mapping is unsafe by nature, and confined to this file")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is private and read-only, and no reference into it outlives `Mmap`.
    // The remaining risk is another process that changes the file: a write could change bytes
    // under a `&[u8]`, and a truncation raises SIGBUS.  Every tool that maps its input takes
    // that risk.  Memory safety here does not depend on two reads of a byte being equal,
    // because each offset and size from the file is checked against the length of the mapping
    // where it is used.
    unsafe { Mmap::map(file) }
}

#[allow(unsafe_code, reason = "mapping is unsafe by nature, and confined to this file")]
fn map_private(file: &File) -> std::io::Result<MmapMut> {
    // SAFETY: as for `map`.  The mapping is private (MAP_PRIVATE), so that no other process
    // sees writes to it, and `MmapMut` owns it.  Another process that changes the file can
    // still change pages that were not written to here; memory safety does not depend on two
    // reads of a byte being equal.
    unsafe { memmap2::MmapOptions::new().map_copy(file) }
}
