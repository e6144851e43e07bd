//! Initial states of keys from the environment: `JLSHIM_ENABLE=NAME,…` and
//! `JLSHIM_DISABLE=NAME,…`.
//!
//! These keys are flipped when the table of their object is registered: before `main`, or in
//! dlopen(3).  A NAME is a symbol, or in Rust and C++ the path of a static or the end of that
//! path.  A key that cannot be flipped is reported on standard error.

#![allow(unsafe_code, reason = "keys by address, names from the environment")]

use crate::abi::RelativeEntry;
use crate::runtime::error::Error;
use crate::runtime::key::{Key, Op};
use crate::runtime::names::{mangling, symbols};
use crate::runtime::patching::apply;
use crate::runtime::patching::changes::Changes;
use crate::runtime::patching::state::{self, Wait};
use crate::runtime::patching::table::Tables;
use crate::runtime::sync::Allowed;
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::file::write_stderr;
use crate::runtime::sys::page_vec::PageVec;
use crate::runtime::sys::text::Text;
use core::ffi::{CStr, c_char};
use core::fmt::Write;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The keys that one variable names.
struct Variable {
    name: &'static str,
    op: Op,
    /// The value in the environment; null without the variable.
    value: AtomicPtr<c_char>,
    /// A bit for each name with a key.
    found: AtomicU64,
}

/// The most names that are read from a variable.
const MOST: usize = 64;

static VARIABLES: [Variable; 2] =
    [Variable::new("JLSHIM_ENABLE", Op::Enable), Variable::new("JLSHIM_DISABLE", Op::Disable)];

/// Number of keys that were flipped.
static FLIPPED: AtomicU64 = AtomicU64::new(0);

impl Variable {
    const fn new(name: &'static str, op: Op) -> Self {
        let (value, found) = (AtomicPtr::new(ptr::null_mut()), AtomicU64::new(0));
        Self { name, op, value, found }
    }

    fn names(&self) -> impl Iterator<Item = (usize, &'static [u8])> {
        let text = self.value.load(Ordering::Relaxed);
        let text: &'static [u8] = match text.is_null() {
            true => &[],
            // SAFETY: a string that stays in place, by `set`.
            false => unsafe { CStr::from_ptr(text) }.to_bytes(),
        };
        let names = text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.filter(|name| !name.is_empty()).take(MOST).enumerate()
    }

    /// The names without a key, with their indexes.
    fn unmatched(&self) -> impl Iterator<Item = (usize, &'static [u8])> {
        let found = self.found.load(Ordering::Relaxed);
        self.names().filter(move |(index, _)| found & 1 << index == 0)
    }
}

/// Sets the names of the keys to which `op`, an enable or a disable, is applied.
pub(crate) fn set(op: Op, names: &'static CStr) {
    for variable in VARIABLES.iter().filter(|variable| variable.op == op) {
        variable.value.store(names.as_ptr().cast_mut(), Ordering::Relaxed);
    }
}

/// The number of keys that were flipped, and of names without a key.
pub(crate) fn counts() -> (u64, usize) {
    (
        FLIPPED.load(Ordering::Relaxed),
        VARIABLES.iter().map(|variable| variable.unmatched().count()).sum(),
    )
}

/// Reports the names without a key, at the end of the process.
pub(crate) fn report_unmatched() {
    for variable in &VARIABLES {
        for (_, name) in variable.unmatched() {
            complain(variable, name, &"no key has this name");
        }
    }
}

fn complain(variable: &Variable, name: &[u8], what: &dyn core::fmt::Display) {
    let mut line = Text::<1024>::new();
    let _ = write!(line, "jlshim: {}: ", variable.name);
    name.iter().filter(|byte| !byte.is_ascii_control()).for_each(|byte| line.push(*byte));
    let _ = writeln!(line, ": {what}");
    write_stderr(line.bytes());
}

/// A key with a name from the environment.
#[derive(Debug, Clone, Copy)]
struct Match {
    /// Index of the variable, and of the name in it.
    name: (usize, usize),
    key: usize,
}

/// Flips the keys of the table from `start` to `stop` that the environment names, by the symbols
/// of the table's object.
///
/// # Safety
/// The table is registered.
pub(crate) unsafe fn flip(start: *const RelativeEntry, stop: *const RelativeEntry) {
    let is_idle = |variable: &Variable| variable.value.load(Ordering::Relaxed).is_null();
    if start.is_null() || VARIABLES.iter().all(is_idle) {
        return;
    }
    // SAFETY: the caller's promise.
    let Ok(keys) = (unsafe { keys(start, stop) }) else { return };
    let mut matches = PageVec::new();
    // Names that are not found without symbols are reported at the end.
    let _ = symbols::for_each(start.addr(), keys.as_slice(), &mut |key, name| {
        add_matches(key, name, &mut matches);
    });
    apply(&mut matches);
}

/// As [`flip`], with the names of keys from another source.
#[cfg(feature = "capi")]
pub(crate) fn flip_named(names: impl Iterator<Item = (usize, &'static [u8])>) {
    let mut matches = PageVec::new();
    names.for_each(|(key, name)| add_matches(key, name, &mut matches));
    apply(&mut matches);
}

/// The addresses of the keys of a table, in ascending order.
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
        // SAFETY: the entry is part of the table.
        keys.push(unsafe { Tables::resolve(start.wrapping_add(index)) }.key)?;
    }
    keys.as_mut_slice().sort_unstable();
    Ok(keys)
}

/// Adds the names of the environment that match `name`, a name of `key`.
fn add_matches(key: usize, name: &[u8], matches: &mut PageVec<Match>) {
    for (number, variable) in VARIABLES.iter().enumerate() {
        for (index, wanted) in variable.unmatched() {
            let wanted_name = (number, index);
            let is_known = |found: &Match| found.name == wanted_name && found.key == key;
            if mangling::matches(name, wanted) && !matches.as_slice().iter().any(is_known) {
                // Without memory the name stays unmatched, and is reported at the end.
                let _ = matches.push(Match { name: wanted_name, key });
            }
        }
    }
}

/// Flips each matched key in a batch of its own, so that a key that cannot be flipped does not
/// affect the others.
fn apply(matches: &mut PageVec<Match>) {
    matches.as_mut_slice().sort_unstable_by_key(|found| (found.name, found.key));
    for same in matches.as_slice().chunk_by(|a, b| a.name == b.name) {
        let [Match { name: (number, index), key }, ..] = *same else { continue };
        let Some(variable) = VARIABLES.get(number) else { continue };
        let name = variable.names().nth(index).map_or(&b""[..], |(_, name)| name);
        variable.found.fetch_or(1 << index, Ordering::Relaxed);
        if same.len() > 1 {
            complain(
                variable,
                name,
                &"several keys have this name: use the whole path or the symbol",
            );
            continue;
        }
        match apply_one(key, variable.op) {
            Ok(()) => {
                FLIPPED.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => complain(variable, name, &error),
        }
    }
}

fn apply_one(key: usize, op: Op) -> Result<(), Error> {
    // SAFETY: an entry of a registered table refers to the key, or the note of a linked object,
    // which is never unloaded.
    let key = unsafe { &*ptr::with_exposed_provenance::<Key>(key) };
    state::handle_forks();
    let mut held = state::enter(Wait::Yes)?;
    let mut changes = Changes::new();
    changes.add(key, op)?;
    apply::apply_changes(&mut held, changes.as_slice(), Allowed::in_process()).map(drop)
}
