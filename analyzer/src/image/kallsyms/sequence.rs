//! `kallsyms_seqs_of_names`: the symbols in the order of their names, three bytes each, most
//! significant byte first (Linux 6.2, and 6.1.y).
//!
//! A kernel built with Clang's LTO is sorted by the part of the name before a dot
//! (`cleanup_symbol_name`).  A pair is therefore accepted if it is in order by either rule.

use super::bytes::{Bytes, offset};
use super::error::KallsymsError;

const WIDTH: usize = 3;

/// Size of the table in bytes.
pub(super) const fn size(count: usize) -> usize {
    count.saturating_mul(WIDTH)
}

/// Checks that the table at `at` is a permutation of `count` symbols and sorts them by `name`.
pub(super) fn check<'names>(
    bytes: Bytes<'_>,
    at: usize,
    count: usize,
    name: impl Fn(usize) -> &'names str,
) -> Result<(), KallsymsError> {
    let wrong =
        |index, expected, found| KallsymsError::Sequence { at: offset(at), index, expected, found };
    let Some(table) = bytes.slice(at, size(count)) else {
        let found = u32::try_from(bytes.len().saturating_sub(at)).unwrap_or(u32::MAX);
        return Err(wrong(0, "three bytes for each symbol before the end", found));
    };
    let mut seen = vec![false; count];
    let mut previous: Option<&str> = None;
    for (index, [high, middle, low]) in table.as_chunks().0.iter().enumerate() {
        let number = u32::from_be_bytes([0, *high, *middle, *low]);
        match seen.get_mut(number as usize) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(wrong(index, "each symbol once", number)),
            None => return Err(wrong(index, "the number of a symbol", number)),
        }
        let name = name(number as usize);
        if previous.is_some_and(|previous| !in_order(previous, name)) {
            return Err(wrong(index, "symbols in the order of their names", number));
        }
        previous = Some(name);
    }
    Ok(())
}

fn in_order(first: &str, second: &str) -> bool {
    first <= second || stem(first) <= stem(second)
}

fn stem(name: &str) -> &str {
    name.split_once('.').map_or(name, |(stem, _)| stem)
}
