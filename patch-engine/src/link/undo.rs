//! The record that takes a link back: the bytes that were replaced, and the old length of the file.

use crate::digest::xxh3;

/// Bytes of a file that are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileEdit {
    /// File offset.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// The record of the file before a link.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undo {
    /// Length of the file before the link, in bytes.
    pub(super) length: u64,
    /// Length of the file after the link, in bytes.
    pub(super) linked_length: u64,
    /// XXH3 over everything that the link wrote, except for these 16 bytes.
    pub(super) sum: [u8; 16],
    /// The old bytes, by offset.
    pub(super) old: Vec<FileEdit>,
}

/// Offsets of the new length and of the checksum in the encoded record.
pub(super) const LINKED_LENGTH: usize = 8;
pub(super) const SUM: usize = 16;
/// Bytes before the old bytes.
const HEAD: usize = 40;

impl Undo {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.length.to_le_bytes());
        out.extend(self.linked_length.to_le_bytes());
        out.extend(self.sum);
        out.extend((self.old.len() as u64).to_le_bytes());
        for edit in &self.old {
            out.extend(edit.offset.to_le_bytes());
            out.extend((edit.bytes.len() as u64).to_le_bytes());
            out.extend(&edit.bytes);
        }
        out
    }

    /// Decodes the output of [`Self::encode`]; `None` for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, linked_length) = (u64_at(bytes, 0)?, u64_at(bytes, LINKED_LENGTH)?);
        let sum = *bytes.get(SUM..)?.first_chunk()?;
        let count = u64_at(bytes, 32)?;
        let mut rest = bytes.get(HEAD..)?;
        let mut old: Vec<FileEdit> = Vec::new();
        for _ in 0..count {
            let (offset, len) = (u64_at(rest, 0)?, usize::try_from(u64_at(rest, 8)?).ok()?);
            let (bytes, after) = rest.get(16..)?.split_at_checked(len)?;
            let is_in_order = old.last().is_none_or(|last| last.offset < offset);
            if !is_in_order || offset.checked_add(len as u64)? > length || len == 0 {
                return None;
            }
            old.push(FileEdit { offset, bytes: bytes.to_vec() });
            rest = after;
        }
        let is_sound = rest.is_empty() && length <= linked_length;
        is_sound.then_some(Self { length, linked_length, sum, old })
    }
}

/// The little-endian integer at a position.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The checksum over everything that a link wrote: the new bytes of its edits, and the tail, in
/// which the checksum itself, at offset `at`, counts as zero.
pub(super) fn sum<'a>(edits: impl Iterator<Item = &'a [u8]>, tail: &[u8], at: usize) -> [u8; 16] {
    let mut all: Vec<u8> = edits.flatten().copied().collect();
    let start = all.len() + at;
    all.extend(tail);
    if let Some(sum) = all.get_mut(start..start + 16) {
        sum.fill(0);
    }
    xxh3(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo() -> Undo {
        let old = vec![
            FileEdit { offset: 0, bytes: vec![1, 2, 3] },
            FileEdit { offset: 90, bytes: vec![4; 10] },
        ];
        Undo { length: 100, linked_length: 200, sum: [9; 16], old }
    }

    #[test]
    fn decoding_reverses_encoding() {
        assert_eq!(Undo::decode(&undo().encode()), Some(undo()));
    }

    #[test]
    fn damaged_records_are_refused() {
        let whole = undo().encode();
        for len in 0..whole.len() {
            assert_eq!(Undo::decode(&whole[..len]), None, "{len}");
        }
        let mut beyond = undo();
        beyond.length = 99;
        assert_eq!(Undo::decode(&beyond.encode()), None);
        let mut unordered = undo();
        unordered.old.reverse();
        assert_eq!(Undo::decode(&unordered.encode()), None);
        let mut many = whole.clone();
        many[32..40].fill(0xff);
        assert_eq!(Undo::decode(&many), None);
    }
}
