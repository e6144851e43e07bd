//! Sections with SHF_COMPRESSED, inflated within limits.

use super::section::Section;
use std::borrow::Cow;
use std::io::Read;

/// Why a compressed section cannot be inflated.
#[derive(Debug, thiserror::Error)]
pub enum CompressedError {
    /// The section has no compression header, or one of an unknown type.
    #[error(
        "section {name}: expected a compression header of type 1 (zlib) or 2 (zstd), found {found}"
    )]
    Header {
        /// Name of the section.
        name: String,
        /// The header, as far as it can be read.
        found: String,
    },
    /// The header states more bytes than a section of this size can plausibly hold.
    #[error(
        "section {name}: expected at most {limit} bytes out of {compressed} compressed bytes, found a header that states {announced}"
    )]
    TooLarge {
        /// Name of the section.
        name: String,
        /// Bytes in the file.
        compressed: u64,
        /// Bytes that the header states.
        announced: u64,
        /// Most bytes that are accepted.
        limit: u64,
    },
    /// The compressed data end early or are damaged.
    #[error("section {name}: expected {expected} bytes of inflated data, found {found}")]
    Damaged {
        /// Name of the section.
        name: String,
        /// Bytes that the header states.
        expected: u64,
        /// The failure.
        found: String,
    },
}

/// Up to this size in bytes any ratio is accepted.
const SMALL: u64 = 64 << 20;
/// Above that size: debug sections compress to a tenth at best, and a higher ratio marks a
/// decompression bomb.
const RATIO: u64 = 64;

const ELFCOMPRESS_ZLIB: u32 = 1;
const ELFCOMPRESS_ZSTD: u32 = 2;
/// Size of `Elf64_Chdr`, in bytes.
const CHDR: usize = 24;

/// The bytes of a section, inflated if it is compressed (gABI, "Section compression").
///
/// # Errors
/// If the compression format is unknown, the data are damaged, or their stated size exceeds the
/// limit.
pub fn section_bytes<'data>(
    section: &Section<'data>,
    big_endian: bool,
) -> Result<Cow<'data, [u8]>, CompressedError> {
    if !section.flags.compressed {
        return Ok(Cow::Borrowed(section.data));
    }
    let (kind, size, data) = header(section, big_endian)?;
    let limit = SMALL.max((data.len() as u64).saturating_mul(RATIO));
    if size > limit {
        return Err(CompressedError::TooLarge {
            name: section.name.to_owned(),
            compressed: data.len() as u64,
            announced: size,
            limit,
        });
    }
    match kind {
        ELFCOMPRESS_ZLIB => inflate(section.name, size, flate2::read::ZlibDecoder::new(data)),
        _ => match ruzstd::decoding::StreamingDecoder::new(data) {
            Ok(decoder) => inflate(section.name, size, decoder),
            Err(error) => Err(damaged(section.name, size, error.to_string())),
        },
    }
    .map(Cow::Owned)
}

fn header<'data>(
    section: &Section<'data>,
    big_endian: bool,
) -> Result<(u32, u64, &'data [u8]), CompressedError> {
    use goblin::elf::compression_header::CompressionHeader;
    let endian =
        if big_endian { goblin::container::Endian::Big } else { goblin::container::Endian::Little };
    let ctx = goblin::container::Ctx::new(goblin::container::Container::Big, endian);
    let bad = |found: String| CompressedError::Header { name: section.name.to_owned(), found };
    let header = CompressionHeader::parse(section.data, 0, ctx)
        .map_err(|_| bad(format!("{} bytes", section.data.len())))?;
    match header.ch_type {
        ELFCOMPRESS_ZLIB | ELFCOMPRESS_ZSTD => {
            Ok((header.ch_type, header.ch_size, section.data.get(CHDR..).unwrap_or_default()))
        }
        other => Err(bad(format!("type {other}"))),
    }
}

fn inflate(name: &str, size: u64, decoder: impl Read) -> Result<Vec<u8>, CompressedError> {
    let mut bytes = Vec::new();
    // One byte more than stated, to detect a stream that is longer.
    match decoder.take(size + 1).read_to_end(&mut bytes) {
        Err(error) => Err(damaged(name, size, error.to_string())),
        Ok(_) if bytes.len() as u64 != size => {
            let more = if bytes.len() as u64 > size { "more" } else { "fewer" };
            Err(damaged(name, size, format!("{more} ({})", bytes.len())))
        }
        Ok(_) => Ok(bytes),
    }
}

fn damaged(name: &str, expected: u64, found: String) -> CompressedError {
    CompressedError::Damaged { name: name.to_owned(), expected, found }
}
