//! The changes of counts that result from the operations of a batch, one for each key.

use crate::abi::StaticKey;
use crate::runtime::error::Error;
use crate::runtime::key::{Key, Op};
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::page_vec::PageVec;

/// A key with its count before and after the batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) key: &'static Key,
    pub(crate) before: i32,
    pub(crate) count: i32,
}

impl Change {
    pub(super) fn flips(&self) -> bool {
        StaticKey::is_on(self.before) != StaticKey::is_on(self.count)
    }
}

/// The changes, in the order in which their keys first occur.  A single change, the common case,
/// needs no memory.
pub(crate) struct Changes {
    first: Option<Change>,
    more: PageVec<Change>,
    index: Index,
}

impl Changes {
    /// No changes.
    pub(crate) const fn new() -> Self {
        Self { first: None, more: PageVec::new(), index: Index::new() }
    }

    /// Adds `op` on `key`.  It starts from the count that the operations before it result in.
    ///
    /// # Errors
    /// If `op` is not possible for that count, and [`Error::NoMemory`].
    pub(crate) fn add(&mut self, key: &'static Key, op: Op) -> Result<(), Error> {
        let address = address_of(key);
        if let Some(change) = self.find(address) {
            change.count = op.after(address, change.count)?;
            return Ok(());
        }
        let before = key.count();
        let change = Change { key, before, count: op.after(address, before)? };
        self.push(change).map_err(Error::NoMemory)
    }

    /// All changes.
    pub(crate) fn as_slice(&self) -> &[Change] {
        if self.first.is_some() { self.first.as_slice() } else { self.more.as_slice() }
    }

    fn find(&mut self, key: usize) -> Option<&mut Change> {
        if self.first.is_some() {
            return self.first.as_mut().filter(|change| address_of(change.key) == key);
        }
        let changes = self.more.as_slice();
        let is_it = |at: usize| changes.get(at).is_some_and(|change| address_of(change.key) == key);
        let at = self.index.find(key, changes.len(), is_it)?;
        self.more.as_mut_slice().get_mut(at)
    }

    fn push(&mut self, change: Change) -> Result<(), Errno> {
        if self.first.is_none() && self.more.as_slice().is_empty() {
            self.first = Some(change);
            return Ok(());
        }
        if let Some(first) = self.first.take() {
            self.more.push(first)?;
        }
        self.more.push(change)?;
        let changes = self.more.as_slice();
        self.index.extend(changes.len(), |at| changes.get(at).map(|change| address_of(change.key)))
    }
}

fn address_of(key: &Key) -> usize {
    core::ptr::from_ref(key).addr()
}

/// The position of each key in a list: a hash table with open addressing and linear probing, at
/// most half full.  A short list is searched without a table.
#[derive(Debug)]
struct Index {
    /// Positions plus 1, or 0 for an empty slot; their number is a power of two.
    slots: PageVec<usize>,
}

impl Index {
    /// The longest list that is searched without a table: a linear search is as fast, and needs
    /// no memory.
    const SHORT: usize = 16;

    const fn new() -> Self {
        Self { slots: PageVec::new() }
    }

    /// The position of `key` among `len` elements; `is_it` compares the element at a position.
    fn find(&self, key: usize, len: usize, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        let slots = self.slots.as_slice();
        if slots.is_empty() {
            return (0..len).find(|at| is_it(*at));
        }
        let found = |at: &usize| (*at).checked_sub(1);
        probe(key, slots.len())
            .map_while(|slot| slots.get(slot).and_then(found))
            .find(|at| is_it(*at))
    }

    /// Adds the last of `len` elements, whose keys `key_of` returns by position.
    fn extend(&mut self, len: usize, key_of: impl Fn(usize) -> Option<usize>) -> Result<(), Errno> {
        if len <= Self::SHORT {
            return Ok(());
        }
        let is_full = 2 * len > self.slots.as_slice().len();
        if is_full {
            self.slots.clear();
            // Twice as many slots as needed, so that an element is inserted twice on average.
            (0..(4 * len).next_power_of_two()).try_for_each(|_| self.slots.push(0))?;
        }
        let first = if is_full { 0 } else { len - 1 };
        for at in first..len {
            key_of(at).into_iter().for_each(|key| self.put(key, at));
        }
        Ok(())
    }

    fn put(&mut self, key: usize, at: usize) {
        let slots = self.slots.as_mut_slice();
        for slot in probe(key, slots.len()) {
            if let Some(empty @ 0) = slots.get_mut(slot) {
                *empty = at + 1;
                return;
            }
        }
    }
}

/// The sequence of all `slots` slots, a power of two, from the first slot of `key`.
fn probe(key: usize, slots: usize) -> impl Iterator<Item = usize> {
    let first = spread(key);
    (0..slots).map(move |step| first.wrapping_add(step) & slots.wrapping_sub(1))
}

/// A hash of `key`, in which each bit depends on all bits of `key`.
///
/// Statics lie at equal distances.  One multiplication maps these to equal distances again, and
/// so to clusters.  Therefore the hash multiplies twice by 2^64 divided by the golden ratio
/// (Knuth, The Art of Computer Programming 3, 6.4), and each time folds the upper half, to which
/// all lower bits contribute, into the lower half.
#[allow(clippy::cast_possible_truncation, reason = "addresses have 64 bits")]
const fn spread(key: usize) -> usize {
    const RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
    let once = (key as u64).wrapping_mul(RATIO);
    let twice = (once ^ once >> 32).wrapping_mul(RATIO);
    (twice ^ twice >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// The number of comparisons when `count` keys, `stride` bytes apart, are added and found.
    fn comparisons(count: usize, stride: usize) -> usize {
        let key = |at: usize| 0x7f12_3456_7010 + at * stride;
        let (mut index, comparisons) = (Index::new(), Cell::new(0));
        let compare = |found: usize, wanted: usize| {
            comparisons.set(comparisons.get() + 1);
            found == wanted
        };
        for at in 0..count {
            assert_eq!(index.find(key(at), at, |found| compare(found, at)), None);
            index.extend(at + 1, |at| Some(key(at))).unwrap();
        }
        for at in 0..count {
            assert_eq!(index.find(key(at), count, |found| compare(found, at)), Some(at));
        }
        comparisons.get()
    }

    #[test]
    fn many_keys_are_found_in_few_comparisons() {
        // Miri is a thousand times slower.
        let counts: &[usize] = if cfg!(miri) { &[17, 100] } else { &[17, 100, 1_000, 10_000] };
        for stride in [16, 24, 32, 64, 4096, 1 << 20] {
            for count in counts.iter().copied() {
                let comparisons = comparisons(count, stride);
                assert!(
                    comparisons < 4 * count + 300,
                    "{comparisons} for {count} keys of {stride}"
                );
            }
        }
    }

    #[test]
    fn few_keys_need_no_memory() {
        let mut index = Index::new();
        (1..=Index::SHORT).for_each(|len| index.extend(len, Some).unwrap());
        assert!(index.slots.as_slice().is_empty());
        assert_eq!(index.find(3, Index::SHORT, |at| at == 3), Some(3));
        assert_eq!(index.find(99, Index::SHORT, |at| at == 99), None);
    }

    #[test]
    fn keys_with_the_same_first_slot_are_found() {
        let mut all = [0; 40];
        let mut same = (1usize..).filter(|key| probe(*key, 1 << 8).next() == Some(7));
        all.iter_mut().for_each(|key| *key = same.next().unwrap());
        let mut index = Index::new();
        (1..=all.len()).for_each(|len| index.extend(len, |at| all.get(at).copied()).unwrap());
        for (at, key) in all.iter().enumerate() {
            assert_eq!(index.find(*key, all.len(), |found| found == at), Some(at));
        }
    }
}
