//! Takes a link out: the file as it was, or where it has changed since, a program that does
//! without the runtime.

use super::error::{Why, damaged};
use super::note::{FoundNote, find_in};
use super::program::{ElfProgram, slice};
use super::record::{DT_NEEDED, E_ENTRY, PT_DYNAMIC, PT_NOTE, u64_at};
use super::shim::SONAME;
use super::undo::{self, FileEdit, Undo};
use jlctl_shim::note::{DESCRIPTOR, HEAD_LEN, Linked, TYPE_LINKED, TYPE_REMOVED};
use std::mem::offset_of;

/// What is written to take a link out.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) edits: Vec<FileEdit>,
    /// Length of the file afterwards.
    pub(super) length: u64,
    /// Whether what the link wrote was all there still, so that all of it is taken back.
    pub(super) is_exact: bool,
}

/// The note of ours in a file.
pub(super) fn note(program: &ElfProgram<'_>) -> Option<FoundNote> {
    program.segments.iter().filter(|segment| segment.kind == PT_NOTE).find_map(|segment| {
        let bytes = slice(program.bytes, segment.offset, segment.file_size)?;
        find_in(bytes, segment.align, (segment.offset, segment.address))
    })
}

/// What takes the link out of `program`.
pub(super) fn compose(program: &ElfProgram<'_>) -> Result<Removal, Why> {
    let note = note(program).filter(|note| note.kind == TYPE_LINKED).ok_or(Why::NotLinked)?;
    match exact(program, note) {
        Some(removal) => Ok(removal),
        None => without_runtime(program, note),
    }
}

/// What takes the link back, and its offset in the file.
fn undo_of(program: &ElfProgram<'_>, note: FoundNote) -> Option<(Undo, u64)> {
    let field =
        |field: usize| u64_at(program.bytes, usize::try_from(note.descriptor).ok()? + field);
    let at = offset_of!(Linked, undo);
    let address = note.address.wrapping_add(at as u64).wrapping_add(field(at)?);
    let offset = program.offset_of(address)?;
    let bytes = slice(program.bytes, offset, field(offset_of!(Linked, undo_len))?)?;
    Some((Undo::decode(bytes)?, offset))
}

/// The old bytes, if everything that was written is there still.
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

/// The program as it is, but without need of the runtime, and with a note that names nothing.
fn without_runtime(program: &ElfProgram<'_>, note: FoundNote) -> Result<Removal, Why> {
    let kind = note.descriptor - (DESCRIPTOR - HEAD_LEN + 4) as u64;
    let kind = FileEdit { offset: kind, bytes: TYPE_REMOVED.to_le_bytes().to_vec() };
    let removal = |edit| {
        let length = program.bytes.len() as u64;
        Ok(Removal { edits: vec![edit, kind], length, is_exact: false })
    };
    if program.is_static() {
        let undo = undo_of(program, note).ok_or_else(|| damaged("note of the link", "no undo"))?.0;
        let header = undo.old.iter().find(|edit| edit.offset == 0);
        let entry = header.and_then(|header| header.bytes.get(E_ENTRY..E_ENTRY + 8));
        let entry = entry.ok_or_else(|| damaged("note of the link", "no old header"))?;
        return removal(FileEdit { offset: E_ENTRY as u64, bytes: entry.to_vec() });
    }
    let dynamic = program.segment(PT_DYNAMIC).ok_or_else(|| damaged("dynamic section", "none"))?;
    let mut entries = Vec::new();
    for (tag, value) in &program.dynamic {
        if *tag != DT_NEEDED || program.string(*value)? != SONAME.as_bytes() {
            entries.push((*tag, *value));
        }
    }
    let size = usize::try_from(dynamic.file_size).unwrap_or(0);
    let bytes = super::dynamic::encode(&entries, size);
    removal(FileEdit { offset: dynamic.offset, bytes })
}
