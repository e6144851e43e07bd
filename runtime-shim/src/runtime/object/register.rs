//! Registration of the jump tables of objects.

#![allow(unsafe_code, reason = "tables by address")]

use crate::abi::{JumpLabelType, RelativeEntry, StaticKey};
use crate::runtime::error::Error;
use crate::runtime::key::Key;
use crate::runtime::object::initial;
use crate::runtime::patching::apply;
use crate::runtime::patching::record::{Uncovered, UncoveredPatch};
use crate::runtime::patching::state::{self, State, Wait};
use crate::runtime::patching::table::{self, NotAdded, Object, Site, Tables};
use crate::runtime::sync::Allowed;

/// Registers the table from `start` to `stop`, with `object` as its list node.
///
/// A table that is registered again, with the node of another translation unit, counts once.
/// Sites whose keys were flipped before the registration are patched.
///
/// # Errors
/// [`Error::NotATable`]; or the reason why sites do not follow their keys.  In the second case
/// the table is registered all the same, and the sites are listed in the report.
///
/// # Safety
/// Node and table stay valid until [`unregister`], and the entries refer to keys and code of the
/// object in which they lie.
pub unsafe fn register(
    object: *const Object,
    start: *const RelativeEntry,
    stop: *const RelativeEntry,
) -> Result<(), Error> {
    if start == stop || table::is_last_added(start) {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    let (is_new, result) = unsafe { add(object, start, stop) }?;
    if is_new {
        // SAFETY: the table has just been added.
        unsafe { initial::flip(start, stop) };
    }
    result
}

/// Adds a table to the list.  Returns whether it was not there before, and whether its sites
/// follow their keys.
///
/// # Safety
/// As for [`register`].
unsafe fn add(
    object: *const Object,
    start: *const RelativeEntry,
    stop: *const RelativeEntry,
) -> Result<(bool, Result<(), Error>), Error> {
    let mut held = state::enter(Wait::Yes)?;
    let state = &mut *held;
    // SAFETY: the caller's promise.
    match unsafe { state.tables.add(object, start, stop) } {
        Ok(()) => {}
        Err(NotAdded::Known) => return Ok((false, Ok(()))),
        Err(NotAdded::NotATable { start, len }) => return Err(Error::NotATable { start, len }),
    }
    state.mappings.forget();
    if !state.has_flipped {
        return Ok((true, Ok(())));
    }
    // SAFETY: the table has just been added.
    Ok((true, unsafe { patch_stale_sites(state, object) }))
}

/// Removes the table of `object` from the list, after the batch of another thread has ended.
///
/// # Safety
/// `object` is valid.
pub unsafe fn unregister(object: *const Object) {
    // SAFETY: the caller's promise.
    if !unsafe { &*object }.is_listed() {
        return;
    }
    if let Ok(mut held) = state::enter(Wait::Yes) {
        // SAFETY: the caller's promise.
        if unsafe { held.tables.remove(object) } {
            held.mappings.forget();
        }
    }
}

/// Patches the sites of `object` that do not follow their keys.
///
/// A key may have been flipped before its object was loaded, or in the object's file, where the
/// sites were patched as well.  So the initial state of a key does not determine what its sites
/// hold.
///
/// # Safety
/// `object` is registered.
unsafe fn patch_stale_sites(state: &mut State, object: *const Object) -> Result<(), Error> {
    state.patches.clear();
    let State { mappings, patches, .. } = state;
    // SAFETY: the caller's promise.
    let collected = unsafe {
        Tables::for_each_site_of(object, |site| {
            let Some(to) = wanted_if_flipped(site) else { return Ok(()) };
            apply::needed(mappings, site, to)?
                .map_or(Ok(()), |patch| patches.push(patch).map_err(Error::NoMemory))
        })
    };
    let result =
        collected.and_then(|()| apply::apply_patches(state, Allowed::in_process()).map(drop));
    if result.is_err() {
        let State { mappings, record, .. } = state;
        // SAFETY: the caller's promise.
        let _ = unsafe {
            Tables::for_each_site_of(object, |site| {
                let Some(to) = wanted_if_flipped(site) else { return Ok(()) };
                if !matches!(apply::needed(mappings, site, to), Ok(None)) {
                    let (why, key) = (Uncovered::Stale, site.key);
                    record.uncovered(UncoveredPatch { site: site.code, key, why });
                }
                Ok::<(), Error>(())
            })
        };
    }
    result
}

/// The instruction that a site must hold, if it is not the one that it was compiled to.
fn wanted_if_flipped(site: Site) -> Option<JumpLabelType> {
    let key = core::ptr::with_exposed_provenance::<Key>(site.key);
    // SAFETY: the key of an entry is a key of the object, by the contract of `register`.
    let key = unsafe { &*key };
    let (defined, now) = (key.is_initially_enabled(), StaticKey::is_on(key.count()));
    (defined != now).then(|| JumpLabelType::wanted(now, site.branch))
}
