//! Whole files compressed as distributions ship kernels and modules.

use flate2::Compression;
use flate2::write::GzEncoder;
use liblzma::stream::{Check, Stream};
use liblzma::write::XzEncoder;
use std::io::Write;

const LEVEL: u32 = 6;

/// A `.gz` file.
///
/// # Panics
/// Never: writing to memory cannot fail.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(bytes).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// A `.xz` file with CRC-32, the only check that the kernel's own decoder knows
/// (lib/decompress_unxz.c, Linux 6.12).
///
/// # Panics
/// Never: writing to memory cannot fail.
#[must_use]
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let stream = Stream::new_easy_encoder(LEVEL, Check::Crc32).expect("the preset exists");
    let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// A file that unpacks to so many MiB of zeros.  It has a member (a stream, a
/// frame) for each, which all three formats allow, so that it is made fast.
#[must_use]
pub fn bomb(pack: impl Fn(&[u8]) -> Vec<u8>, mebibytes: usize) -> Vec<u8> {
    pack(&vec![0; 1 << 20]).repeat(mebibytes)
}

/// A `.zst` file.
///
/// # Panics
/// Never: writing to memory cannot fail.
#[must_use]
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 0).expect("writing to memory cannot fail")
}
