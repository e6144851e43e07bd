//! Room for more program headers: the bytes after the table of program headers are moved.
//!
//! The table itself stays where it is. Kernels before Linux 5.18 tell a program the address of its
//! headers by their file offset alone (`fs/binfmt_elf.c`, AT_PHDR), and GNU strip writes the table
//! at the beginning of the file, wherever it was. The parts that linkers place after the table (the
//! interpreter's name, notes, hash tables) are found through program headers and the dynamic
//! section alone, so that they can be moved.

use super::error::Why;
use super::program::{ElfProgram, is_allocated, section_file_end, segment_file_end};
use super::record::{LE, Section, Segment};
use object::elf::{
    PT_GNU_PROPERTY, PT_INTERP, PT_NOTE, SHT_DYNSYM, SHT_GNU_HASH, SHT_GNU_VERDEF, SHT_GNU_VERNEED,
    SHT_GNU_VERSYM, SHT_HASH, SHT_NOTE, SHT_STRTAB,
};

/// A range of the file that is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// File offset of the first byte: the end of the program headers.
    pub(super) start: u64,
    /// File offset after the last byte.
    pub(super) end: u64,
    /// The difference of address and file offset.
    pub(super) bias: u64,
}

impl Span {
    pub(super) fn holds_offset(&self, offset: u64) -> bool {
        (self.start..self.end).contains(&offset)
    }

    pub(super) fn holds_address(&self, address: u64) -> bool {
        self.holds_offset(address.wrapping_sub(self.bias))
    }

    pub(super) fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// The range that has to be moved to have `more` program headers after the present ones.
pub(super) fn make(program: &ElfProgram<'_>, more: usize) -> Result<Span, Why> {
    let needed_bytes = (more * size_of::<Segment>()) as u64;
    let no_room = |found: String| Why::NoRoom { needed: more, needed_bytes, found };
    let start = program.segments_at() + size_of_val(program.segments) as u64;
    let whole = start + needed_bytes;
    let first = program.loads().next();
    let holds = |segment: &&Segment| {
        segment.p_offset.get(LE) == 0 && segment_file_end(segment).is_some_and(|end| whole <= end)
    };
    let Some(first) = first.filter(holds) else {
        return Err(no_room("a first segment that does not contain them".to_owned()));
    };
    if program.sections.is_empty() {
        return Err(no_room("no section headers that describe those bytes".to_owned()));
    }
    let mut end = whole;
    // Each iteration takes in another section or segment, of which there are finitely many.
    loop {
        let next = grown(program, start, end).map_err(no_room)?;
        if next == end {
            return Ok(Span { start, end, bias: first.p_vaddr.get(LE) });
        }
        end = next;
    }
}

/// The end of everything that begins between `start` and `end`.
fn grown(program: &ElfProgram<'_>, start: u64, end: u64) -> Result<u64, String> {
    let touches = |offset: u64, stop: Option<u64>| {
        offset < end && stop.is_none_or(|stop| start < stop) && stop != Some(offset)
    };
    let mut grown = end;
    for section in program.sections.iter().filter(|section| is_allocated(section)) {
        if touches(section.sh_offset.get(LE), section_file_end(section)) {
            if section.sh_offset.get(LE) < start || !can_move(program, section) {
                let name = String::from_utf8_lossy(program.section_name(section)).into_owned();
                return Err(format!("the section {name}, which cannot be moved"));
            }
            grown = grown.max(section_file_end(section).unwrap_or(u64::MAX));
        }
    }
    for segment in program.segments {
        let is_whole = matches!(segment.p_type.get(LE), PT_INTERP | PT_NOTE | PT_GNU_PROPERTY);
        if is_whole && touches(segment.p_offset.get(LE), segment_file_end(segment)) {
            grown = grown.max(segment_file_end(segment).unwrap_or(u64::MAX));
        }
    }
    Ok(grown)
}

/// Whether a section is found through program headers and the dynamic section alone.
fn can_move(program: &ElfProgram<'_>, section: &Section) -> bool {
    match section.sh_type.get(LE) {
        SHT_NOTE => true,
        SHT_HASH | SHT_GNU_HASH | SHT_DYNSYM | SHT_GNU_VERSYM | SHT_GNU_VERDEF
        | SHT_GNU_VERNEED | SHT_STRTAB => {
            program.dynamic.iter().any(|(_, value)| *value == section.sh_addr.get(LE))
        }
        _ => program
            .segment(PT_INTERP)
            .is_some_and(|interp| interp.p_offset.get(LE) == section.sh_offset.get(LE)),
    }
}
