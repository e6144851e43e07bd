//! The build id of a raw image: a note to which no header points.

use crate::image::identity::BUILD_ID_MAX;
use memchr::memmem;

/// Alignment of notes.
const NOTE_ALIGN: usize = 4;
/// Size of a note's header, in bytes: sizes of name and content, type.
const NOTE_HEADER: usize = 12;
/// Alignment of the files that a kernel contains completely, its vDSOs: they are mapped.
const PAGE: usize = 4096;
/// Most such files; kernels have two or three.
const MOST_FILES: usize = 16;
/// Offsets in an ELF64 header of `e_shoff`, `e_shentsize` and `e_shnum`.
const E_SHOFF: usize = 0x28;
const E_SHENTSIZE: usize = 0x3a;
const E_SHNUM: usize = 0x3c;

/// The build id of the kernel, if there is a unique one apart from those of the vDSOs, which
/// are ELF files inside the image.
pub(super) fn build_id(data: &[u8], big_endian: bool) -> Option<&[u8]> {
    // NT_GNU_BUILD_ID and the name.
    let pattern: &[u8] = if big_endian { b"\0\0\0\x03GNU\0" } else { b"\x03\0\0\0GNU\0" };
    let files = elf_files(data, big_endian);
    let notes = memmem::find_iter(data, pattern).filter_map(|at| at.checked_sub(8));
    let mut ids = notes
        .filter(|at| !files.iter().any(|file| file.contains(at)))
        .filter_map(|at| content(data, at, big_endian));
    let id = ids.next()?;
    ids.all(|other| other == id).then_some(id)
}

/// The content of the note at `at`, if it is a build id.
fn content(data: &[u8], at: usize, big_endian: bool) -> Option<&[u8]> {
    let note = data.get(at..).filter(|_| at.is_multiple_of(NOTE_ALIGN))?;
    let field = |at: usize| {
        let word = *note.get(at..)?.first_chunk()?;
        Some(if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    };
    let (name, size) = (field(0)?, usize::try_from(field(4)?).ok()?);
    let start = NOTE_HEADER + NOTE_ALIGN;
    let is_build_id = name == 4 && (1..=BUILD_ID_MAX).contains(&size);
    note.get(start..start + size).filter(|_| is_build_id)
}

/// The ranges of the ELF files that the image contains.
fn elf_files(data: &[u8], big_endian: bool) -> Vec<std::ops::Range<usize>> {
    let starts = (0..data.len()).step_by(PAGE).filter(|at| data[*at..].starts_with(b"\x7fELF"));
    let files = starts.filter_map(|start| {
        let header = &data[start..];
        let u16_at = |at: usize| {
            let word = *header.get(at..)?.first_chunk()?;
            Some(if big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
        };
        let word = *header.get(E_SHOFF..)?.first_chunk()?;
        let sections = if big_endian { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) };
        let size = u64::from(u16_at(E_SHENTSIZE)?) * u64::from(u16_at(E_SHNUM)?);
        let end = usize::try_from(sections.checked_add(size)?).ok()?;
        // A 32-bit file has other offsets: one page of it is excluded.
        let end = if end < header.len() { end.max(PAGE) } else { PAGE };
        Some(start..start + end)
    });
    files.take(MOST_FILES).collect()
}
