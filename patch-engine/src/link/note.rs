//! The note of a linked program, and the names of its keys.

use super::tail::{At, Tail};
use jlctl_analyzer::addr::{AddrRange, Svma};
use jlctl_shim::note::{
    DESCRIPTOR, FLAG_SYNC_ICACHE, Linked, Name, OWNER, OWNER_LEN, TYPE_LINKED, VERSION, find,
};
use std::mem::offset_of;

/// A key and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedKey {
    pub(super) key: Svma,
    pub(super) name: String,
}

/// The locations of the names.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameTable {
    table: At,
    text: At,
}

/// Appends the names of keys, which ascend by address.
pub(super) fn place_names(tail: &mut Tail, names: &[NamedKey]) -> NameTable {
    let mut text = Vec::new();
    let spans: Vec<(u32, u32)> = names
        .iter()
        .filter_map(|key| {
            let start = u32::try_from(text.len()).ok()?;
            text.extend(key.name.as_bytes());
            Some((start, u32::try_from(key.name.len()).ok()?))
        })
        .collect();
    let table = tail.place(8, &vec![0; spans.len() * Name::SIZE]);
    for (index, (key, (start, len))) in names.iter().zip(spans).enumerate() {
        let field = index * Name::SIZE;
        let displacement = key.key.0.wrapping_sub(table.address + field as u64);
        tail.put(table, field, &displacement.to_le_bytes());
        tail.put(table, field + offset_of!(Name, start), &start.to_le_bytes());
        tail.put(table, field + offset_of!(Name, len), &len.to_le_bytes());
    }
    let text = tail.place(1, &text);
    NameTable { table, text }
}

/// Appends space for the note; [`fill`] fills it in.
pub(super) fn place(tail: &mut Tail) -> At {
    tail.place(4, &[0; DESCRIPTOR + Linked::SIZE])
}

/// The contents of the note.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoteContents {
    pub(super) sync_icache: bool,
    pub(super) node: At,
    pub(super) table: Option<AddrRange>,
    pub(super) names: NameTable,
    pub(super) undo: At,
}

/// Fills in the note at `at`.
pub(super) fn fill(tail: &mut Tail, at: At, contents: &NoteContents) {
    let mut head = Vec::new();
    for word in [OWNER_LEN, u32::try_from(Linked::SIZE).unwrap_or(0), TYPE_LINKED] {
        head.extend(word.to_le_bytes());
    }
    head.extend(OWNER);
    tail.put(at, 0, &head);
    let flags = if contents.sync_icache { FLAG_SYNC_ICACHE } else { 0 };
    tail.put(at, DESCRIPTOR + offset_of!(Linked, version), &VERSION.to_le_bytes());
    tail.put(at, DESCRIPTOR + offset_of!(Linked, flags), &flags.to_le_bytes());
    let NoteContents { node, names, undo, .. } = *contents;
    let (start, size) =
        contents.table.map_or((node.address, 0), |range| (range.start().0, range.size()));
    for (field, address) in [
        (offset_of!(Linked, node), node.address),
        (offset_of!(Linked, table), start),
        (offset_of!(Linked, names), names.table.address),
        (offset_of!(Linked, text), names.text.address),
        (offset_of!(Linked, undo), undo.address),
    ] {
        let place = at.address + (DESCRIPTOR + field) as u64;
        tail.put(at, DESCRIPTOR + field, &address.wrapping_sub(place).to_le_bytes());
    }
    for (field, size) in [
        (offset_of!(Linked, table_len), size),
        (offset_of!(Linked, names_count), names.table.size / Name::SIZE as u64),
        (offset_of!(Linked, text_len), names.text.size),
        (offset_of!(Linked, undo_len), undo.size),
    ] {
        tail.put(at, DESCRIPTOR + field, &size.to_le_bytes());
    }
}

/// A note of the runtime in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundNote {
    /// Type of the note.
    pub(super) kind: u32,
    /// File offset of the note's descriptor.
    pub(super) descriptor: u64,
    /// Address of the note's descriptor.
    pub(super) address: u64,
}

/// Finds the runtime's note in `bytes`, the notes of a segment at `offset` and `address`.
pub(super) fn find_in(
    bytes: &[u8],
    align: u64,
    (offset, address): (u64, u64),
) -> Option<FoundNote> {
    let (kind, descriptor) = find(bytes, usize::try_from(align).unwrap_or(4))?;
    let within = descriptor as u64;
    Some(FoundNote { kind, descriptor: offset + within, address: address + within })
}
