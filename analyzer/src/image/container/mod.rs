//! Unpacks images: removes compression, and boot images that unpack themselves.
//!
//! A layer is recognised by its content, never by the name of the file.  Bytes without a known
//! layer are returned unchanged; the reader of images decides what they are.  An arm64 `Image`
//! that is also an EFI application is not a layer.
//!
//! [`Limits`] bound work and memory, whatever sizes a file states.  In addition to the bytes
//! themselves a decoder may take 256 MiB (the dictionary of xz) or 128 MiB (the window of
//! Zstandard), and uses them only in proportion to its output.

mod boot;
mod error;
mod gzip;
mod layer;
mod output;
mod recognise;
mod streams;
mod xz;
mod zstd;

#[cfg(test)]
mod tests;

pub use error::{ContainerError, ContainerFault, UnpackProgress};
pub use layer::Layer;

use boot::Payload;
use recognise::{Recognised, is_elf, recognise};
use std::borrow::Cow;
use std::ops::Range;
use streams::{Codec, padding, unpack};

/// Bounds on unpacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most unpacked bytes held at once, over all layers.
    pub max_bytes: u64,
    /// Most nested layers; a boot image and its compression count as two.
    pub max_layers: u8,
}

impl Default for Limits {
    /// 1 GiB, which is twice the largest vmlinux with debug information, and 8 layers.
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_layers: 8 }
    }
}

/// An unpacked image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwrapped<'d> {
    /// The image; borrowed if no layer was unpacked.
    pub bytes: Cow<'d, [u8]>,
    /// The layers that were removed, outermost first.
    pub layers: Vec<Layer>,
    /// Number of bytes after the compressed data of a layer that are neither padding with zeros
    /// nor the size that the kernel's build appends.
    pub trailing: u64,
}

/// Removes all layers of `data`, a complete file.
///
/// # Errors
/// If a layer is damaged, truncated, of a known format that jlctl does not unpack, or exceeds
/// `limits`.  Data without a layer are not an error.
pub fn unwrap(data: &[u8], limits: Limits) -> Result<Unwrapped<'_>, ContainerError> {
    let mut unwrapped = Unwrapped { bytes: Cow::Borrowed(data), layers: Vec::new(), trailing: 0 };
    loop {
        match unwrapped.take_off_one(limits) {
            Ok(true) => {}
            Ok(false) => return Ok(unwrapped),
            Err(fault) => return Err(ContainerError { layers: unwrapped.layers, fault }),
        }
    }
}

impl Unwrapped<'_> {
    /// Removes the outermost layer; returns whether there was one.
    fn take_off_one(&mut self, limits: Limits) -> Result<bool, ContainerFault> {
        match recognise(&self.bytes) {
            Recognised::Plain => return Ok(false),
            Recognised::Unsupported(format, tool) => {
                return Err(ContainerFault::Unsupported { format, tool });
            }
            Recognised::Streams(layer, codec) => {
                self.push(layer, limits)?;
                self.unpack(codec, limits)?;
            }
            Recognised::BootImage(layer) => {
                self.push(layer, limits)?;
                let payload = match layer {
                    Layer::EfiZboot => boot::zboot(&self.bytes)?,
                    _ => boot::bz_image(&self.bytes)?,
                };
                check_payload(&self.bytes, &payload)?;
                let range = payload.range;
                narrow(&mut self.bytes, range);
            }
        }
        Ok(true)
    }

    fn push(&mut self, layer: Layer, limits: Limits) -> Result<(), ContainerFault> {
        if self.layers.len() >= usize::from(limits.max_layers) {
            return Err(ContainerFault::TooManyLayers { limit: limits.max_layers });
        }
        self.layers.push(layer);
        Ok(())
    }

    fn unpack(&mut self, codec: &Codec, limits: Limits) -> Result<(), ContainerFault> {
        let held = match &self.bytes {
            Cow::Borrowed(_) => 0,
            Cow::Owned(bytes) => bytes.capacity() as u64,
        };
        let limit = limits.max_bytes.saturating_sub(held);
        let unpacked = unpack(codec, &self.bytes, limit, limits.max_bytes)?;
        let rest = self.bytes.get(unpacked.consumed..).unwrap_or_default();
        let in_boot_image = self.layers.iter().rev().nth(1).is_some_and(|l| l.is_boot_image());
        if padding(rest) != rest.len() && !(in_boot_image && is_size(rest, unpacked.bytes.len())) {
            self.trailing += rest.len() as u64;
        }
        self.bytes = Cow::Owned(unpacked.bytes);
        Ok(())
    }
}

/// Whether `rest` is the size that the kernel's build appends to a compressed payload: 32 bits,
/// least significant byte first (`scripts/Makefile.lib`, Linux 6.12).
fn is_size(rest: &[u8], len: usize) -> bool {
    <[u8; 4]>::try_from(rest)
        .is_ok_and(|size| u64::from(u32::from_le_bytes(size)) == len as u64 & 0xffff_ffff)
}

/// A boot image whose payload is not recognised is damaged: the code of the boot image itself
/// is not an image to read.
fn check_payload(image: &[u8], payload: &Payload<'_>) -> Result<(), ContainerFault> {
    let bytes = image.get(payload.range.clone()).unwrap_or_default();
    if is_elf(bytes) || !matches!(recognise(bytes), Recognised::Plain) {
        return Ok(());
    }
    let first = bytes.get(..8).unwrap_or(bytes);
    let mut found = format!("bytes {first:02x?}");
    if let Some(label) = payload.label {
        found.push_str(&format!(", which the header calls \"{}\"", label.escape_ascii()));
    }
    Err(ContainerFault::Payload { offset: payload.range.start as u64, found })
}

/// Keeps the bytes of `range`, which lies in `bytes`.
fn narrow(bytes: &mut Cow<'_, [u8]>, range: Range<usize>) {
    match bytes {
        Cow::Borrowed(slice) => *slice = slice.get(range).unwrap_or_default(),
        Cow::Owned(vec) => {
            vec.truncate(range.end);
            vec.drain(..range.start);
        }
    }
}
