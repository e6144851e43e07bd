//! Takes a link out: restores the old file, or, where the file was changed after the link, removes
//! the runtime from it.

use super::error::{Why, damaged};
use super::note::{FoundNote, find_in};
use super::program::ElfProgram;
use super::record::{FileHeader, LE, Segment, record, slice};
use super::shim::SONAME;
use super::undo::{self, FileEdit, Undo, u64_at};
use jlctl_shim::note::{DESCRIPTOR, HEAD_LEN, Linked, TYPE_LINKED, TYPE_REMOVED};
use object::elf::{DT_NEEDED, PT_DYNAMIC, PT_NOTE};
use object::pod::bytes_of;
use std::mem::offset_of;

/// The changes that take a link out.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) edits: Vec<FileEdit>,
    /// Length of the file without the link, in bytes.
    pub(super) length: u64,
    /// Whether everything that the link wrote is unchanged, so that the old file is restored.
    pub(super) is_exact: bool,
}

/// The runtime's note in a file.
pub(super) fn note(program: &ElfProgram<'_>) -> Option<FoundNote> {
    let is_note = |segment: &&Segment| segment.p_type.get(LE) == PT_NOTE;
    program.segments.iter().filter(is_note).find_map(|segment| {
        let offset = segment.p_offset.get(LE);
        let bytes = slice(program.bytes, offset, segment.p_filesz.get(LE))?;
        find_in(bytes, segment.p_align.get(LE), (offset, segment.p_vaddr.get(LE)))
    })
}

/// The changes that take the link out of `program`.
pub(super) fn compose(program: &ElfProgram<'_>) -> Result<Removal, Why> {
    let note = note(program).filter(|note| note.kind == TYPE_LINKED).ok_or(Why::NotLinked)?;
    match exact(program, note) {
        Some(removal) => Ok(removal),
        None => without_runtime(program, note),
    }
}

/// The record that takes the link back, and its file offset.
fn undo_of(program: &ElfProgram<'_>, note: FoundNote) -> Option<(Undo, u64)> {
    let field =
        |field: usize| u64_at(program.bytes, usize::try_from(note.descriptor).ok()? + field);
    let at = offset_of!(Linked, undo);
    let address = note.address.wrapping_add(at as u64).wrapping_add(field(at)?);
    let offset = program.offset_of(address)?;
    let bytes = slice(program.bytes, offset, field(offset_of!(Linked, undo_len))?)?;
    Some((Undo::decode(bytes)?, offset))
}

/// The old bytes, if everything that the link wrote is unchanged.
fn exact(program: &ElfProgram<'_>, note: FoundNote) -> Option<Removal> {
    let (undo, offset) = undo_of(program, note)?;
    if undo.linked_length != program.bytes.len() as u64 {
        return None;
    }
    let tail_at = undo.length.checked_next_multiple_of(16)?;
    let tail = program.bytes.get(usize::try_from(tail_at).ok()?..)?;
    let new =
        undo.old.iter().map(|edit| slice(program.bytes, edit.offset, edit.bytes.len() as u64));
    let new: Vec<&[u8]> = new.collect::<Option<_>>()?;
    let within = usize::try_from(offset.checked_sub(tail_at)?).ok()?.checked_add(undo::SUM)?;
    if undo::sum(new.into_iter(), tail, within) != undo.sum {
        return None;
    }
    Some(Removal { edits: undo.old, length: undo.length, is_exact: true })
}

/// Keeps the program as it is, but removes its dependency on the runtime and invalidates the note.
fn without_runtime(program: &ElfProgram<'_>, note: FoundNote) -> Result<Removal, Why> {
    let kind = note.descriptor - (DESCRIPTOR - HEAD_LEN + 4) as u64;
    let kind = FileEdit { offset: kind, bytes: TYPE_REMOVED.to_le_bytes().to_vec() };
    let removal = |edit| {
        let length = program.bytes.len() as u64;
        Ok(Removal { edits: vec![edit, kind], length, is_exact: false })
    };
    if program.is_static() {
        let undo = undo_of(program, note)
            .ok_or_else(|| damaged("note of the link", "it has no record of the old bytes"))?
            .0;
        let header = undo.old.iter().find(|edit| edit.offset == 0);
        let header = header.and_then(|header| record::<FileHeader>(&header.bytes, 0));
        let header = header.ok_or_else(|| damaged("note of the link", "it has no old header"))?;
        let offset = offset_of!(FileHeader, e_entry) as u64;
        return removal(FileEdit { offset, bytes: bytes_of(&header.e_entry).to_vec() });
    }
    let dynamic =
        program.segment(PT_DYNAMIC).ok_or_else(|| damaged("dynamic section", "there is none"))?;
    let mut entries = Vec::new();
    for (tag, value) in &program.dynamic {
        if *tag != DT_NEEDED || program.string(*value)? != SONAME.as_bytes() {
            entries.push((*tag, *value));
        }
    }
    let size = usize::try_from(dynamic.p_filesz.get(LE)).unwrap_or(0);
    let bytes = super::dynamic::encode(&entries, size);
    removal(FileEdit { offset: dynamic.p_offset.get(LE), bytes })
}
