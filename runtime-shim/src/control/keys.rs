//! Keys as the control socket lists and flips them.
//!
//! Keys and tables are looked at under the runtime's lock, so that nobody closes their object
//! meanwhile.  Files are read, and the dynamic linker is asked, without it: who closes an
//! object has the linker's lock when it waits for this one.

#![allow(unsafe_code, reason = "keys by address")]

use super::request::{Called, Malformed, Wish, wishes};
use crate::patching::apply::{self, Applied};
use crate::patching::changes::Changes;
use crate::error::Error;
use crate::key::Key;
#[cfg(feature = "capi")]
use crate::object::linked;
use crate::names::mangling;
use crate::names::symbols;
use crate::sys::page_vec::PageVec;
use crate::patching::runtime::{self, State, Wait};
use crate::sync::Allowed;
use crate::sys::errno::Errno;
use core::fmt;
use core::ptr;

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    /// Where the table begins.
    pub(super) table: usize,
    pub(super) key: usize,
    pub(super) count: i32,
    pub(super) sites: usize,
}

/// What became of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub(super) key: usize,
    pub(super) before: i32,
    pub(super) count: i32,
}

/// Why a batch was not applied.
pub(super) enum Refused<'a> {
    /// The line is none.
    Malformed(Malformed),
    /// No key is called so.
    Unknown(Called<'a>),
    /// Several keys are called so.
    Ambiguous(&'a [u8]),
    /// A key has another count than is expected.
    Count { key: usize, expected: i32, found: i32 },
    /// The runtime refuses it.
    Runtime(Error),
}

impl Refused<'_> {
    /// The number that stands for it.
    pub(super) const fn errno(&self) -> Errno {
        match self {
            Self::Malformed(_) => Errno(libc::EINVAL),
            Self::Unknown(_) => Errno(libc::ENOENT),
            Self::Ambiguous(_) | Self::Count { .. } => Errno(libc::EBUSY),
            Self::Runtime(error) => error.errno(),
        }
    }
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Unknown(Called::Address(key)) => write!(f, "there is no key at {key:#x}"),
            Self::Unknown(Called::Name(name)) => write!(f, "{}: no key is called so", Name(name)),
            Self::Ambiguous(name) => write!(
                f,
                "{}: several keys are called so: use the whole path, the symbol or the address",
                Name(name)
            ),
            Self::Count { key, expected, found } => {
                write!(f, "the key {key:#x} must have the count {expected}; found {found}")
            }
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl From<Error> for Refused<'_> {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<Errno> for Refused<'_> {
    fn from(errno: Errno) -> Self {
        Self::Runtime(Error::NoMemory(errno))
    }
}

/// A name as somebody has sent it.
struct Name<'a>(&'a [u8]);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| f.write_str(chunk.valid()))
    }
}

/// All keys, table by table, in the order of their addresses.
pub(super) fn list() -> Result<PageVec<Listed>, Error> {
    let held = runtime::enter(Wait::Yes)?;
    let mut all: PageVec<Listed> = PageVec::new();
    held.tables.for_each_key(Error::NoMemory, |table, key, sites| {
        // SAFETY: an entry of a registered table leads to it, and the lock is held.
        let count = unsafe { at(key) }.count();
        all.push(Listed { table, key, count, sites }).map_err(Error::NoMemory)
    })?;
    Ok(all)
}

/// The key at an address.
///
/// # Safety
/// An entry of a table that is registered as long as it is used leads there.
unsafe fn at(key: usize) -> &'static Key {
    // SAFETY: the caller's promise.
    unsafe { &*ptr::with_exposed_provenance::<Key>(key) }
}

/// Calls `take` with the names of keys that are known: by the symbols of their objects' files,
/// and by what `jlctl link` has left in them.
pub(super) fn for_each_name(
    listed: &[Listed],
    take: &mut dyn FnMut(usize, &[u8]),
) -> Result<(), Errno> {
    for of_table in listed.chunk_by(|a, b| a.table == b.table) {
        let mut keys = PageVec::new();
        of_table.iter().try_for_each(|listed| keys.push(listed.key))?;
        let [Listed { table, .. }, ..] = *of_table else { continue };
        // What cannot be read has no names.
        let _ = symbols::for_each(table, keys.as_slice(), take);
    }
    #[cfg(feature = "capi")]
    linked::for_each_name(take);
    Ok(())
}

/// Applies the batch of a line: all of it or nothing.
pub(super) fn apply<'a>(
    line: &'a [u8],
    changed: &mut PageVec<Changed>,
) -> Result<Applied, Refused<'a>> {
    let mut wanted = PageVec::new();
    for wish in wishes(line) {
        wanted.push(wish.map_err(Refused::Malformed)?)?;
    }
    resolve(wanted.as_mut_slice())?;
    runtime::handle_forks();
    let mut held = runtime::enter(Wait::Yes)?;
    let result = apply_held(&mut held, wanted.as_slice(), changed);
    if result.is_err() {
        held.record.counts.failed_batches += 1;
    }
    result
}

/// Puts addresses in the place of names.
fn resolve<'a>(wanted: &mut [Wish<'a>]) -> Result<(), Refused<'a>> {
    let is_named = |wish: &Wish<'_>| matches!(wish.key, Called::Name(_));
    if !wanted.iter().any(is_named) {
        return Ok(());
    }
    let listed = list()?;
    for wish in wanted.iter_mut() {
        let Called::Name(name) = wish.key else { continue };
        let (mut found, mut is_one) = (None, true);
        for_each_name(listed.as_slice(), &mut |key, symbol| {
            if mangling::matches(symbol, name) {
                is_one &= found.is_none_or(|found| found == key);
                found = Some(key);
            }
        })?;
        match found {
            None => return Err(Refused::Unknown(wish.key)),
            Some(_) if !is_one => return Err(Refused::Ambiguous(name)),
            Some(key) => wish.key = Called::Address(key),
        }
    }
    Ok(())
}

fn apply_held<'a>(
    state: &mut State,
    wanted: &[Wish<'a>],
    changed: &mut PageVec<Changed>,
) -> Result<Applied, Refused<'a>> {
    let mut changes = Changes::new();
    for wish in wanted {
        let Called::Address(address) = wish.key else { continue };
        let mut is_key = false;
        state.tables.for_each_site(address, Error::NoMemory, |_| {
            is_key = true;
            Ok(())
        })?;
        if !is_key {
            return Err(Refused::Unknown(wish.key));
        }
        // SAFETY: an entry of a registered table leads to it, and the lock is held.
        let key = unsafe { at(address) };
        if let Some(expected) = wish.expected.filter(|expected| *expected != key.count()) {
            return Err(Refused::Count { key: address, expected, found: key.count() });
        }
        changes.add(key, wish.op)?;
    }
    for change in changes.as_slice() {
        let key = ptr::from_ref(change.key).addr();
        changed.push(Changed { key, before: change.before, count: change.count })?;
    }
    Ok(apply::apply_changes(state, changes.as_slice(), Allowed::in_process())?)
}
