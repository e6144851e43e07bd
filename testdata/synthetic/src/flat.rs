//! The raw `Image` of an arm64 kernel: the bytes of its sections at their distances from the
//! first, after the header of a boot image (Documentation/arch/arm64/booting.rst, Linux 6.12).

use crate::elf::{Content, Elf, Endian, Section};

/// Bytes of the header; `.head.text` begins with as many.
pub const HEADER_BYTES: usize = 64;
/// The magic number at [`MAGIC_OFFSET`].
pub const MAGIC: &[u8; 4] = b"ARM\x64";
/// Offset of the magic number.
pub const MAGIC_OFFSET: usize = 0x38;
/// Alignment of the size that the header states.
const SIZE_ALIGN: u64 = 0x1_0000;
/// `flags`: the kernel is big-endian.
const FLAG_BIG_ENDIAN: u64 = 1;
/// `flags`: pages of 4 KiB; the image may lie anywhere in memory.
const FLAGS: u64 = 1 << 1 | 1 << 3;

/// The header; every field is little-endian in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// First instruction, or the `MZ` of a PE file in the form of one.
    pub code0: u32,
    /// Second instruction: a B into the kernel.
    pub code1: u32,
    /// Distance from a 2 MiB boundary to the image in memory, in bytes.
    pub text_offset: u64,
    /// Bytes that the kernel occupies in memory, `.bss` included.
    pub image_size: u64,
    /// Bit 0: big-endian; bits 1 and 2: page size; bit 3: placed anywhere.
    pub flags: u64,
    /// [`MAGIC`] in a sound image.
    pub magic: [u8; 4],
    /// Offset of the PE header; 0 without one.
    pub pe_offset: u32,
}

impl Header {
    /// The header of the kernel `elf`.
    ///
    /// # Panics
    /// If it has no loaded section.
    #[must_use]
    pub fn of(elf: &Elf) -> Self {
        let end = loaded(elf).map(Section::end).max().expect("a kernel has sections");
        let big_endian = if elf.endian == Endian::Big { FLAG_BIG_ENDIAN } else { 0 };
        Self {
            // ccmp x18, #0, #0xd, pl: its bytes are "MZ@" and an opcode.
            code0: 0xfa40_5a4d,
            // B to the first instruction after the header.
            code1: 0x1400_000f,
            text_offset: 0,
            image_size: (end - base(elf)).next_multiple_of(SIZE_ALIGN),
            flags: FLAGS | big_endian,
            magic: *MAGIC,
            pe_offset: 0,
        }
    }

    /// The bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.code0.to_le_bytes());
        put(4, &self.code1.to_le_bytes());
        put(8, &self.text_offset.to_le_bytes());
        put(16, &self.image_size.to_le_bytes());
        put(24, &self.flags.to_le_bytes());
        put(MAGIC_OFFSET, &self.magic);
        put(MAGIC_OFFSET + 4, &self.pe_offset.to_le_bytes());
        bytes
    }
}

/// The sections of the image.
fn loaded(elf: &Elf) -> impl Iterator<Item = &Section> {
    elf.sections.iter().filter(|section| section.is_loaded())
}

/// Address of the first section: that of the image's first byte.
fn base(elf: &Elf) -> u64 {
    loaded(elf).map(|section| section.address).min().unwrap_or(0)
}

/// The `Image` of `elf`.
///
/// # Panics
/// If it has no loaded section.
#[must_use]
pub fn image(elf: &Elf) -> Vec<u8> {
    with_header(elf, &Header::of(elf))
}

/// The `Image` of `elf` with a header of the caller's.
///
/// # Panics
/// If the sections are too far apart for a test image.
#[must_use]
pub fn with_header(elf: &Elf, header: &Header) -> Vec<u8> {
    let mut image = Vec::new();
    for section in loaded(elf) {
        let Content::Bytes(bytes) = &section.content else { continue };
        let start = usize::try_from(section.address - base(elf)).expect("a test image is small");
        let end = start + bytes.len();
        image.resize(image.len().max(end), 0);
        image[start..end].copy_from_slice(bytes);
    }
    image[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    image
}
