//! Takes the wrapping off an image: compression, and boot images that unpack
//! themselves.
//!
//! What a file is shows in its content, never in its name.  Bytes that are
//! wrapped in nothing known come back as they are; the reader of images says
//! what they are.  An arm64 `Image` that is an EFI application as well is no
//! wrapping.
//!
//! Work and memory are bounded by [`Limits`], however much a file promises.
//! Beside the bytes themselves a decoder may take 256 MiB (the dictionary of
//! xz) or 128 MiB (the window of Zstandard), both only as far as there is
//! output to remember.

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

/// What unwrapping may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unpacked bytes that are held at once, of all layers together.
    pub max_bytes: u64,
    /// Layers in each other; a boot image and its compression are two.
    pub max_layers: u8,
}

impl Default for Limits {
    /// 1 GiB, which is twice the largest vmlinux with debug information, and 8 layers.
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_layers: 8 }
    }
}

/// What was in the wrapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwrapped<'d> {
    /// The image; borrowed if no layer had to be unpacked.
    pub bytes: Cow<'d, [u8]>,
    /// The layers that were taken off, outermost first.
    pub layers: Vec<Layer>,
    /// Bytes that followed the compressed data of a layer and belong to nothing:
    /// not padding with zeros, and not the size that the kernel's build appends.
    pub trailing: u64,
}

/// Takes off all layers of `data`, a whole file.
///
/// # Errors
/// If a layer is damaged, cut off, of a known format that is not read, or
/// exceeds `limits`.  Bytes that are no layer at all are no error.
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
    /// Takes off the outermost layer; answers whether there was one.
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

/// Whether `rest` is what the kernel's build appends to a compressed payload:
/// its size, 32 bits with the lowest byte first (`scripts/Makefile.lib`, Linux 6.12).
fn is_size(rest: &[u8], len: usize) -> bool {
    <[u8; 4]>::try_from(rest)
        .is_ok_and(|size| u64::from(u32::from_le_bytes(size)) == len as u64 & 0xffff_ffff)
}

/// A boot image without a kernel that can be recognised is damaged: its own
/// code is nothing to read.
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
