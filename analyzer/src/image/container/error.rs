//! Errors of unpacking an image.

use super::layer::Layer;
use std::fmt;

/// A layer that cannot be removed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ContainerError {
    /// The layers that were found, outermost first.  The fault concerns the last one or its
    /// content.
    pub layers: Vec<Layer>,
    /// The fault; the message of the error includes it.
    pub fault: ContainerFault,
}

impl fmt::Display for ContainerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, layer) in self.layers.iter().rev().enumerate() {
            write!(f, "{}{layer}", if index == 0 { "" } else { " inside " })?;
        }
        if !self.layers.is_empty() {
            f.write_str(": ")?;
        }
        self.fault.fmt(f)
    }
}

/// How far unpacking got, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackProgress {
    /// Compressed bytes read.
    pub input: u64,
    /// Compressed bytes in the file.
    pub available: u64,
    /// Bytes unpacked.
    pub output: u64,
}

impl fmt::Display for UnpackProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, available, output } = self;
        write!(f, "at byte {input} of {available}, {output} bytes unpacked")
    }
}

/// A fault of a layer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerFault {
    /// The data end before the stream does.
    #[error(
        "expected more of the stream, found the end of the data ({0}): the file is truncated, get it again"
    )]
    Truncated(UnpackProgress),
    /// The data are not a valid stream, or a checksum differs.
    #[error("expected valid compressed data, found: {found} ({progress}): get the file again")]
    Damaged {
        /// How far unpacking got.
        progress: UnpackProgress,
        /// The decoder's message.
        found: String,
    },
    /// The unpacked data exceed the limit.
    #[error(
        "expected at most {limit} bytes in all layers, found more ({progress}): unless this is a decompression bomb, unpack the file first"
    )]
    TooLarge {
        /// How far unpacking got.
        progress: UnpackProgress,
        /// [`super::Limits::max_bytes`].
        limit: u64,
    },
    /// The stream requires a larger dictionary or window than a decoder may allocate.
    #[error(
        "expected a dictionary or window of at most {limit} bytes, found a larger one ({progress}): unpack the file first"
    )]
    Window {
        /// How far unpacking got.
        progress: UnpackProgress,
        /// Size of the largest dictionary or window, in bytes.
        limit: u64,
    },
    /// The operating system provides no more memory.
    #[error("expected memory for the unpacked data, found none left ({0}): unpack the file first")]
    OutOfMemory(UnpackProgress),
    /// The file has too many consecutive streams.
    #[error(
        "expected at most {limit} streams in one file, found more ({progress}): unpack the file first"
    )]
    TooManyStreams {
        /// How far unpacking got.
        progress: UnpackProgress,
        /// Most streams that are accepted.
        limit: u32,
    },
    /// Too many nested layers.
    #[error("expected at most {limit} layers, found more: unpack the file first")]
    TooManyLayers {
        /// [`super::Limits::max_layers`].
        limit: u8,
    },
    /// A known format that jlctl does not unpack.
    #[error(
        "expected gzip, xz, lzma, zstd or no compression, found {format}: unpack it with {tool} first (for a boot image, use scripts/extract-vmlinux of the kernel's source)"
    )]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// A program that unpacks it.
        tool: &'static str,
    },
    /// A header field of a boot image points outside the file or is invalid.
    #[error("header: expected {expected}, found {field} = {found:#x}: get the file again")]
    Header {
        /// Name and offset of the field.
        field: &'static str,
        /// The valid values.
        expected: String,
        /// The value of the field.
        found: u64,
    },
    /// The payload of a boot image has no known format.
    #[error("expected a compressed kernel at offset {offset}, found {found}: get the file again")]
    Payload {
        /// Offset of the payload in the boot image.
        offset: u64,
        /// The first bytes of the payload, and the name that the header gives its compression.
        found: String,
    },
}
