//! The jump tables of this process: one for each executable and shared object with sites, in a
//! list whose nodes lie in the objects' own memory.

#![allow(unsafe_code, reason = "tables and objects by address")]

use crate::abi::{ENTRY_BRANCH, ENTRY_FLAGS, RelativeEntry};
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::page_vec::PageVec;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A jump entry, resolved to addresses of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) code: usize,
    pub(crate) target: usize,
    pub(crate) key: usize,
    /// The branch sense, true for *likely*.
    pub(crate) branch: bool,
}

impl Site {
    /// Resolves `entry`, which lies at `address`.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "addresses of 64 bits, modulo 2^64"
    )]
    fn of(entry: RelativeEntry, address: usize) -> Self {
        let word = entry.key as u64;
        let key = (word & !ENTRY_FLAGS) as usize;
        Self {
            code: (address + RelativeEntry::CODE).wrapping_add_signed(entry.code as isize),
            target: (address + RelativeEntry::TARGET).wrapping_add_signed(entry.target as isize),
            key: (address + RelativeEntry::KEY).wrapping_add(key),
            branch: word & ENTRY_BRANCH != 0,
        }
    }
}

/// The list node of one executable or shared object with sites, in that object's own data.
///
/// It has eight words, as `struct jlshim_object` of the C header, and is opaque to the object.
/// The runtime writes it under its lock.
#[repr(C)]
#[derive(Debug)]
pub struct Object {
    node: UnsafeCell<Node>,
    /// Written with the node; also read without the lock.
    is_listed: AtomicBool,
    spare: usize,
}

#[repr(C)]
#[derive(Debug)]
struct Node {
    start: *const RelativeEntry,
    len: usize,
    next: *const Object,
    /// Indexes of the entries, sorted by key; empty until first needed.
    by_key: PageVec<u32>,
}

const _: () = assert!(size_of::<Object>() == 64, "struct jlshim_object has eight words");

// SAFETY: the node is accessed under the runtime's lock alone.
unsafe impl Sync for Object {}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// A node that is not in the list.
    #[must_use]
    pub const fn new() -> Self {
        Self { node: UnsafeCell::new(Node::new()), is_listed: AtomicBool::new(false), spare: 0 }
    }

    /// Whether the node is in the list.  Reliable for the thread that adds and removes it.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed.load(Ordering::Relaxed)
    }
}

/// The start of the table that was added last, while it is in the list; otherwise 0.
///
/// Each definition of a key has a constructor that registers the table of its object.  For all
/// of them except the first of an object this word shows, without the lock, that the table is
/// in the list.
static LAST_ADDED: AtomicUsize = AtomicUsize::new(0);

/// Whether the table at `start` was the last one added and is in the list.
///
/// The object that registers the table does not remove it at the same time.
pub(crate) fn is_last_added(start: *const RelativeEntry) -> bool {
    !start.is_null() && LAST_ADDED.load(Ordering::Acquire) == start.addr()
}

/// The reason why a table was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// Its length is not a multiple of an entry's, or its start is not aligned.
    NotATable {
        /// Address of the first byte.
        start: usize,
        /// Length in bytes.
        len: usize,
    },
    /// The table is empty or already in the list.
    Known,
}

/// The list of objects with jump tables.
#[derive(Debug)]
pub(crate) struct Tables {
    first: *const Object,
    peak: (usize, usize),
}

// SAFETY: the list is accessed under the runtime's lock alone.
unsafe impl Send for Tables {}

impl Tables {
    pub(crate) const fn new() -> Self {
        Self { first: ptr::null(), peak: (0, 0) }
    }

    /// Adds the table from `start` to `stop`, with `object` as its node.
    ///
    /// # Safety
    /// The table and the node stay in place, and the table unchanged, until
    /// [`remove`](Self::remove).
    pub(crate) unsafe fn add(
        &mut self,
        object: *const Object,
        start: *const RelativeEntry,
        stop: *const RelativeEntry,
    ) -> Result<(), NotAdded> {
        let len = stop.addr().wrapping_sub(start.addr());
        if len == 0 || self.nodes().any(|node| node.start == start) {
            return Err(NotAdded::Known);
        }
        let is_whole = len.is_multiple_of(RelativeEntry::SIZE) && stop.addr() > start.addr();
        if !is_whole || !start.is_aligned() || u32::try_from(len / RelativeEntry::SIZE).is_err() {
            return Err(NotAdded::NotATable { start: start.addr(), len });
        }
        // SAFETY: the caller's promise.
        let node_of = unsafe { &*object };
        if node_of.is_listed() {
            return Err(NotAdded::Known);
        }
        // SAFETY: the lock is held, and no other reference to a node is kept.
        let node = unsafe { &mut *node_of.node.get() };
        node.start = start;
        node.len = len / RelativeEntry::SIZE;
        node.next = self.first;
        node_of.is_listed.store(true, Ordering::Relaxed);
        self.first = object;
        LAST_ADDED.store(start.addr(), Ordering::Release);
        self.peak = self.peak.max(self.extent());
        Ok(())
    }

    /// Removes `object` from the list.  Returns whether it was there.
    ///
    /// # Safety
    /// `object` is valid.
    pub(crate) unsafe fn remove(&mut self, object: *const Object) -> bool {
        let mut link: *mut *const Object = &raw mut self.first;
        loop {
            // SAFETY: `link` is the list's head or the `next` of a node in it.
            let at = unsafe { *link };
            if at.is_null() {
                return false;
            }
            // SAFETY: nodes in the list are valid.
            let node_of = unsafe { &*at };
            // SAFETY: the lock is held, and no other reference to a node is kept.
            let node = unsafe { &mut *node_of.node.get() };
            if at == object {
                // SAFETY: as above.
                unsafe { *link = node.next };
                LAST_ADDED.store(0, Ordering::Relaxed);
                node_of.is_listed.store(false, Ordering::Relaxed);
                *node = Node::new();
                return true;
            }
            link = &raw mut node.next;
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let node = |object: *const Object| {
            // SAFETY: the lock is held, and nodes in the list are valid.
            unsafe { object.as_ref() }.map(|object| unsafe { &*object.node.get() })
        };
        core::iter::successors(node(self.first), move |last| node(last.next))
    }

    /// The largest number of tables that were in the list at one time, and of their entries:
    /// when a process exits, its own table may be removed before the report is written.
    pub(crate) fn peak(&self) -> (usize, usize) {
        self.peak
    }

    /// The number of tables in the list, and of all their entries.
    fn extent(&self) -> (usize, usize) {
        self.nodes().fold((0, 0), |(tables, sites), node| (tables + 1, sites + node.len))
    }

    /// Whether `entry` is an entry of a table in the list.
    pub(crate) fn holds(&self, entry: *const RelativeEntry) -> bool {
        self.nodes().any(|node| {
            let offset = entry.addr().wrapping_sub(node.start.addr());
            offset < node.len * RelativeEntry::SIZE && offset.is_multiple_of(RelativeEntry::SIZE)
        })
    }

    /// Resolves `entry`.
    ///
    /// # Safety
    /// A table in the list [holds](Self::holds) it.
    pub(crate) unsafe fn resolve(entry: *const RelativeEntry) -> Site {
        // SAFETY: the caller's promise; tables are aligned.
        Site::of(unsafe { *entry }, entry.addr())
    }

    /// Calls `take` with each site of the key at the address `key`, until `take` fails.
    ///
    /// # Errors
    /// The error of `take`; or ENOMEM, converted by `no_memory`, if the index by key does not
    /// fit into memory.
    pub(crate) fn for_each_site<E>(
        &self,
        key: usize,
        no_memory: impl Fn(Errno) -> E,
        mut take: impl FnMut(Site) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = self.first;
        // SAFETY: the lock is held, and nodes in the list are valid.
        while let Some(object) = unsafe { at.as_ref() } {
            // SAFETY: as above; no other reference to this node exists here.
            let node = unsafe { &mut *object.node.get() };
            node.sort_by_key().map_err(&no_memory)?;
            let order = node.by_key.as_slice();
            let first = order.partition_point(|index| node.site(*index).key < key);
            let sites = order.iter().skip(first).map(|index| node.site(*index));
            for site in sites.take_while(|site| site.key == key) {
                take(site)?;
            }
            at = node.next;
        }
        Ok(())
    }

    /// Calls `take` with each key of each table, until `take` fails: the address of the table,
    /// the address of the key, and the number of the key's sites in the table.  Keys ascend
    /// within a table.
    ///
    /// # Errors
    /// As [`for_each_site`](Self::for_each_site).
    pub(crate) fn for_each_key<E>(
        &self,
        no_memory: impl Fn(Errno) -> E,
        mut take: impl FnMut(usize, usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = self.first;
        // SAFETY: the lock is held, and nodes in the list are valid.
        while let Some(object) = unsafe { at.as_ref() } {
            // SAFETY: as above; no other reference to this node exists here.
            let node = unsafe { &mut *object.node.get() };
            node.sort_by_key().map_err(&no_memory)?;
            let key_of = |index: &u32| node.site(*index).key;
            let order = node.by_key.as_slice();
            for of_key in order.chunk_by(|a, b| key_of(a) == key_of(b)) {
                let key = of_key.first().map_or(0, key_of);
                take(node.start.addr(), key, of_key.len())?;
            }
            at = node.next;
        }
        Ok(())
    }

    /// Calls `take` with each site of `object`, until `take` fails.
    ///
    /// # Safety
    /// `object` is in the list.
    pub(crate) unsafe fn for_each_site_of<E>(
        object: *const Object,
        mut take: impl FnMut(Site) -> Result<(), E>,
    ) -> Result<(), E> {
        // SAFETY: the caller's promise.
        let cell = unsafe { &(*object).node };
        // SAFETY: the lock is held.
        let node = unsafe { &*cell.get() };
        let count = u32::try_from(node.len).unwrap_or(0);
        (0..count).try_for_each(|index| take(node.site(index)))
    }
}

impl Node {
    const fn new() -> Self {
        let (start, next) = (ptr::null(), ptr::null());
        Self { start, len: 0, next, by_key: PageVec::new() }
    }

    /// The site of entry `index`, which is less than `len`.
    fn site(&self, index: u32) -> Site {
        let entry = self.start.wrapping_add(index as usize);
        // SAFETY: the entry is in the table, which does not change while the node is listed.
        unsafe { Tables::resolve(entry) }
    }

    fn sort_by_key(&mut self) -> Result<(), Errno> {
        if self.by_key.as_slice().len() == self.len {
            return Ok(());
        }
        let mut order = PageVec::new();
        let count = u32::try_from(self.len).unwrap_or(0);
        (0..count).try_for_each(|index| order.push(index))?;
        order.as_mut_slice().sort_unstable_by_key(|index| {
            let site = self.site(*index);
            (site.key, site.code)
        });
        self.by_key = order;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry at index `at` of an array at 0x1000.
    fn entry(at: usize, code: usize, target: usize, key: usize) -> RelativeEntry {
        let address = 0x1000 + at * RelativeEntry::SIZE;
        let from = |to: usize, offset: usize| to.wrapping_sub(address + offset).cast_signed();
        RelativeEntry {
            code: from(code, 0).try_into().unwrap(),
            target: from(target, 4).try_into().unwrap(),
            key: from(key, 8) as i64,
        }
    }

    #[test]
    fn displacements_count_from_their_field() {
        let site = Site::of(entry(2, 0x800, 0x900, 0x4000 | 1), 0x1020);
        assert_eq!(site, Site { code: 0x800, target: 0x900, key: 0x4000, branch: true });
        let site = Site::of(entry(0, 0x9000, 0x8000, 0x10), 0x1000);
        assert_eq!(site, Site { code: 0x9000, target: 0x8000, key: 0x10, branch: false });
    }

    /// A table whose keys are addresses after it, as multiples of 16.
    fn table<const N: usize>(keys: [usize; N]) -> [RelativeEntry; N] {
        let mut index = 0;
        keys.map(|key| {
            index += 1;
            let key = i64::try_from(key * 16).unwrap() - 8 - index * 16;
            RelativeEntry { code: i32::try_from(index).unwrap(), target: 0, key: key + (1 << 20) }
        })
    }

    fn keys_of(tables: &Tables, key: usize) -> usize {
        let mut count = 0;
        tables
            .for_each_site(
                key,
                |errno| errno,
                |_| {
                    count += 1;
                    Ok(())
                },
            )
            .unwrap();
        count
    }

    #[test]
    fn the_sites_of_a_key_are_found_in_every_table() {
        let (first, second) = (table([3, 1, 3, 2]), table([2, 2]));
        let (one, two, three) = (Object::new(), Object::new(), Object::new());
        let mut tables = Tables::new();
        let mut add = |object: &Object, table: &[RelativeEntry]| {
            let range = table.as_ptr_range();
            // SAFETY: tables and nodes outlive the list.
            unsafe { tables.add(object, range.start, range.end) }
        };
        assert_eq!(add(&one, &first), Ok(()));
        assert_eq!(add(&two, &second), Ok(()));
        assert_eq!(add(&three, &second), Err(NotAdded::Known));
        assert_eq!(add(&three, &[]), Err(NotAdded::Known), "an empty table");
        assert_eq!(tables.extent(), (2, 6));
        let key =
            |table: &[RelativeEntry], key: usize| table.as_ptr().addr() - 16 + key * 16 + (1 << 20);
        assert_eq!(keys_of(&tables, key(&first, 3)), 2);
        assert_eq!(keys_of(&tables, key(&first, 1)), 1);
        assert_eq!(keys_of(&tables, key(&first, 4)), 0);
        assert_eq!(keys_of(&tables, key(&second, 2)), 2);
        let inside = first.as_ptr().cast::<u8>().wrapping_add(8).cast::<RelativeEntry>();
        assert!(tables.holds(&raw const first[3]) && !tables.holds(inside));
        // SAFETY: the nodes are valid.
        assert!(unsafe { tables.remove(&raw const one) });
        // SAFETY: likewise.
        assert!(!unsafe { tables.remove(&raw const three) });
        assert_eq!(keys_of(&tables, key(&first, 3)), 0);
        assert_eq!(keys_of(&tables, key(&second, 2)), 2);
        assert_eq!((tables.extent(), tables.peak()), ((1, 2), (2, 6)));
    }

    #[test]
    fn a_range_that_is_not_a_table_is_refused() {
        let entries = table([1, 2]);
        let start = entries.as_ptr();
        let stop = start.cast::<u8>().wrapping_add(24).cast::<RelativeEntry>();
        let object = Object::new();
        let mut tables = Tables::new();
        // SAFETY: the entries outlive the list.
        let added = unsafe { tables.add(&raw const object, start, stop) };
        assert_eq!(added, Err(NotAdded::NotATable { start: start.addr(), len: 24 }));
        // SAFETY: likewise.
        let added = unsafe { tables.add(&raw const object, stop, start) };
        assert!(matches!(added, Err(NotAdded::NotATable { .. })));
        assert_eq!(tables.extent(), (0, 0));
    }
}
