//! Raw arm64 `Image`s with wrong headers, and files that only begin like an `Image`.

use super::base::{Named, base};
use crate::flat::{self, HEADER_BYTES, Header};
use crate::wrap;

/// Bytes of the dictionary of xz files.
const DICTIONARY: u32 = 1 << 20;

fn with_header(edit: impl Fn(&mut Header)) -> Vec<u8> {
    let linked = base().link();
    let mut header = Header::of(&linked.elf);
    edit(&mut header);
    flat::with_header(&linked.elf, &header)
}

/// A sound image.
#[must_use]
pub fn sound() -> Vec<u8> {
    with_header(|_| {})
}

/// `image_size` smaller than the file.
#[must_use]
pub fn size_too_small() -> Vec<u8> {
    with_header(|header| header.image_size = 0x100)
}

/// `image_size` zero, as kernels before 3.17 have it.
#[must_use]
pub fn size_zero() -> Vec<u8> {
    with_header(|header| header.image_size = 0)
}

/// `image_size` of 2^63 bytes.
#[must_use]
pub fn size_enormous() -> Vec<u8> {
    with_header(|header| header.image_size = 1 << 63)
}

/// `text_offset` at the top of the address space.
#[must_use]
pub fn text_offset_wild() -> Vec<u8> {
    with_header(|header| header.text_offset = u64::MAX - 7)
}

/// Every reserved flag set, and big-endian, which the kernel is not.
#[must_use]
pub fn flags_wild() -> Vec<u8> {
    with_header(|header| header.flags = u64::MAX)
}

/// A PE header beyond the file.
#[must_use]
pub fn pe_offset_wild() -> Vec<u8> {
    with_header(|header| header.pe_offset = u32::MAX)
}

/// The header alone, whose size claims a kernel.
#[must_use]
pub fn header_only() -> Vec<u8> {
    let mut image = sound();
    image.truncate(HEADER_BYTES);
    image
}

/// The first 60 bytes: the magic number and not all of the header.
#[must_use]
pub fn header_cut() -> Vec<u8> {
    let mut image = sound();
    image.truncate(HEADER_BYTES - 4);
    image
}

/// A sound header in front of zeros: no table.
#[must_use]
pub fn zeros() -> Vec<u8> {
    let mut image = sound();
    image[HEADER_BYTES..].fill(0);
    image
}

/// The first half of a sound image.
#[must_use]
pub fn truncated() -> Vec<u8> {
    let mut image = sound();
    image.truncate(image.len() / 2);
    image
}

/// A gzip file cut in half.
#[must_use]
pub fn gzip_truncated() -> Vec<u8> {
    let mut packed = wrap::gzip(&sound());
    packed.truncate(packed.len() / 2);
    packed
}

/// An xz file cut in half.
#[must_use]
pub fn xz_truncated() -> Vec<u8> {
    let mut packed = wrap::xz(&sound(), DICTIONARY);
    packed.truncate(packed.len() / 2);
    packed
}

/// A zstd file cut in half.
#[must_use]
pub fn zstd_truncated() -> Vec<u8> {
    let mut packed = wrap::zstd(&sound());
    packed.truncate(packed.len() / 2);
    packed
}

/// A gzip file whose last bytes, checksum and length, are wrong.
#[must_use]
pub fn gzip_checksum_wrong() -> Vec<u8> {
    let mut packed = wrap::gzip(&sound());
    let trailer = packed.len() - 8;
    packed[trailer..].iter_mut().for_each(|byte| *byte ^= 0xff);
    packed
}

/// Every variant of this module.
#[must_use]
pub fn all() -> Vec<Named> {
    vec![
        ("flat_sound", sound()),
        ("flat_size_too_small", size_too_small()),
        ("flat_size_zero", size_zero()),
        ("flat_size_enormous", size_enormous()),
        ("flat_text_offset_wild", text_offset_wild()),
        ("flat_flags_wild", flags_wild()),
        ("flat_pe_offset_wild", pe_offset_wild()),
        ("flat_header_only", header_only()),
        ("flat_header_cut", header_cut()),
        ("flat_zeros", zeros()),
        ("flat_truncated", truncated()),
        ("flat_gzip_truncated", gzip_truncated()),
        ("flat_xz_truncated", xz_truncated()),
        ("flat_zstd_truncated", zstd_truncated()),
        ("flat_gzip_checksum_wrong", gzip_checksum_wrong()),
    ]
}
