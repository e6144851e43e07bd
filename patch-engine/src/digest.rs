//! Checksums of files: SHA-256, which people compare and `plan --check` verifies, and XXH3, which
//! is as fast as memory and is verified whenever a plan is applied.

use jlctl_analyzer::addr::FileOffset;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use twox_hash::xxhash3_128;

/// Bytes that are read and summed at once; they fit into a core's own cache.
const CHUNK: usize = 128 << 10;

/// Some processors copy several times slower to memory that begins shortly after the start of a
/// page, as memory from an allocator often does.
const ALIGN: usize = 4096;

/// Both checksums of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    /// SHA-256 (FIPS 180-4).
    pub sha256: [u8; 32],
    /// XXH3 of 128 bits without a seed, in its canonical form (big-endian). XXH3 tells a file from
    /// any file that was not crafted to collide with it.
    pub xxh3: [u8; 16],
}

impl Digests {
    /// Both checksums of `bytes`, computed in parallel.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let (sha256, xxh3) = rayon::join(|| sha256(bytes), || xxh3(bytes));
        Self { sha256, xxh3 }
    }
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// XXH3 of `bytes`.
#[must_use]
pub fn xxh3(bytes: &[u8]) -> [u8; 16] {
    xxhash3_128::Hasher::oneshot(bytes).to_be_bytes()
}

/// One of the checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// XXH3 of 128 bits.
    Xxh3([u8; 16]),
    /// SHA-256.
    Sha256([u8; 32]),
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes) = match self {
            Self::Xxh3(bytes) => ("XXH3", &bytes[..]),
            Self::Sha256(bytes) => ("SHA-256", &bytes[..]),
        };
        write!(f, "{name} ")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The checksum of all bytes of `file`, of the kind of `like`, as if the file contained `edits`,
/// which are sorted by offset and do not overlap. Bytes of edits after the end of the file are
/// ignored.
///
/// One core sums small chunks, each while it is in the core's cache: another core copies the file
/// at the same time, and mapping the file would cost as much as reading it.
///
/// # Errors
/// If reading fails.
pub fn sum_of_file(file: &File, edits: &[(FileOffset, &[u8])], like: &Sum) -> io::Result<Sum> {
    match like {
        Sum::Xxh3(_) => {
            let mut hasher = xxhash3_128::Hasher::new();
            each_chunk(file, edits, |chunk| hasher.write(chunk))?;
            Ok(Sum::Xxh3(hasher.finish_128().to_be_bytes()))
        }
        Sum::Sha256(_) => {
            let mut hasher = Sha256::new();
            each_chunk(file, edits, |chunk| hasher.update(chunk))?;
            Ok(Sum::Sha256(hasher.finalize().into()))
        }
    }
}

fn each_chunk(
    file: &File,
    edits: &[(FileOffset, &[u8])],
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut memory = vec![0; CHUNK + ALIGN];
    let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
    let buffer = &mut memory[start..start + CHUNK];
    let (mut offset, mut first) = (0u64, 0);
    loop {
        let count = match file.read_at(buffer, offset) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        first += edit(&mut buffer[..count], offset, &edits[first..]);
        take(&buffer[..count]);
        offset += count as u64;
    }
}

/// Copies the bytes of `edits` into `chunk`, which begins at `offset`; returns the number of edits
/// that end in it.
fn edit(chunk: &mut [u8], offset: u64, edits: &[(FileOffset, &[u8])]) -> usize {
    let end = offset + chunk.len() as u64;
    let mut done = 0;
    for (at, new) in edits.iter().take_while(|(at, _)| at.0 < end) {
        for (byte, place) in new.iter().zip(at.0..) {
            let place = place.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
            if let Some(old) = place.and_then(|place| chunk.get_mut(place)) {
                *old = *byte;
            }
        }
        done += usize::from(at.0.saturating_add(new.len() as u64) <= end);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of FIPS 180-4, and values by `xxhsum -H2`.
    #[test]
    fn known_sums() {
        let hex = |sum: &[u8]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hex(&xxh3(b"")), "99aa06d3014798d86001c324468d497f");
        assert_eq!(hex(&xxh3(b"abc")), "06b05ab6733a618578af5f94892f3950");
    }

    #[test]
    fn edits_are_summed_as_if_they_were_written() {
        let old: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        let mut new = old.clone();
        let mut edits = Vec::new();
        for at in [0, 100, CHUNK - 2, 2 << 20, (3 << 20) - 4] {
            new[at..at + 4].copy_from_slice(b"edit");
            edits.push((FileOffset(at as u64), &b"edit"[..]));
        }
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &old).unwrap();
        let sums = |bytes: &[u8]| {
            let Digests { sha256, xxh3 } = Digests::of(bytes);
            [Sum::Sha256(sha256), Sum::Xxh3(xxh3)]
        };
        for (old, new) in sums(&old).into_iter().zip(sums(&new)) {
            assert_ne!(old, new);
            assert_eq!(sum_of_file(&file, &edits, &old).unwrap(), new);
            assert_eq!(sum_of_file(&file, &[], &new).unwrap(), old);
        }
    }
}
