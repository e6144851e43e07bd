//! Composes a linked program: the bytes that are written over the old file, and those that are
//! appended to it.
//!
//! The bytes of the program stay where they are, and so do its program headers. A segment is
//! appended, readable and writable, with the runtime's note, the names of keys, the strings of the
//! dynamic section, the parts that were moved to make room for two more program headers
//! ([`super::room`]), and every byte that was replaced, so that a link can be taken out. New
//! section headers follow. In a static program the segment is readable and executable, and contains
//! the runtime.

use super::dynamic::{self, NeededLibrary};
use super::embedded;
use super::error::{Why, damaged};
use super::moves::Moves;
use super::note::{self, NamedKey, NoteContents};
use super::program::{ElfProgram, segment_file_end};
use super::record::{DynamicEntry, FileHeader, LE, Section, Segment, slice};
use super::room::{self, Span};
use super::tail::{At, Tail};
use super::undo::{self, FileEdit, Undo};
use jlctl_analyzer::addr::AddrRange;
use jlctl_shim::note::SECTION;
use object::elf::{
    DynamicTag, PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE,
    PT_PHDR, ProgramFlags, ProgramType, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHN_LORESERVE,
    SHT_NOTE, SHT_PROGBITS, SectionFlags, SectionType,
};
use object::pod::bytes_of;
use object::{U32, U64};

/// Program headers that a link adds: a PT_LOAD and a PT_NOTE. A static program has little that can
/// be moved to make room; the runtime's note is appended to its own notes, which have to move
/// anyway.
const MORE_SEGMENTS: usize = 2;
const MORE_SEGMENTS_STATIC: usize = 1;
/// Name of the section that a link adds beside the note's section.
const DATA_SECTION: &str = ".jlctl";

/// The input of a link.
#[derive(Debug)]
pub(super) struct LinkRequest<'a> {
    /// The jump table, if the program has one.
    pub(super) table: Option<AddrRange>,
    pub(super) names: Vec<NamedKey>,
    pub(super) runtime: Runtime<'a>,
    pub(super) sync_icache: bool,
}

/// The runtime that a program is linked with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Runtime<'a> {
    /// A shared library; the dynamic linker searches this directory too.
    Library(&'a [u8]),
    /// An image that becomes part of the program.
    Embedded(&'a embedded::RuntimeImage),
}

impl Runtime<'_> {
    const fn more_segments(self) -> usize {
        match self {
            Self::Library(_) => MORE_SEGMENTS,
            Self::Embedded(_) => MORE_SEGMENTS_STATIC,
        }
    }
}

/// The changes that a link makes.
#[derive(Debug)]
pub(super) struct LinkedFile {
    /// Writes over the old file, by offset.
    pub(super) edits: Vec<FileEdit>,
    /// Bytes after the end of the old file.
    pub(super) tail: FileEdit,
    /// Whether the dynamic section had no room left and was moved.
    pub(super) moved_dynamic: bool,
}

/// The parts of the appended segment.
struct Parts {
    span: Span,
    moved: At,
    note: At,
    /// The new location of the dynamic section, if it moved.
    dynamic: Option<At>,
    /// Names, node and undo, in one section.
    data: At,
    /// The end of the segment.
    end: At,
    /// The embedded runtime, and the index of the PT_NOTE that takes in its note.
    embedded: Option<(embedded::PlacedRuntime, usize)>,
}

impl Parts {
    const fn more_segments(&self) -> usize {
        if self.embedded.is_some() { MORE_SEGMENTS_STATIC } else { MORE_SEGMENTS }
    }
}

/// Links `program`.
pub(super) fn compose(
    program: &ElfProgram<'_>,
    request: &LinkRequest<'_>,
) -> Result<LinkedFile, Why> {
    let more = request.runtime.more_segments();
    let span = room::make(program, more)?;
    let mut tail = new_tail(program)?;
    let start = tail.here();
    let old = slice(program.bytes, span.start, span.len());
    let old =
        old.ok_or_else(|| damaged("section headers", "a section ends after the end of the file"))?;
    let moved = tail.place_like(span.start.wrapping_add(span.bias), 64, old);
    let note = note::place(&mut tail);
    let delta = moved.address.wrapping_sub(span.start.wrapping_add(span.bias));
    let new_address = |address| span.holds_address(address).then(|| address.wrapping_add(delta));
    let (mut edits, mut strings, mut dynamic_at) = (Vec::new(), None, None);
    let host = match request.runtime {
        Runtime::Library(runpath) => {
            let wish = NeededLibrary { runpath, is_first: request.sync_icache };
            let dynamic = dynamic::compose(program, &mut tail, wish, new_address)?;
            strings = Some(dynamic.strings);
            (edits, dynamic_at) = place_dynamic(program, &mut tail, &dynamic.entries)?;
            None
        }
        Runtime::Embedded(image) => {
            edits.extend(dynamic::relocated(program, new_address));
            Some((image, host_of_note(program, &span)?))
        }
    };
    let moves = Moves::of(program, &span, moved, strings, dynamic_at);
    for edit in moves.symbols(program)? {
        if span.holds_offset(edit.offset) {
            let within = usize::try_from(edit.offset - span.start).unwrap_or(usize::MAX);
            tail.put(moved, within, &edit.bytes);
        } else {
            edits.push(edit);
        }
    }
    // We now know which ranges are replaced, but not yet with which bytes.
    let headers = (program.segments.len() + more) * size_of::<Segment>();
    edits.push(FileEdit { offset: 0, bytes: vec![0; size_of::<FileHeader>()] });
    edits.push(FileEdit { offset: program.segments_at(), bytes: vec![0; headers] });
    edits.sort_by_key(|edit| edit.offset);
    let data = tail.place(8, &[]);
    let names = note::place_names(&mut tail, &request.names);
    let undo = tail.place(8, &before(program, &edits)?.encode());
    let embedded = host.map(|(image, host)| (image.place(&mut tail, program.entry()), host));
    let node = match embedded {
        Some((placed, _)) => placed.node,
        None => tail.place(8, &[0; 64]),
    };
    let table = request.table;
    let contents = NoteContents { sync_icache: request.sync_icache, node, table, names, undo };
    note::fill(&mut tail, note, &contents);
    let end = tail.here();
    let data = At { size: end.offset - data.offset, ..data };
    let parts = Parts { span, moved, note, dynamic: dynamic_at, data, end, embedded };
    let section_headers = sections(program, &mut tail, &parts, &moves);
    let header = header(program, section_headers, &parts)?;
    let table = segments(program, &parts, start);
    for edit in &mut edits {
        match edit.offset {
            0 => edit.bytes.clone_from(&header),
            offset if offset == program.segments_at() => edit.bytes.clone_from(&table),
            _ => {}
        }
    }
    seal(&mut tail, undo, &edits);
    let tail = FileEdit { offset: tail.offset, bytes: tail.bytes };
    Ok(LinkedFile { edits, tail, moved_dynamic: dynamic_at.is_some() })
}

fn new_tail(program: &ElfProgram<'_>) -> Result<Tail, Why> {
    let page = program.page();
    let end = program.loads().map(|load| load.p_vaddr.get(LE) + load.p_memsz.get(LE)).max();
    let end = end.unwrap_or(0);
    // User addresses end far below this limit on both machines.
    let tail = Tail::after(program.bytes.len() as u64, end, page);
    tail.filter(|tail| tail.address < 1 << 56).ok_or_else(|| {
        damaged(
            "table of program headers",
            format!("a segment ends at {end:#x}, in pages of {page:#x}"),
        )
    })
}

/// Writes the dynamic section over the old one if it has room for the entries, and appends it
/// otherwise.
fn place_dynamic(
    program: &ElfProgram<'_>,
    tail: &mut Tail,
    entries: &[(DynamicTag, u64)],
) -> Result<(Vec<FileEdit>, Option<At>), Why> {
    let Some(old) = program.segment(PT_DYNAMIC) else { return Err(Why::Static) };
    let size = usize::try_from(old.p_filesz.get(LE)).unwrap_or(usize::MAX);
    if (entries.len() + 1) * size_of::<DynamicEntry>() <= size {
        let bytes = dynamic::encode(entries, size);
        return Ok((vec![FileEdit { offset: old.p_offset.get(LE), bytes }], None));
    }
    Ok((Vec::new(), Some(tail.place(16, &dynamic::encode(entries, 0)))))
}

/// The PT_NOTE of a static program that takes in the runtime's note: the last segment that is
/// moved, so that the runtime's note follows it.
fn host_of_note(program: &ElfProgram<'_>, span: &Span) -> Result<usize, Why> {
    let is_host = |segment: &Segment| {
        let is_last = segment_file_end(segment) == Some(span.end) && span.end.is_multiple_of(4);
        let is_within = span.holds_offset(segment.p_offset.get(LE)) && is_last;
        segment.p_type.get(LE) == PT_NOTE && segment.p_align.get(LE) == 4 && is_within
    };
    program.segments.iter().position(is_host).ok_or_else(|| Why::NoRoom {
        needed: MORE_SEGMENTS_STATIC,
        needed_bytes: (MORE_SEGMENTS_STATIC * size_of::<Segment>()) as u64,
        found: "no notes that the runtime's note could follow".to_owned(),
    })
}

/// The old bytes of the replaced ranges.
fn before(program: &ElfProgram<'_>, edits: &[FileEdit]) -> Result<Undo, Why> {
    let mut end = 0;
    let mut old = Vec::new();
    for edit in edits {
        let bytes = slice(program.bytes, edit.offset, edit.bytes.len() as u64);
        let Some(bytes) = bytes.filter(|_| end <= edit.offset) else {
            let found =
                format!("the bytes at file offset {:#x} belong to two of them", edit.offset);
            return Err(damaged("structures of the file", found));
        };
        old.push(FileEdit { offset: edit.offset, bytes: bytes.to_vec() });
        end = edit.offset + edit.bytes.len() as u64;
    }
    let length = program.bytes.len() as u64;
    Ok(Undo { length, linked_length: length, sum: [0; 16], old })
}

/// Appends the section headers and their names; returns the location of the headers.
fn sections(program: &ElfProgram<'_>, tail: &mut Tail, parts: &Parts, moves: &Moves) -> At {
    let mut text = program.section_names().to_vec();
    let mut add = |name: &str| {
        let at = u32::try_from(text.len()).unwrap_or(0);
        text.extend(name.bytes().chain([0]));
        at
    };
    let (note_name, data_name) = (add(SECTION), add(DATA_SECTION));
    let text = tail.place(1, &text);
    let mut out = Vec::new();
    for (index, section) in program.sections.iter().enumerate() {
        let mut section = *section;
        if let Some(at) = moves.get(index) {
            section.sh_addr.set(LE, at.address);
            section.sh_offset.set(LE, at.offset);
            section.sh_size.set(LE, at.size);
        }
        if index == program.names() {
            section.sh_offset.set(LE, text.offset);
            section.sh_size.set(LE, text.size);
        }
        out.extend(bytes_of(&section));
    }
    out.extend(bytes_of(&new_section((note_name, SHT_NOTE), SHF_ALLOC, parts.note, 4)));
    // An embedded runtime makes its own data writable when it runs.
    let more = if parts.embedded.is_some() { SHF_EXECINSTR } else { SHF_WRITE };
    let data = new_section((data_name, SHT_PROGBITS), SHF_ALLOC | more, parts.data, 8);
    out.extend(bytes_of(&data));
    tail.place(8, &out)
}

fn new_section(
    (name, kind): (u32, SectionType),
    flags: SectionFlags,
    at: At,
    align: u64,
) -> Section {
    Section {
        sh_name: U32::new(LE, name),
        sh_type: U32::new(LE, kind),
        sh_flags: U64::new(LE, flags),
        sh_addr: U64::new(LE, at.address),
        sh_offset: U64::new(LE, at.offset),
        sh_size: U64::new(LE, at.size),
        sh_link: U32::new(LE, 0),
        sh_info: U32::new(LE, 0),
        sh_addralign: U64::new(LE, align),
        sh_entsize: U64::new(LE, 0),
    }
}

/// The ELF header with the new tables.
fn header(program: &ElfProgram<'_>, sections: At, parts: &Parts) -> Result<Vec<u8>, Why> {
    let too_many = |what| damaged(what, "it has as many records as a header can count");
    let mut header = *program.header;
    let segments = u16::try_from(program.segments.len() + parts.more_segments())
        .map_err(|_| too_many("table of program headers"))?;
    let count = u16::try_from(program.sections.len() + 2).ok();
    let count = count.filter(|count| *count < SHN_LORESERVE);
    let count = count.ok_or_else(|| too_many("table of section headers"))?;
    if let Some((placed, _)) = parts.embedded {
        header.e_entry.set(LE, placed.entry);
    }
    header.e_shoff.set(LE, sections.offset);
    header.e_phnum.set(LE, segments);
    header.e_shnum.set(LE, count);
    Ok(bytes_of(&header).to_vec())
}

/// The program headers; the new PT_LOAD follows the others, as its address does.
fn segments(program: &ElfProgram<'_>, parts: &Parts, start: At) -> Vec<u8> {
    let is_load = |segment: &Segment| segment.p_type.get(LE) == PT_LOAD;
    let last = program.segments.iter().rposition(is_load);
    let mut out = Vec::new();
    for (index, segment) in program.segments.iter().enumerate() {
        let mut moved = moved_segment(*segment, parts);
        if parts.embedded.is_some_and(|(_, host)| host == index) {
            grow(&mut moved, parts.note.size);
        }
        out.extend(bytes_of(&moved));
        if Some(index) == last {
            let size = parts.end.offset - start.offset;
            let more = if parts.embedded.is_some() { PF_X } else { PF_W };
            let load = new_segment(PT_LOAD, PF_R | more, At { size, ..start }, program.page());
            out.extend(bytes_of(&load));
        }
    }
    if parts.embedded.is_none() {
        out.extend(bytes_of(&new_segment(PT_NOTE, PF_R, parts.note, 4)));
    }
    out
}

fn new_segment(kind: ProgramType, flags: ProgramFlags, at: At, align: u64) -> Segment {
    Segment {
        p_type: U32::new(LE, kind),
        p_flags: U32::new(LE, flags),
        p_offset: U64::new(LE, at.offset),
        p_vaddr: U64::new(LE, at.address),
        p_paddr: U64::new(LE, at.address),
        p_filesz: U64::new(LE, at.size),
        p_memsz: U64::new(LE, at.size),
        p_align: U64::new(LE, align),
    }
}

fn grow(segment: &mut Segment, more: u64) {
    segment.p_filesz.set(LE, segment.p_filesz.get(LE) + more);
    segment.p_memsz.set(LE, segment.p_memsz.get(LE) + more);
}

fn moved_segment(mut segment: Segment, parts: &Parts) -> Segment {
    let to = |segment: &mut Segment, offset: u64, address: u64| {
        segment.p_offset.set(LE, offset);
        segment.p_vaddr.set(LE, address);
        segment.p_paddr.set(LE, address);
    };
    let offset = segment.p_offset.get(LE);
    match segment.p_type.get(LE) {
        PT_PHDR => grow(&mut segment, (parts.more_segments() * size_of::<Segment>()) as u64),
        PT_INTERP | PT_NOTE | PT_GNU_PROPERTY if parts.span.holds_offset(offset) => {
            let within = offset - parts.span.start;
            to(&mut segment, parts.moved.offset + within, parts.moved.address + within);
        }
        PT_DYNAMIC => {
            if let Some(at) = parts.dynamic {
                to(&mut segment, at.offset, at.address);
                segment.p_filesz.set(LE, at.size);
                segment.p_memsz.set(LE, at.size);
            }
        }
        _ => {}
    }
    segment
}

/// Records the length of the linked file, and the checksum over everything that the link wrote.
fn seal(tail: &mut Tail, at: At, edits: &[FileEdit]) {
    let length = tail.offset + tail.bytes.len() as u64;
    tail.put(at, undo::LINKED_LENGTH, &length.to_le_bytes());
    let within = usize::try_from(at.offset - tail.offset).unwrap_or(0) + undo::SUM;
    let sum = undo::sum(edits.iter().map(|edit| &*edit.bytes), &tail.bytes, within);
    tail.put(at, undo::SUM, &sum);
}
