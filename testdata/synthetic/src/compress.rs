//! `SHF_COMPRESSED` debug sections.

use crate::elf::{Content, Elf, Endian, Section, consts};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use object::endian::Endian as _;
use std::io::Write;

/// Bytes of the header before a compressed section's stream.
pub const HEADER_BYTES: usize = 24;
const SIZE_OFFSET: usize = 8;

/// Compresses every `.debug_*` section with zlib.
///
/// # Panics
/// If a debug section has no bytes.
pub fn debug_sections(elf: &mut Elf) {
    let endian = elf.endian;
    for section in elf.sections.iter_mut().filter(|s| s.name.starts_with(".debug_")) {
        compress(endian, section);
    }
}

fn compress(endian: Endian, section: &mut Section) {
    let Content::Bytes(bytes) = &section.content else {
        panic!("{} has no bytes to compress", section.name);
    };
    let mut compressed = Vec::new();
    compressed.extend(endian.write_u32(consts::ELFCOMPRESS_ZLIB.0));
    compressed.extend([0; 4]);
    compressed.extend(endian.write_u64(bytes.len() as u64));
    compressed.extend(endian.write_u64(section.align));
    let mut encoder = ZlibEncoder::new(compressed, Compression::default());
    encoder.write_all(bytes).expect("writing to memory cannot fail");
    let compressed = encoder.finish().expect("writing to memory cannot fail");
    section.content = Content::Bytes(compressed);
    section.flags = consts::SectionFlags(section.flags.0 | consts::SHF_COMPRESSED.0);
    section.align = 8;
}

/// Makes the header of a compressed little-endian section claim `size` bytes.
///
/// # Panics
/// If the section is not compressed.
pub fn claim_size(section: &mut Section, size: u64) {
    match &mut section.content {
        Content::Bytes(bytes) if bytes.len() >= HEADER_BYTES => {
            bytes[SIZE_OFFSET..SIZE_OFFSET + 8].copy_from_slice(&size.to_le_bytes());
        }
        _ => panic!("{} is not compressed", section.name),
    }
}
