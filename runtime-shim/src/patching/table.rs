//! The jump tables of this process: one for each executable and shared object that has
//! sites, in a list through the objects' own memory.

#![allow(unsafe_code, reason = "tables and objects by address")]

use crate::abi::{ENTRY_BRANCH, ENTRY_FLAGS, RelativeEntry};
use crate::sys::page_vec::PageVec;
use crate::sys::errno::Errno;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// An entry with its displacements resolved: addresses of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) code: usize,
    pub(crate) target: usize,
    pub(crate) key: usize,
    /// The branch sense, true for *likely*.
    pub(crate) branch: bool,
}

impl Site {
    /// What `entry`, which lies at `address`, stands for.
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

/// A node for one executable or shared object with sites, in that object's own data.
///
/// The runtime writes it under its lock; to everyone else it is opaque.
///
/// Eight words, as the header says.
#[repr(C)]
#[derive(Debug)]
pub struct Object {
    node: UnsafeCell<Node>,
    /// Written with the node, and read also without the lock.
    is_listed: AtomicBool,
    spare: usize,
}

#[repr(C)]
#[derive(Debug)]
struct Node {
    start: *const RelativeEntry,
    len: usize,
    next: *const Object,
    /// Numbers of entries in the order of their keys; empty until it is needed.
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
    /// A node in no list.
    #[must_use]
    pub const fn new() -> Self {
        Self { node: UnsafeCell::new(Node::new()), is_listed: AtomicBool::new(false), spare: 0 }
    }

    /// Whether it is in a list.  Who has it added and removed is told the truth.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed.load(Ordering::Relaxed)
    }
}

/// The start of the table that was added last, while it is in the list; 0 for none.
///
/// Each definition of a key has a constructor of its own, which asks for its object's table to
/// be added.  All but the first of an object are answered by this word, without the lock.
static LAST_ADDED: AtomicUsize = AtomicUsize::new(0);

/// Whether the table at `start` is known to be in the list.
///
/// It cannot be taken out at the same time, by the promise of who adds and removes it.
pub(crate) fn is_last_added(start: *const RelativeEntry) -> bool {
    !start.is_null() && LAST_ADDED.load(Ordering::Acquire) == start.addr()
}

/// Why a table was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// Its bytes are no whole number of entries, or begin where none can.
    NotATable {
        /// Address.
        start: usize,
        /// Bytes.
        len: usize,
    },
    /// It is there already.
    Known,
}

/// The list of objects.
#[derive(Debug)]
pub(crate) struct Tables {
    first: *const Object,
    most: (usize, usize),
}

// SAFETY: the list is accessed under the runtime's lock alone.
unsafe impl Send for Tables {}

impl Tables {
    pub(crate) const fn new() -> Self {
        Self { first: ptr::null(), most: (0, 0) }
    }

    /// Adds the table from `start` to `stop`, with `object` as its node.
    ///
    /// # Safety
    /// The table and the node stay where they are, and the table as it is, until
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
        self.most = self.most.max(self.extent());
        Ok(())
    }

    /// Takes `object` out of the list; whether it was in it.
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

    /// The most tables that were in the list at one time, and entries in all of them: at the
    /// exit of a process its own table may be gone before the report is written.
    pub(crate) fn most(&self) -> (usize, usize) {
        self.most
    }

    /// Tables in the list, and entries in all of them.
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

    /// What `entry` stands for.
    ///
    /// # Safety
    /// A table in the list [holds](Self::holds) it.
    pub(crate) unsafe fn resolve(entry: *const RelativeEntry) -> Site {
        // SAFETY: the caller's promise; tables are aligned.
        Site::of(unsafe { *entry }, entry.addr())
    }

    /// Calls `take` with each site of the key at `key`, until it fails.
    ///
    /// # Errors
    /// ENOMEM by `no_memory` where there is none for the order by keys, or what `take` says.
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
            node.put_in_order().map_err(&no_memory)?;
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

    /// Calls `take` with each key of each table, until it fails: where the table begins, the
    /// key, and how many sites it has there.  Keys ascend within a table.
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
            node.put_in_order().map_err(&no_memory)?;
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

    /// Calls `take` with each site of `object`, until it fails.
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
        // SAFETY: the entry is in the table, which stays as it is while it is listed.
        unsafe { Tables::resolve(entry) }
    }

    fn put_in_order(&mut self) -> Result<(), Errno> {
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
    fn displacements_are_from_the_field() {
        let site = Site::of(entry(2, 0x800, 0x900, 0x4000 | 1), 0x1020);
        assert_eq!(site, Site { code: 0x800, target: 0x900, key: 0x4000, branch: true });
        let site = Site::of(entry(0, 0x9000, 0x8000, 0x10), 0x1000);
        assert_eq!(site, Site { code: 0x9000, target: 0x8000, key: 0x10, branch: false });
    }

    /// A table whose keys are addresses behind it, as multiples of 16.
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
            .for_each_site(key, |errno| errno, |_| {
                count += 1;
                Ok(())
            })
            .unwrap();
        count
    }

    #[test]
    fn finds_the_sites_of_a_key_in_every_table() {
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
        assert_eq!(add(&three, &[]), Err(NotAdded::Known), "nothing to add");
        assert_eq!(tables.extent(), (2, 6));
        let key = |table: &[RelativeEntry], key: usize| {
            table.as_ptr().addr() - 16 + key * 16 + (1 << 20)
        };
        assert_eq!(keys_of(&tables, key(&first, 3)), 2);
        assert_eq!(keys_of(&tables, key(&first, 1)), 1);
        assert_eq!(keys_of(&tables, key(&first, 4)), 0);
        assert_eq!(keys_of(&tables, key(&second, 2)), 2);
        let inside = first.as_ptr().cast::<u8>().wrapping_add(8).cast::<RelativeEntry>();
        assert!(tables.holds(&raw const first[3]) && !tables.holds(inside));
        // SAFETY: the nodes are valid.
        assert!(unsafe { tables.remove(&raw const one) });
        // SAFETY: the same.
        assert!(!unsafe { tables.remove(&raw const three) });
        assert_eq!(keys_of(&tables, key(&first, 3)), 0);
        assert_eq!(keys_of(&tables, key(&second, 2)), 2);
        assert_eq!((tables.extent(), tables.most()), ((1, 2), (2, 6)));
    }

    #[test]
    fn refuses_what_is_no_table() {
        let entries = table([1, 2]);
        let start = entries.as_ptr();
        let stop = start.cast::<u8>().wrapping_add(24).cast::<RelativeEntry>();
        let object = Object::new();
        let mut tables = Tables::new();
        // SAFETY: the entries outlive the list.
        let added = unsafe { tables.add(&raw const object, start, stop) };
        assert_eq!(added, Err(NotAdded::NotATable { start: start.addr(), len: 24 }));
        // SAFETY: the same.
        let added = unsafe { tables.add(&raw const object, stop, start) };
        assert!(matches!(added, Err(NotAdded::NotATable { .. })));
        assert_eq!(tables.extent(), (0, 0));
    }
}
