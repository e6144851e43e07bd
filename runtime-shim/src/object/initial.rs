//! Keys that the environment wants on or off from the start: `JLSHIM_ENABLE=name,…` and
//! `JLSHIM_DISABLE=name,…`.
//!
//! They are flipped when the table of their object is registered: before `main`, or in
//! dlopen(3).  A name is a symbol, or in Rust the path of a static or its last name.  What
//! cannot be flipped is told on standard error: who has set the variable wants to know, and
//! nobody else is told anything.

#![allow(unsafe_code, reason = "keys by address, names out of the environment")]

use crate::abi::RelativeEntry;
use crate::patching::apply;
use crate::patching::changes::Changes;
use crate::error::Error;
use crate::key::Key;
use crate::names::mangling;
use crate::names::symbols;
use crate::key::Op;
use crate::sys::page_vec::PageVec;
use crate::patching::runtime::{self, Wait};
use crate::sync::Allowed;
use crate::sys::errno::Errno;
use crate::sys::file::write_stderr;
use crate::patching::table::Tables;
use crate::sys::text::Text;
use core::ffi::{CStr, c_char};
use core::fmt::Write;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// What one variable wants.
struct Wishes {
    variable: &'static str,
    op: Op,
    /// The names, as the environment has them; null without the variable.
    text: AtomicPtr<c_char>,
    /// A bit for each name whose key was found.
    found: AtomicU64,
}

/// Names that a variable may have.
const MOST: usize = 64;

static WISHES: [Wishes; 2] =
    [Wishes::new("JLSHIM_ENABLE", Op::Enable), Wishes::new("JLSHIM_DISABLE", Op::Disable)];

/// How many keys were flipped so.
static FLIPPED: AtomicU64 = AtomicU64::new(0);

impl Wishes {
    const fn new(variable: &'static str, op: Op) -> Self {
        let (text, found) = (AtomicPtr::new(ptr::null_mut()), AtomicU64::new(0));
        Self { variable, op, text, found }
    }

    fn names(&self) -> impl Iterator<Item = (usize, &'static [u8])> {
        let text = self.text.load(Ordering::Relaxed);
        let text: &'static [u8] = match text.is_null() {
            true => &[],
            // SAFETY: it was made from a string that stays, by `want`.
            false => unsafe { CStr::from_ptr(text) }.to_bytes(),
        };
        let names = text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.filter(|name| !name.is_empty()).take(MOST).enumerate()
    }

    /// The number and name of those that no key was found for.
    fn open(&self) -> impl Iterator<Item = (usize, &'static [u8])> {
        let found = self.found.load(Ordering::Relaxed);
        self.names().filter(move |(index, _)| found & 1 << index == 0)
    }
}

/// Takes what a variable says: `ENABLE` or `DISABLE`, and its names.
pub(crate) fn want(op: Op, names: &'static CStr) {
    for wishes in WISHES.iter().filter(|wishes| wishes.op == op) {
        wishes.text.store(names.as_ptr().cast_mut(), Ordering::Relaxed);
    }
}

/// How many keys were flipped, and how many names fit none.
pub(crate) fn counts() -> (u64, usize) {
    (FLIPPED.load(Ordering::Relaxed), WISHES.iter().map(|wishes| wishes.open().count()).sum())
}

/// Tells of the names that no key was found for, at the end of the process.
pub(crate) fn tell_unknown() {
    for wishes in &WISHES {
        for (_, name) in wishes.open() {
            tell(wishes, name, &"no key is called so");
        }
    }
}

fn tell(wishes: &Wishes, name: &[u8], what: &dyn core::fmt::Display) {
    let mut line = Text::<1024>::new();
    let _ = write!(line, "jlshim: {}: ", wishes.variable);
    name.iter().filter(|byte| !byte.is_ascii_control()).for_each(|byte| line.push(*byte));
    let _ = writeln!(line, ": {what}");
    write_stderr(line.bytes());
}

/// A key that a name fits.
#[derive(Debug, Clone, Copy)]
struct Fit {
    /// Which variable, and which of its names.
    wish: (usize, usize),
    key: usize,
}

/// Flips the keys of the table from `start` to `stop` that are wanted so, by the symbols of
/// the object that it is in.  Nothing happens where nothing is wanted.
///
/// # Safety
/// The table is registered.
pub(crate) unsafe fn flip(start: *const RelativeEntry, stop: *const RelativeEntry) {
    let is_idle = |wishes: &Wishes| wishes.text.load(Ordering::Relaxed).is_null();
    if start.is_null() || WISHES.iter().all(is_idle) {
        return;
    }
    // SAFETY: the caller's promise.
    let Ok(keys) = (unsafe { keys(start, stop) }) else { return };
    let mut fits = PageVec::new();
    // Without symbols nothing is found, which is told at the end.
    let _ = symbols::for_each(start.addr(), keys.as_slice(), &mut |key, name| {
        fit(key, name, &mut fits);
    });
    apply(&mut fits);
}

/// As [`flip`], by names that are known otherwise.
#[cfg(feature = "capi")]
pub(crate) fn flip_named(names: impl Iterator<Item = (usize, &'static [u8])>) {
    let mut fits = PageVec::new();
    names.for_each(|(key, name)| fit(key, name, &mut fits));
    apply(&mut fits);
}

/// Addresses of the keys of a table, in ascending order.
///
/// # Safety
/// The table is registered.
unsafe fn keys(
    start: *const RelativeEntry,
    stop: *const RelativeEntry,
) -> Result<PageVec<usize>, Errno> {
    let mut keys = PageVec::new();
    let count = (stop.addr() - start.addr()) / RelativeEntry::SIZE;
    for index in 0..count {
        // SAFETY: the entry is in the table.
        keys.push(unsafe { Tables::resolve(start.wrapping_add(index)) }.key)?;
    }
    keys.as_mut_slice().sort_unstable();
    Ok(keys)
}

/// Adds what `name` fits among the names that are open.
fn fit(key: usize, name: &[u8], fits: &mut PageVec<Fit>) {
    for (variable, wishes) in WISHES.iter().enumerate() {
        for (index, wanted) in wishes.open() {
            let wish = (variable, index);
            let is_known = |fit: &Fit| fit.wish == wish && fit.key == key;
            if mangling::matches(name, wanted) && !fits.as_slice().iter().any(is_known) {
                // Without memory the name stays open, and is told at the end.
                let _ = fits.push(Fit { wish, key });
            }
        }
    }
}

/// Flips the keys that names fit, each name alone: one that cannot be flipped keeps no other
/// from it.
fn apply(fits: &mut PageVec<Fit>) {
    fits.as_mut_slice().sort_unstable_by_key(|fit| (fit.wish, fit.key));
    for same in fits.as_slice().chunk_by(|a, b| a.wish == b.wish) {
        let [Fit { wish: (variable, index), key }, ..] = *same else { continue };
        let Some(wishes) = WISHES.get(variable) else { continue };
        let name = wishes.names().nth(index).map_or(&b""[..], |(_, name)| name);
        wishes.found.fetch_or(1 << index, Ordering::Relaxed);
        if same.len() > 1 {
            tell(wishes, name, &"several keys are called so: use the whole path or symbol");
            continue;
        }
        match apply_one(key, wishes.op) {
            Ok(()) => {
                FLIPPED.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => tell(wishes, name, &error),
        }
    }
}

fn apply_one(key: usize, op: Op) -> Result<(), Error> {
    // SAFETY: an entry of a registered table leads to it, or a link's note, which stays.
    let key = unsafe { &*ptr::with_exposed_provenance::<Key>(key) };
    runtime::handle_forks();
    let mut held = runtime::enter(Wait::Yes)?;
    let mut changes = Changes::new();
    changes.add(key, op)?;
    apply::apply_changes(&mut held, changes.as_slice(), Allowed::in_process()).map(drop)
}
