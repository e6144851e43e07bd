//! Why an image cannot be unwrapped.

use super::layer::Layer;
use std::fmt;

/// A layer that cannot be taken off.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ContainerError {
    /// The layers that were found, outermost first; the last one is at fault,
    /// or holds what is.
    pub layers: Vec<Layer>,
    /// What is wrong; the message says it.
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

/// How far unpacking came, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackProgress {
    /// Compressed bytes that were read.
    pub input: u64,
    /// Compressed bytes that there are.
    pub available: u64,
    /// Bytes that came out.
    pub output: u64,
}

impl fmt::Display for UnpackProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, available, output } = self;
        write!(f, "at byte {input} of {available}, {output} bytes unpacked")
    }
}

/// What is wrong with a layer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerFault {
    /// The data end before the stream does.
    #[error(
        "expected the stream to go on, found the end of the data ({0}): the file was cut off, get it again"
    )]
    Truncated(UnpackProgress),
    /// The data are no such stream, or a checksum differs.
    #[error("expected sound compressed data, found: {found} ({progress}): get the file again")]
    Damaged {
        /// How far unpacking came.
        progress: UnpackProgress,
        /// What the decoder says.
        found: String,
    },
    /// More comes out than is accepted.
    #[error(
        "expected at most {limit} bytes in all layers, found more ({progress}): if this is no decompression bomb, unpack the file first"
    )]
    TooLarge {
        /// How far unpacking came.
        progress: UnpackProgress,
        /// [`super::Limits::max_bytes`].
        limit: u64,
    },
    /// The stream demands that the decoder remembers too much.
    #[error(
        "expected a dictionary or window of at most {limit} bytes, found a larger one ({progress}): unpack the file first"
    )]
    Window {
        /// How far unpacking came.
        progress: UnpackProgress,
        /// Bytes that a decoder may remember.
        limit: u64,
    },
    /// The operating system gives no more memory.
    #[error("expected memory to unpack into, found none left ({0}): unpack the file first")]
    OutOfMemory(UnpackProgress),
    /// Too many streams one after the other.
    #[error(
        "expected at most {limit} streams in one file, found more ({progress}): unpack the file first"
    )]
    TooManyStreams {
        /// How far unpacking came.
        progress: UnpackProgress,
        /// Streams that are accepted.
        limit: u32,
    },
    /// Too many layers in each other.
    #[error("expected at most {limit} layers, found more: unpack the file first")]
    TooManyLayers {
        /// [`super::Limits::max_layers`].
        limit: u8,
    },
    /// A known format that is not read.
    #[error(
        "expected gzip, xz, lzma, zstd or no compression, found {format}: unpack it with {tool} first (out of a boot image, with scripts/extract-vmlinux of the kernel's source)"
    )]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// A program that unpacks it.
        tool: &'static str,
    },
    /// A header field of a boot image points out of the file or has no meaning.
    #[error("header: expected {expected}, found {field} = {found:#x}: get the file again")]
    Header {
        /// The field, and its offset.
        field: &'static str,
        /// What would do.
        expected: String,
        /// What is there.
        found: u64,
    },
    /// The payload of a boot image is nothing known.
    #[error("expected a compressed kernel at offset {offset}, found {found}: get the file again")]
    Payload {
        /// Offset of the payload in the boot image.
        offset: u64,
        /// Its first bytes, and what the header calls it.
        found: String,
    },
}
