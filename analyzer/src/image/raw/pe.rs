//! The two sections that the EFI stub's PE header states: code with all read-only data, and
//! data (`arch/*/kernel/efi-header.S`, Linux 6.12).
//!
//! goblin's PE reader expects the output of a linker.  This file reads the few fields that
//! matter (Microsoft PE format, "COFF File Header", "Section Table").

use super::header::LARGEST;
use memchr::memchr;

/// Size of the COFF header with the signature before it, in bytes.
const COFF: usize = 24;
/// Size of a section header, in bytes.
const SECTION: usize = 40;
/// Most section headers that are read; a kernel has two or three.
const MOST_SECTIONS: u16 = 16;
/// IMAGE_SCN_MEM_EXECUTE.
const EXECUTE: u32 = 1 << 29;

/// A section.  Its offset in the file is also its offset in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeSection<'data> {
    pub(super) name: &'data str,
    pub(super) start: u64,
    /// Bytes in memory.
    pub(super) size: u64,
    /// Bytes in the file.
    pub(super) file_size: u64,
    pub(super) exec: bool,
}

/// The sections of the PE header at `offset`, by address; `None` if there is no such header or
/// its sections lie at other offsets in memory than in the file.
pub(super) fn sections(data: &[u8], offset: u32) -> Option<Vec<PeSection<'_>>> {
    let coff = data.get(usize::try_from(offset).ok()?..)?;
    coff.starts_with(b"PE\0\0").then_some(())?;
    let count = u16_at(coff, 6)?;
    let start = COFF + usize::from(u16_at(coff, 20)?);
    let table = coff.get(start..)?;
    let headers = table.chunks_exact(SECTION).take(usize::from(count.min(MOST_SECTIONS)));
    let mut sections: Vec<_> = headers.map(section).collect::<Option<_>>()?;
    sections.sort_unstable_by_key(|section| section.start);
    let apart = sections.windows(2).all(|pair| pair[0].start + pair[0].size <= pair[1].start);
    (apart && !sections.is_empty()).then_some(sections)
}

fn section(header: &[u8]) -> Option<PeSection<'_>> {
    let name = header.get(..8)?;
    let name = &name[..memchr(0, name).unwrap_or(name.len())];
    let field = |at| u32_at(header, at).map(u64::from);
    let (start, file_size) = (field(12)?, field(16)?);
    let size = field(8)?.max(file_size);
    let is_flat = start == field(20)? || file_size == 0;
    (is_flat && start + size <= LARGEST).then_some(PeSection {
        name: std::str::from_utf8(name).ok()?,
        start,
        size,
        file_size,
        exec: u32_at(header, 36)? & EXECUTE != 0,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
