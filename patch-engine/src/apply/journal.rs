//! The journal of a change in place: the old bytes, in a file beside the image, complete on the
//! disk before the image is changed.
//!
//! The journal gets its name once it is complete, so that a file of that name is never a part of a
//! journal. Layout, all integers little-endian: magic (8 bytes), version (u32), length before and
//! after (u64 each), number of writes (u64); for each write its offset (u64), its length (u64), the
//! old and the new bytes; the number of bytes cut off (u64) and those bytes; SHA-256 of everything
//! before it.

use super::disk::{Disk, directory};
use super::error::{ApplyError, JournalDamage};
use super::writes::{ByteWrite, ByteWrites};
use crate::digest::sha256;
use jlctl_analyzer::addr::FileOffset;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"JLCTLJNL";
const VERSION: u32 = 1;
/// Bytes of the checksum at the end.
const SUM: usize = 32;
/// An upper bound for the journal of any plan that can be read.
const MAX_BYTES: u64 = 1 << 30;

/// The state that restores an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) old_length: u64,
    pub(super) new_length: u64,
    pub(super) writes: ByteWrites,
    /// The bytes from `new_length` on, which are cut off.
    pub(super) cut: Vec<u8>,
}

/// Path of an image's journal: that of the image with `.jlctl-journal` appended.
#[must_use]
pub fn journal_path(image: &Path) -> PathBuf {
    with_suffix(image, ".jlctl-journal")
}

fn unfinished_path(image: &Path) -> PathBuf {
    with_suffix(&journal_path(image), ".new")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl Journal {
    /// Writes the journal of `image` to the disk.
    pub(super) fn store(&self, disk: &dyn Disk, image: &Path) -> Result<(), ApplyError> {
        let path = journal_path(image);
        let unfinished = unfinished_path(image);
        let system = |action| {
            let path = path.clone();
            move |source| ApplyError::System { path, action, source }
        };
        Self::remove_unfinished(disk, image).map_err(system("remove an unfinished"))?;
        let stored = disk.create(&unfinished).and_then(|file| {
            disk.write(&file, &self.encode(), 0)?;
            disk.sync(&file)?;
            disk.rename(&unfinished, &path)?;
            disk.sync_directory(directory(&path))
        });
        stored.map_err(|error| {
            // The image is unchanged, so that neither file is needed.
            let _ = disk.remove(&unfinished);
            let _ = disk.remove(&path);
            system("write the journal")(error)
        })
    }

    /// Removes the unfinished journal of an apply that was interrupted. The image is locked, so
    /// that no other process is writing it.
    pub(super) fn remove_unfinished(disk: &dyn Disk, image: &Path) -> io::Result<()> {
        match disk.remove(&unfinished_path(image)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the journal of `image`.
    pub(super) fn remove(disk: &dyn Disk, image: &Path) -> io::Result<()> {
        let path = journal_path(image);
        disk.remove(&path)?;
        disk.sync_directory(directory(&path))
    }

    /// Reads the journal of `image`; `None` without one.
    pub(super) fn load(image: &Path) -> Result<Option<Self>, ApplyError> {
        let path = journal_path(image);
        let damaged = |damage| ApplyError::JournalDamaged {
            image: image.to_owned(),
            journal: path.clone(),
            damage,
        };
        let bytes = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                return Err(damaged(JournalDamage::TooLong(metadata.len())));
            }
            _ => std::fs::read(&path),
        };
        let bytes = bytes.map_err(|source| ApplyError::Unreadable {
            path: path.clone(),
            action: "read",
            source,
        })?;
        Self::decode(&bytes).map(Some).map_err(damaged)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.old_length.to_le_bytes());
        bytes.extend(self.new_length.to_le_bytes());
        bytes.extend((self.writes.as_slice().len() as u64).to_le_bytes());
        for ByteWrite { offset, old, new } in self.writes.as_slice() {
            bytes.extend(offset.0.to_le_bytes());
            bytes.extend((old.len() as u64).to_le_bytes());
            bytes.extend(old);
            bytes.extend(new);
        }
        bytes.extend((self.cut.len() as u64).to_le_bytes());
        bytes.extend(&self.cut);
        let sum = sha256(&bytes);
        bytes.extend(sum);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, JournalDamage> {
        let short = || JournalDamage::Length {
            expected: (MAGIC.len() + 4 + SUM) as u64,
            found: bytes.len() as u64,
        };
        let (body, sum) = bytes
            .len()
            .checked_sub(SUM)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or_else(short)?;
        if !body.starts_with(MAGIC) {
            return Err(JournalDamage::Magic);
        }
        let mut rest = Reader(&body[MAGIC.len()..]);
        let version =
            rest.take(4).and_then(|bytes| Some(u32::from_le_bytes(*bytes.first_chunk()?)));
        match version {
            Some(VERSION) => {}
            Some(other) => return Err(JournalDamage::Version(other)),
            None => return Err(short()),
        }
        if sha256(body) != sum {
            return Err(JournalDamage::Checksum("contents"));
        }
        rest.journal().ok_or(JournalDamage::Contents("its lists do not match its length"))?
    }
}

/// Reads a journal's body from its start.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8).and_then(|bytes| Some(u64::from_le_bytes(*bytes.first_chunk()?)))
    }

    fn bytes(&mut self, len: u64) -> Option<Vec<u8>> {
        self.take(usize::try_from(len).ok()?).map(<[u8]>::to_vec)
    }

    fn journal(mut self) -> Option<Result<Journal, JournalDamage>> {
        let (old_length, new_length, count) = (self.number()?, self.number()?, self.number()?);
        let mut writes = Vec::new();
        for _ in 0..count {
            let (offset, len) = (FileOffset(self.number()?), self.number()?);
            let (old, new) = (self.bytes(len)?, self.bytes(len)?);
            writes.push(ByteWrite { offset, old, new });
        }
        let len = self.number()?;
        let cut = self.bytes(len)?;
        if !self.0.is_empty() || old_length.checked_sub(new_length)? != cut.len() as u64 {
            return None;
        }
        let writes = ByteWrites::new(writes);
        let journal = |writes| Journal { old_length, new_length, writes, cut };
        Some(
            writes
                .map(journal)
                .map_err(|_| JournalDamage::Contents("its writes overlap or are empty")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn journal() -> Journal {
        let write = |offset, old: &[u8], new: &[u8]| ByteWrite {
            offset: FileOffset(offset),
            old: old.to_vec(),
            new: new.to_vec(),
        };
        Journal {
            old_length: 100,
            new_length: 97,
            writes: ByteWrites::new(vec![write(8, b"abcd", b"efgh"), write(40, b"x", b"y")])
                .unwrap(),
            cut: b"sig".to_vec(),
        }
    }

    #[test]
    fn decoding_reverses_encoding() {
        assert_eq!(Journal::decode(&journal().encode()), Ok(journal()));
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_detected() {
        let bytes = journal().encode();
        for len in 0..bytes.len() {
            assert!(Journal::decode(&bytes[..len]).is_err(), "{len}");
        }
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(Journal::decode(&bad).is_err(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(VERSION.to_le_bytes());
            bytes.extend(body);
            let sum = sha256(&bytes);
            bytes.extend(sum);
            let _ = Journal::decode(&bytes);
        }
    }
}
