//! The buffer for unpacked bytes, with a limit.

use std::io::{self, Read};

/// A buffer that accepts at most one byte more than its limit, to detect an excess.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

/// Why the buffer accepts no more bytes.
#[derive(Debug)]
pub(super) enum OutputRefusal {
    /// The limit is exceeded.
    TooLarge,
    /// No memory is available.
    OutOfMemory,
}

/// Why the buffer could not be filled.
#[derive(Debug)]
pub(super) enum FillError {
    /// The buffer accepts no more bytes.
    Refused(OutputRefusal),
    /// The reader failed.
    Read(io::Error),
}

/// The first allocation if the size is not known: enough for modules of a few kilobytes.
const FIRST: usize = 16 << 10;
/// From this size on the whole limit is reserved at once.  Untouched pages cost nothing,
/// whereas an allocator that grows by copying would hold the old and the new bytes: twice the
/// limit.
const LEAP: usize = 128 << 20;
/// Kernels and modules compress to a fifth, rarely to a tenth.  A file that states more than
/// this many bytes for each of its own gets no memory in advance.
const PLAUSIBLE_RATIO: u64 = 16;

impl Output {
    /// A buffer for at most `limit` bytes, unpacked from `input` compressed bytes whose header
    /// states `stated` bytes.  The stated size only decides how much is reserved.
    pub(super) fn new(limit: u64, input: usize, stated: Option<u64>) -> Self {
        // Leaves room for the byte beyond the limit.
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(isize::MAX.unsigned_abs() - 1);
        let plausible = (input as u64).saturating_mul(PLAUSIBLE_RATIO);
        let room = stated.filter(|stated| *stated <= plausible);
        // One byte more, so that the end of the stream is detected without growing.
        let room = room.and_then(|room| usize::try_from(room + 1).ok()).unwrap_or(0);
        let mut bytes = Vec::new();
        // If this fails, growing reports it.
        let _ = bytes.try_reserve_exact(room.min(limit + 1));
        Self { bytes, limit }
    }

    /// Checks the limit.
    pub(super) fn check(&self) -> Result<(), OutputRefusal> {
        if self.bytes.len() > self.limit { Err(OutputRefusal::TooLarge) } else { Ok(()) }
    }

    /// The buffer with room for at least one byte.
    pub(super) fn with_room(&mut self) -> Result<&mut Vec<u8>, OutputRefusal> {
        self.check()?;
        let Self { bytes, limit } = self;
        if bytes.len() == bytes.capacity() {
            let double = bytes.len().saturating_mul(2).max(FIRST).min(*limit + 1);
            let mut reserve = |capacity: usize| bytes.try_reserve_exact(capacity - bytes.len());
            let whole = *limit + 1;
            if double <= LEAP || reserve(whole).is_err() {
                reserve(double).map_err(|_| OutputRefusal::OutOfMemory)?;
            }
        }
        Ok(bytes)
    }

    /// Reads everything from `reader`.
    pub(super) fn fill(&mut self, reader: &mut impl Read) -> Result<(), FillError> {
        loop {
            let bytes = self.with_room().map_err(FillError::Refused)?;
            let room = bytes.capacity() - bytes.len();
            // `read_to_end` does not grow a buffer that has room for everything the reader can
            // deliver.
            let read = reader.by_ref().take(room as u64).read_to_end(bytes);
            if read.map_err(FillError::Read)? < room {
                return Ok(());
            }
        }
    }

    /// Number of bytes unpacked so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(limit: u64, available: u64, stated: Option<u64>) -> (Output, Result<(), FillError>) {
        let mut output = Output::new(limit, 1 << 20, stated);
        let filled = output.fill(&mut io::repeat(7).take(available));
        (output, filled)
    }

    #[test]
    fn the_limit_itself_is_accepted() {
        for stated in [None, Some(0), Some(99_999), Some(100_000), Some(u64::MAX)] {
            let (output, filled) = fill(100_000, 100_000, stated);
            assert!(filled.is_ok() && output.len() == 100_000, "{stated:?} {filled:?}");
        }
    }

    #[test]
    fn an_excess_is_refused_and_memory_stays_bounded() {
        for (limit, stated) in [(0, None), (1, Some(1)), (100_000, None), (100_000, Some(1 << 40))]
        {
            let (output, filled) = fill(limit, u64::MAX, stated);
            assert!(
                matches!(filled, Err(FillError::Refused(OutputRefusal::TooLarge))),
                "{filled:?}"
            );
            assert_eq!(output.len() as u64, limit + 1);
            assert!(output.bytes.capacity() as u64 <= limit + 64, "{}", output.bytes.capacity());
        }
    }

    #[test]
    fn a_stated_size_is_reserved_only_if_plausible() {
        assert_eq!(Output::new(1 << 30, 1000, Some(16_000)).bytes.capacity(), 16_001);
        assert_eq!(Output::new(1 << 30, 1000, Some(16_001)).bytes.capacity(), 0);
        assert_eq!(Output::new(9_999, 1000, Some(16_000)).bytes.capacity(), 10_000);
        assert_eq!(Output::new(u64::MAX, 1000, None).bytes.capacity(), 0);
    }
}
