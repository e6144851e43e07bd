//! Recognises formats by their magic numbers.

use super::boot;
use super::gzip::GZIP;
use super::layer::Layer;
use super::streams::Codec;
use super::xz::{self, LZMA, XZ};
use super::zstd::{self, ZSTD};

/// The recognised format.
pub(super) enum Recognised {
    /// Compressed streams.
    Streams(Layer, &'static Codec),
    /// A boot image.
    BootImage(Layer),
    /// A compression that jlctl does not unpack: its name, and a program that does.
    Unsupported(&'static str, &'static str),
    /// Anything else, in particular an ELF file or a raw kernel.
    Plain,
}

/// Whether `data` is an ELF file; its content is never unpacked.
pub(super) fn is_elf(data: &[u8]) -> bool {
    data.starts_with(b"\x7fELF")
}

/// Recognises `data`.
pub(super) fn recognise(data: &[u8]) -> Recognised {
    if is_elf(data) {
        return Recognised::Plain;
    }
    if (GZIP.begins)(data) {
        return Recognised::Streams(Layer::Gzip, &GZIP);
    }
    if xz::is_xz(data) {
        return Recognised::Streams(Layer::Xz, &XZ);
    }
    if zstd::is_zstd(data) {
        return Recognised::Streams(Layer::Zstd, &ZSTD);
    }
    if boot::is_zboot(data) {
        return Recognised::BootImage(Layer::EfiZboot);
    }
    if boot::is_bz_image(data) {
        return Recognised::BootImage(Layer::BzImage);
    }
    if let Some((format, tool)) = unsupported(data) {
        return Recognised::Unsupported(format, tool);
    }
    // Last, because .lzma has the weakest signature.
    if xz::is_lzma(data) { Recognised::Streams(Layer::Lzma, &LZMA) } else { Recognised::Plain }
}

/// Other formats in which kernels can be packed (CONFIG_KERNEL_LZ4 and others).
fn unsupported(data: &[u8]) -> Option<(&'static str, &'static str)> {
    let is_bzip2 = || {
        let [b'B', b'Z', b'h', b'1'..=b'9', block @ ..] = data else { return false };
        // The first block begins with digits of pi; a file without blocks has digits of its
        // square root instead.
        block.starts_with(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59])
            || block.starts_with(&[0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
    };
    match data {
        // Frames, and the older format that the kernel uses.
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(("lz4", "lz4 -d")),
        [0x89, b'L', b'Z', b'O', 0, 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(("lzo", "lzop -d")),
        _ if is_bzip2() => Some(("bzip2", "bzip2 -d")),
        _ => None,
    }
}
