//! The note that `jlctl link` adds to a program: the location of its jump table, the names of
//! its keys, and the data that undo the link.
//!
//! It is an ELF note (gABI, "Note Section") in a PT_NOTE segment of its own, so that the
//! runtime finds it by the program headers alone, also in a stripped program.  Every location
//! is a displacement in bytes from the field that holds it, so that no relocation is left for
//! the dynamic linker.  The byte order is the program's; both architectures that
//! `jlctl link` supports are little-endian.

use core::ops::Range;

/// The name of the section that holds this note and nothing else.
pub const SECTION: &str = ".note.jlctl";
/// The owner's name as it lies in the note: with its NUL, padded to a multiple of four bytes.
pub const OWNER: [u8; 8] = *b"jlctl\0\0\0";
/// Bytes of the owner's name with its NUL, without padding: the note's `namesz`.
pub const OWNER_LEN: u32 = 6;
/// The note's type in a linked program.
pub const TYPE_LINKED: u32 = 1;
/// The note's type in a program whose link was removed and whose original file could not be
/// restored: the runtime registers nothing.
pub const TYPE_REMOVED: u32 = 2;
/// The version of [`Linked`].
pub const VERSION: u32 = 1;
/// Flag of [`Linked`]: the shim's `__clear_cache` replaces the program's.
pub const FLAG_SYNC_ICACHE: u32 = 1;

/// The note's descriptor.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Linked {
    /// [`VERSION`].
    pub version: u32,
    /// [`FLAG_SYNC_ICACHE`].
    pub flags: u32,
    /// Displacement of the node for the runtime's list of objects: 64 zero bytes, writable and
    /// aligned to 8.
    pub node: i64,
    /// Displacement of the first entry, in the layout of [`crate::abi::RelativeEntry`].
    pub table: i64,
    /// Length of the table in bytes.
    pub table_len: u64,
    /// Displacement of the first [`Name`]; names are sorted by the addresses of their keys.
    pub names: i64,
    /// Number of names.
    pub names_count: u64,
    /// Displacement of the text of all names.
    pub text: i64,
    /// Length of the text in bytes.
    pub text_len: u64,
    /// Displacement of the data that undo the link, which `jlctl` alone reads.
    pub undo: i64,
    /// Length of these data in bytes.
    pub undo_len: u64,
}

impl Linked {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

/// The name of a key.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Name {
    /// Displacement of the key.
    pub key: i64,
    /// Offset of the name in the text, in bytes.  The name is UTF-8 without NUL.
    pub start: u32,
    /// Length of the name in bytes.
    pub len: u32,
}

impl Name {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

/// Bytes of a note's header: the words `namesz`, `descsz` and `type`.
pub const HEAD_LEN: usize = 12;
/// Offset of the descriptor in the note, in bytes.
pub const DESCRIPTOR: usize = HEAD_LEN + OWNER.len();

/// Finds the note of `jlctl link` in `notes`, the bytes of a PT_NOTE segment whose notes are
/// aligned to `align` bytes: its type, and the offset of its descriptor.
///
/// A damaged note ends the search.  Nothing outside `notes` is read.
#[must_use]
pub fn find(notes: &[u8], align: usize) -> Option<(u32, usize)> {
    let own = OWNER.get(..OWNER_LEN as usize)?;
    let is_own =
        |owner: &[u8], _: u32, descriptor: &[u8]| owner == own && descriptor.len() == Linked::SIZE;
    find_note(notes, align, is_own).map(|(kind, descriptor)| (kind, descriptor.start))
}

/// Finds the build id in `notes`, as [`find`] does: the descriptor of the note of type 3
/// (NT_GNU_BUILD_ID) of the owner GNU.
#[must_use]
pub fn build_id(notes: &[u8], align: usize) -> Option<&[u8]> {
    let is_id = |owner: &[u8], kind: u32, _: &[u8]| owner == b"GNU\0" && kind == 3;
    notes.get(find_note(notes, align, is_id)?.1)
}

/// The type and the descriptor's range of the first note for whose owner, type and descriptor
/// `is_it` holds.
fn find_note(
    notes: &[u8],
    align: usize,
    is_it: impl Fn(&[u8], u32, &[u8]) -> bool,
) -> Option<(u32, Range<usize>)> {
    let align = if align == 8 { 8 } else { 4 };
    let mut at = 0usize;
    loop {
        let head = notes.get(at..)?.first_chunk::<HEAD_LEN>()?;
        let word = |index: usize| {
            let [a, b, c, d] = [head[index], head[index + 1], head[index + 2], head[index + 3]];
            u32::from_ne_bytes([a, b, c, d])
        };
        let (name_len, len, kind) = (word(0) as usize, word(4) as usize, word(8));
        let name = at + HEAD_LEN;
        let descriptor = name.checked_add(name_len)?.checked_next_multiple_of(align)?;
        let end = descriptor.checked_add(len)?;
        let owner = notes.get(name..name.checked_add(name_len)?)?;
        if notes.get(descriptor..end).is_some_and(|bytes| is_it(owner, kind, bytes)) {
            return Some((kind, descriptor..end));
        }
        // Every note is at least as long as its header, so that the loop ends.
        at = end.checked_next_multiple_of(align)?;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn note(owner: &[u8], kind: u32, descriptor: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [owner.len(), descriptor.len()] {
            bytes.extend(u32::try_from(word).unwrap().to_ne_bytes());
        }
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(owner);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(descriptor);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn structures_have_no_padding() {
        assert_eq!((Linked::SIZE, Name::SIZE, DESCRIPTOR), (80, 16, 20));
    }

    #[test]
    fn the_note_is_found_among_others() {
        let mut notes = note(b"GNU\0", 3, &[1; 20]);
        notes.extend(note(b"jlctl\0", 9, &[1; 3]));
        let at = notes.len();
        notes.extend(note(b"jlctl\0", TYPE_LINKED, &[2; Linked::SIZE]));
        assert_eq!(find(&notes, 4), Some((TYPE_LINKED, at + DESCRIPTOR)));
        assert_eq!(find(&notes[..at], 4), None);
        assert_eq!(build_id(&notes, 4), Some(&[1; 20][..]));
        assert_eq!(build_id(&notes[at..], 4), None);
    }

    #[test]
    fn a_damaged_note_ends_the_search() {
        let whole = note(b"jlctl\0", TYPE_LINKED, &[2; Linked::SIZE]);
        for len in 0..whole.len() {
            assert_eq!(find(&whole[..len], 4), None, "{len}");
        }
        assert_eq!(find(&[0xff; 64], 4), None);
        assert_eq!(find(&[0; 64], 8), None);
    }
}
