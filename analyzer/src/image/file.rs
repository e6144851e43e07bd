//! A file with an image in it: mapped, and taken out of its containers.

use super::container::{self, Layer, Limits};
use super::error::ImageError;
use super::mapped::MappedFile;
use super::signature::{ModuleSignature, SignatureFault, module_signature};
use crate::addr::FileOffset;
use std::borrow::Cow;
use std::path::Path;

/// The bytes of an image, and how they were had.
#[derive(Debug)]
pub struct ImageFile {
    file: MappedFile,
    /// The bytes that were in the containers, if there were any.
    unpacked: Option<Vec<u8>>,
    layers: Vec<Layer>,
    trailing: u64,
}

impl ImageFile {
    /// Opens the file at `path` and takes off whatever it is wrapped in.
    ///
    /// # Errors
    /// If it cannot be opened or mapped, or a container cannot be unpacked
    /// within `limits`.  Whether there is an image inside is not looked at.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, ImageError> {
        Self::of_mapped(MappedFile::open(path)?, limits)
    }

    /// As [`Self::open`], with some bytes as if the file had others there: pairs of
    /// file offset and bytes.
    ///
    /// # Errors
    /// As [`Self::open`], and if an edit is beyond the end of the file.
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
            // A boot image with an uncompressed kernel in it.
            Cow::Borrowed(bytes) => Some(bytes.to_vec()),
        };
        let (layers, trailing) = (unwrapped.layers, unwrapped.trailing);
        Ok(Self { file, unpacked, layers, trailing })
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The bytes of the image, out of all containers.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.unpacked.as_deref().unwrap_or(self.file.bytes())
    }

    /// The bytes of the file as it lies on the disk, containers and all.
    #[must_use]
    pub fn file_bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// The containers as the files are called: `gz`, `zboot+gz`; `None` without
    /// any.
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

    /// Bytes behind the compressed data that belong to nothing.
    #[must_use]
    pub fn trailing(&self) -> u64 {
        self.trailing
    }

    /// The signature appended to a module, if there is one.
    ///
    /// # Errors
    /// If there is a marker of a signature, and no sound signature.
    pub fn signature(&self) -> Result<Option<ModuleSignature<'_>>, SignatureFault> {
        module_signature(self.bytes())
    }
}
