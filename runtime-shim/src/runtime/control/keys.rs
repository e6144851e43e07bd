//! Lists and flips keys for the control socket.
//!
//! Keys and tables are read under the runtime's lock, so that their object cannot be closed
//! meanwhile.  Files are read and the dynamic linker is called without that lock: a thread that
//! closes an object holds the linker's lock while it waits for the runtime's.

#![allow(unsafe_code, reason = "keys by address")]

use super::request::{KeyName, KeyOp, Malformed, key_ops};
use crate::runtime::error::Error;
use crate::runtime::key::Key;
use crate::runtime::names::{mangling, symbols};
#[cfg(feature = "capi")]
use crate::runtime::object::linked;
use crate::runtime::patching::apply::{self, Applied};
use crate::runtime::patching::changes::Changes;
use crate::runtime::patching::state::{self, State, Wait};
use crate::runtime::sync::Allowed;
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::page_vec::PageVec;
use core::fmt;
use core::ptr;

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    /// Address of the table.
    pub(super) table: usize,
    pub(super) key: usize,
    pub(super) count: i32,
    pub(super) sites: usize,
}

/// A key that a batch has changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub(super) key: usize,
    pub(super) before: i32,
    pub(super) count: i32,
}

/// The reason why a batch was not applied.
pub(super) enum BatchError<'a> {
    /// The line is not a batch.
    Malformed(Malformed),
    /// No key has this name.
    Unknown(KeyName<'a>),
    /// Several keys have this name.
    Ambiguous(&'a [u8]),
    /// The count of a key is not the expected one.
    Count { key: usize, expected: i32, found: i32 },
    /// The runtime refuses the batch.
    Runtime(Error),
}

impl BatchError<'_> {
    /// The errno for this error.
    pub(super) const fn errno(&self) -> Errno {
        match self {
            Self::Malformed(_) => Errno(libc::EINVAL),
            Self::Unknown(_) => Errno(libc::ENOENT),
            Self::Ambiguous(_) | Self::Count { .. } => Errno(libc::EBUSY),
            Self::Runtime(error) => error.errno(),
        }
    }
}

impl fmt::Display for BatchError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Unknown(KeyName::Address(key)) => write!(f, "there is no key at {key:#x}"),
            Self::Unknown(KeyName::Name(name)) => {
                write!(f, "{}: no key has this name", SentName(name))
            }
            Self::Ambiguous(name) => write!(
                f,
                "{}: several keys have this name: use the whole path, the symbol or the address",
                SentName(name)
            ),
            Self::Count { key, expected, found } => {
                write!(f, "the key {key:#x} must have the count {expected}; found {found}")
            }
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl From<Error> for BatchError<'_> {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<Errno> for BatchError<'_> {
    fn from(errno: Errno) -> Self {
        Self::Runtime(Error::NoMemory(errno))
    }
}

/// A name from a client, which may not be UTF-8.
struct SentName<'a>(&'a [u8]);

impl fmt::Display for SentName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| f.write_str(chunk.valid()))
    }
}

/// All keys, by table and address.
pub(super) fn list() -> Result<PageVec<Listed>, Error> {
    let held = state::enter(Wait::Yes)?;
    let mut all: PageVec<Listed> = PageVec::new();
    held.tables.for_each_key(Error::NoMemory, |table, key, sites| {
        // SAFETY: an entry of a registered table refers to the key, and the lock is held.
        let count = unsafe { at(key) }.count();
        all.push(Listed { table, key, count, sites }).map_err(Error::NoMemory)
    })?;
    Ok(all)
}

/// The key at an address.
///
/// # Safety
/// An entry refers to the key, and its table is registered while the key is used.
unsafe fn at(key: usize) -> &'static Key {
    // SAFETY: the caller's promise.
    unsafe { &*ptr::with_exposed_provenance::<Key>(key) }
}

/// Calls `take` with each key and each of its known names: from the symbols of its object's file,
/// and from the note of `jlctl link`.
pub(super) fn for_each_name(
    listed: &[Listed],
    take: &mut dyn FnMut(usize, &[u8]),
) -> Result<(), Errno> {
    for of_table in listed.chunk_by(|a, b| a.table == b.table) {
        let mut keys = PageVec::new();
        of_table.iter().try_for_each(|listed| keys.push(listed.key))?;
        let [Listed { table, .. }, ..] = *of_table else { continue };
        // The keys of an object whose file cannot be read have no names.
        let _ = symbols::for_each(table, keys.as_slice(), take);
    }
    #[cfg(feature = "capi")]
    linked::for_each_name(take);
    Ok(())
}

/// Applies the batch in `line`, all or nothing.
pub(super) fn apply<'a>(
    line: &'a [u8],
    changed: &mut PageVec<Changed>,
) -> Result<Applied, BatchError<'a>> {
    let mut wanted = PageVec::new();
    for key_op in key_ops(line) {
        wanted.push(key_op.map_err(BatchError::Malformed)?)?;
    }
    resolve(wanted.as_mut_slice())?;
    state::handle_forks();
    let mut held = state::enter(Wait::Yes)?;
    let result = apply_held(&mut held, wanted.as_slice(), changed);
    if result.is_err() {
        held.record.counts.failed_batches += 1;
    }
    result
}

/// Replaces names by addresses.
fn resolve<'a>(wanted: &mut [KeyOp<'a>]) -> Result<(), BatchError<'a>> {
    let is_named = |key_op: &KeyOp<'_>| matches!(key_op.key, KeyName::Name(_));
    if !wanted.iter().any(is_named) {
        return Ok(());
    }
    let listed = list()?;
    for key_op in wanted.iter_mut() {
        let KeyName::Name(name) = key_op.key else { continue };
        let (mut found, mut is_one) = (None, true);
        for_each_name(listed.as_slice(), &mut |key, symbol| {
            if mangling::matches(symbol, name) {
                is_one &= found.is_none_or(|found| found == key);
                found = Some(key);
            }
        })?;
        match found {
            None => return Err(BatchError::Unknown(key_op.key)),
            Some(_) if !is_one => return Err(BatchError::Ambiguous(name)),
            Some(key) => key_op.key = KeyName::Address(key),
        }
    }
    Ok(())
}

fn apply_held<'a>(
    state: &mut State,
    wanted: &[KeyOp<'a>],
    changed: &mut PageVec<Changed>,
) -> Result<Applied, BatchError<'a>> {
    let mut changes = Changes::new();
    for key_op in wanted {
        let KeyName::Address(address) = key_op.key else { continue };
        let mut is_key = false;
        state.tables.for_each_site(address, Error::NoMemory, |_| {
            is_key = true;
            Ok(())
        })?;
        if !is_key {
            return Err(BatchError::Unknown(key_op.key));
        }
        // SAFETY: an entry of a registered table refers to the key, and the lock is held.
        let key = unsafe { at(address) };
        if let Some(expected) = key_op.expected.filter(|expected| *expected != key.count()) {
            return Err(BatchError::Count { key: address, expected, found: key.count() });
        }
        changes.add(key, key_op.op)?;
    }
    for change in changes.as_slice() {
        let key = ptr::from_ref(change.key).addr();
        changed.push(Changed { key, before: change.before, count: change.count })?;
    }
    Ok(apply::apply_changes(state, changes.as_slice(), Allowed::in_process())?)
}
