//! What tells files apart: SHA-256, which people compare, and BLAKE3, which is many
//! times as fast and is verified whenever a plan is applied.

use jlctl_analyzer::addr::FileOffset;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes of a file that are read and hashed at once.
const CHUNK: usize = 256 << 10;

/// Both sums of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    /// SHA-256 (FIPS 180-4).
    pub sha256: [u8; 32],
    /// BLAKE3, unkeyed, 256 bits.
    pub blake3: [u8; 32],
}

impl Digests {
    /// Both sums of `bytes`, on two cores where there are two.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let (sha256, blake3) = rayon::join(|| sha256(bytes), || blake3(bytes));
        Self { sha256, blake3 }
    }
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// BLAKE3 of `bytes`, on all cores.
#[must_use]
pub fn blake3(bytes: &[u8]) -> [u8; 32] {
    blake3::Hasher::new().update_rayon(bytes).finalize().into()
}

/// BLAKE3 of all bytes of `file` as if there were others at some offsets, which are in
/// order and do not overlap; what lies beyond the end is passed over.
///
/// One core hashes small pieces, each while it is in its cache: another one copies the
/// file meanwhile, and mapping it would cost as much as reading.
///
/// # Errors
/// What reading raises.
pub fn blake3_of_file(file: &File, edits: &[(FileOffset, &[u8])]) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    let (mut offset, mut first) = (0u64, 0);
    loop {
        let count = match file.read_at(&mut buffer, offset) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        first += edit(&mut buffer[..count], offset, &edits[first..]);
        hasher.update(&buffer[..count]);
        offset += count as u64;
    }
    Ok(hasher.finalize().into())
}

/// Puts the bytes of `edits` into `chunk`, which lies at `offset`; answers how many of
/// them end in it.
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

    /// Values of FIPS 180-4's example and of BLAKE3's own test vectors.
    #[test]
    fn known_sums() {
        let hex = |sum: [u8; 32]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(blake3(b"")),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn edits_are_hashed_as_if_they_were_there() {
        let old: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        let mut new = old.clone();
        let mut edits = Vec::new();
        for at in [0, 100, CHUNK - 2, 2 << 20, (3 << 20) - 4] {
            new[at..at + 4].copy_from_slice(b"edit");
            edits.push((FileOffset(at as u64), &b"edit"[..]));
        }
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &old).unwrap();
        assert_eq!(blake3_of_file(&file, &edits).unwrap(), blake3(&new));
        assert_eq!(blake3_of_file(&file, &[]).unwrap(), Digests::of(&old).blake3);
    }
}
