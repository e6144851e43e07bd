//! A file that contains an image: mapped, and unpacked from its containers.

use super::container::{self, Layer, Limits};
use super::error::ImageError;
use super::mapped::MappedFile;
use super::signature::{ModuleSignature, SignatureFault, module_signature};
use crate::addr::FileOffset;
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

/// The bytes of an image, and the containers that they were in.
#[derive(Debug)]
pub struct ImageFile {
    file: MappedFile,
    /// The unpacked bytes, if the file is a container.
    unpacked: Option<Vec<u8>>,
    /// The part of the file that is the image, if it is a member of an archive.
    member: Option<Range<usize>>,
    layers: Vec<Layer>,
    trailing: u64,
}

impl ImageFile {
    /// Opens the file at `path` and removes all layers around the image.
    ///
    /// # Errors
    /// If the file cannot be opened or mapped, or a layer cannot be removed within `limits`.
    /// The bytes inside are not checked for an image.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, ImageError> {
        Self::of_mapped(MappedFile::open(path)?, limits)
    }

    /// Opens the member of the archive at `path` that has these bytes of it.
    ///
    /// # Errors
    /// If the file cannot be opened or mapped.
    pub fn open_member(path: &Path, member: Range<usize>) -> Result<Self, ImageError> {
        let (file, member) = (MappedFile::open(path)?, Some(member));
        Ok(Self { file, unpacked: None, member, layers: Vec::new(), trailing: 0 })
    }

    /// As [`Self::open`], with `edits` (file offset and bytes) applied to the bytes in memory.
    ///
    /// # Errors
    /// As [`Self::open`], and if an edit lies beyond the end of the file.
    pub fn open_edited(
        path: &Path,
        edits: &[(FileOffset, &[u8])],
        limits: Limits,
    ) -> Result<Self, ImageError> {
        Self::of_mapped(MappedFile::open_edited(path, edits)?, limits)
    }

    fn of_mapped(file: MappedFile, limits: Limits) -> Result<Self, ImageError> {
        let unwrapped = container::unwrap(file.bytes(), limits)?;
        let unpacked = match unwrapped.bytes {
            Cow::Owned(bytes) => Some(bytes),
            Cow::Borrowed(_) if unwrapped.layers.is_empty() => None,
            // A boot image that contains an uncompressed kernel.
            Cow::Borrowed(bytes) => Some(bytes.to_vec()),
        };
        let (layers, trailing) = (unwrapped.layers, unwrapped.trailing);
        Ok(Self { file, unpacked, member: None, layers, trailing })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The bytes of the image, without its containers.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match (&self.unpacked, &self.member) {
            (Some(unpacked), _) => unpacked,
            // The archive may have become shorter.
            (None, Some(member)) => self.file.bytes().get(member.clone()).unwrap_or_default(),
            (None, None) => self.file.bytes(),
        }
    }

    /// The bytes of the file on the disk, including the containers.
    #[must_use]
    pub fn file_bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// The containers by file name extension, outermost first: `gz`, `zboot+gz`; `None` without
    /// a container.
    #[must_use]
    pub fn container_name(&self) -> Option<String> {
        let names: Vec<&str> = self.layers.iter().map(|layer| layer.name()).collect();
        (!names.is_empty()).then(|| names.join("+"))
    }

    /// The containers, outermost first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Number of bytes after the compressed data that belong to no stream.
    #[must_use]
    pub fn trailing(&self) -> u64 {
        self.trailing
    }

    /// The signature appended to a module; `None` if there is none.
    ///
    /// # Errors
    /// If the file ends in the marker of a signature but has no valid signature.
    pub fn signature(&self) -> Result<Option<ModuleSignature<'_>>, SignatureFault> {
        module_signature(self.bytes())
    }
}
