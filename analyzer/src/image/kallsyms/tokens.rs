//! `kallsyms_token_table` and `kallsyms_token_index`: the expansion of each byte of a
//! compressed name.
//!
//! The table has 256 NUL-terminated strings.  A byte that occurs in a symbol stands for itself.
//! Other bytes stand for frequent substrings, or for nothing if there were too few of these.
//! The index has the offset of each string in 16 bits (scripts/kallsyms.c: `write_src`,
//! `optimize_result`, the same from Linux 4.19 to 7.0).  Every kernel has symbols with every
//! digit, which gives a pattern to search for; the agreement of index and strings for all 256
//! bytes is the proof.

use super::bytes::Bytes;
use memchr::{memchr, memmem};

/// The tokens `0` to `9`, which stand for themselves in every kernel.
const DIGITS: &[u8; 20] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00";
/// Index of the first digit.
const FIRST_DIGIT: usize = b'0' as usize;
/// Most occurrences that are tried; a kernel has one.
const MOST_OCCURRENCES: usize = 256;
/// Offsets in the index have 16 bits.
const LONGEST_TABLE: usize = 1 << 16;

/// A token table that its index confirms.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'data> {
    /// Offset of `kallsyms_token_table`.
    pub(super) start: usize,
    /// First byte after `kallsyms_token_index`.
    pub(super) end: usize,
    strings: [&'data [u8]; 256],
}

impl<'data> Tokens<'data> {
    /// All tables, and the number of positions that only look like one.
    pub(super) fn find(bytes: Bytes<'data>) -> (Vec<Self>, usize) {
        let mut found = Vec::new();
        let mut look_alikes = 0;
        for offset in memmem::find_iter(bytes.all(), DIGITS).take(MOST_OCCURRENCES) {
            match Self::around(bytes, offset) {
                Some(tokens) => found.push(tokens),
                None => look_alikes += 1,
            }
        }
        (found, look_alikes)
    }

    /// The expansion of `byte` in a compressed name.
    pub(super) const fn string(&self, byte: u8) -> &'data [u8] {
        self.strings[byte as usize]
    }

    /// The table whose token `0` is at `digits`.
    fn around(bytes: Bytes<'data>, digits: usize) -> Option<Self> {
        let strings_end = end_of_strings(bytes, digits, 256 - FIRST_DIGIT)?;
        // Tables are aligned to 8 bytes up to Linux 6.19 and to 4 since 7.0.
        [8, 4].into_iter().find_map(|alignment| {
            let index = strings_end.next_multiple_of(alignment);
            let before = bytes.u16(index + 2 * FIRST_DIGIT)?;
            let start = digits.checked_sub(usize::from(before))?;
            Self::confirmed(bytes, start, strings_end, index)
        })
    }

    /// The table from `start` to `strings_end`, if each element of `index` agrees.
    fn confirmed(
        bytes: Bytes<'data>,
        start: usize,
        strings_end: usize,
        index: usize,
    ) -> Option<Self> {
        let mut strings = [&[] as &[u8]; 256];
        let mut at = start;
        for (token, string) in strings.iter_mut().enumerate() {
            if usize::from(bytes.u16(index + 2 * token)?) != at - start {
                return None;
            }
            let rest = bytes.all().get(at..strings_end)?;
            *string = rest.get(..memchr(0, rest)?)?;
            if !is_sound(token, string) {
                return None;
            }
            at += string.len() + 1;
        }
        (at == strings_end).then_some(Self { start, end: index + 512, strings })
    }
}

/// Whether `string` is possible for token number `token`: visible ASCII, and a single character
/// only if it stands for itself.
fn is_sound(token: usize, string: &[u8]) -> bool {
    match string {
        [single] => usize::from(*single) == token && single.is_ascii_graphic(),
        _ => string.iter().all(u8::is_ascii_graphic),
    }
}

/// First byte after `count` NUL-terminated strings from `start`.
fn end_of_strings(bytes: Bytes<'_>, start: usize, count: usize) -> Option<usize> {
    let end = start.saturating_add(LONGEST_TABLE).min(bytes.len());
    let mut at = start;
    for _ in 0..count {
        at += memchr(0, bytes.all().get(at..end)?)? + 1;
    }
    Some(at)
}
