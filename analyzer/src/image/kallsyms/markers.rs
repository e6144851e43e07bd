//! `kallsyms_markers`: the offset of every 256th name in the compressed names.
//!
//! 64-bit words in Linux 4.19, 32-bit ones since 4.20.

use super::bytes::Bytes;

/// Names between two markers.
pub(super) const STRIDE: usize = 256;
/// Fewest markers that are accepted as a table: a kernel has thousands of symbols.
pub(super) const FEWEST: usize = 4;
/// Length of the longest expanded name with its kind, in bytes (`KSYM_NAME_LEN`, Linux 6.1).
pub(super) const LONGEST_NAME: usize = 512;
/// Most bytes of 256 compressed names, each with a length of two bytes.
pub(super) const LONGEST_STRIDE: usize = STRIDE * (LONGEST_NAME + 2);
/// Fewest bytes of 256 names: one of length and one of content each.
const SHORTEST_STRIDE: usize = STRIDE * 2;

/// A run of words that ascend from 0, as markers do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Markers {
    /// Offset of the first word.
    pub(super) start: usize,
    /// Number of words.
    pub(super) count: usize,
    /// Bytes of a word, 4 or 8.
    pub(super) width: usize,
}

impl Markers {
    /// Candidates below `limit`, nearest first.
    ///
    /// Takes time in proportion to `limit`: only the first word of a run is 0, so no run
    /// contains the start of another run of the same width.
    pub(super) fn before(bytes: Bytes<'_>, limit: usize) -> impl Iterator<Item = Self> {
        let words = limit.min(bytes.len()) / 4;
        (0..words).rev().map(|word| word * 4).filter_map(move |start| {
            // The cheapest test rejects nearly all positions.
            if bytes.u32(start) != Some(0) {
                return None;
            }
            let narrow = Self { start, count: 0, width: 4 };
            let wide = Self { start, count: 0, width: 8 };
            narrow.counted(bytes, limit).or_else(|| wide.counted(bytes, limit))
        })
    }

    /// First byte after the markers.
    pub(super) const fn end(self) -> usize {
        self.start + self.count * self.width
    }

    /// Marker number `index`.
    pub(super) fn get(self, bytes: Bytes<'_>, index: usize) -> Option<usize> {
        if index < self.count { self.word(bytes, index) } else { None }
    }

    /// The last marker.
    pub(super) fn last(self, bytes: Bytes<'_>) -> Option<usize> {
        self.get(bytes, self.count.checked_sub(1)?)
    }

    /// Without the last marker, for a word after the table that looks like a marker.
    pub(super) const fn shortened(self) -> Self {
        Self { count: self.count - 1, ..self }
    }

    fn word(self, bytes: Bytes<'_>, index: usize) -> Option<usize> {
        let at = self.start + index * self.width;
        let word = if self.width == 8 { bytes.u64(at)? } else { bytes.u32(at)?.into() };
        usize::try_from(word).ok()
    }

    /// Extended by the words below `limit` that continue the run.
    fn counted(self, bytes: Bytes<'_>, limit: usize) -> Option<Self> {
        if !self.start.is_multiple_of(self.width) || self.word(bytes, 0)? != 0 {
            return None;
        }
        let most = (limit - self.start) / self.width;
        let mut last = 0;
        let mut count = 1;
        while count < most {
            let Some(next) = self.word(bytes, count) else { break };
            let Some(step) = next.checked_sub(last) else { break };
            if !(SHORTEST_STRIDE..=LONGEST_STRIDE).contains(&step) {
                break;
            }
            (last, count) = (next, count + 1);
        }
        (count >= FEWEST).then_some(Self { count, ..self })
    }
}
