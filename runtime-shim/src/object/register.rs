//! Objects with tables come and go: the program at its start, libraries with dlopen(3) and
//! dlclose(3).

#![allow(unsafe_code, reason = "tables by address")]

use crate::abi::{JumpLabelType, RelativeEntry, StaticKey};
use crate::patching::apply;
use crate::error::Error;
use crate::key::Key;
use crate::patching::record::{Uncovered, UncoveredPatch};
use crate::patching::runtime::{self, State, Wait};
use crate::sync::Allowed;
use crate::object::initial;
use crate::patching::table::{self, NotAdded, Object, Site, Tables};

/// Registers the table from `start` to `stop`, with `object` as its node.
///
/// The same table twice, by nodes of several translation units, is registered once.  Sites
/// whose keys were flipped before they were registered are brought up to date.
///
/// # Errors
/// [`Error::NotATable`]; or why sites do not follow their keys, which are in the report then,
/// while the table is registered all the same.
///
/// # Safety
/// All three stay valid until [`unregister`], and entries, keys and code are those of the
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
        // SAFETY: it was added just now.
        unsafe { initial::flip(start, stop) };
    }
    result
}

/// Adds a table to the list; whether it was not there before, and why its sites do not follow
/// their keys.
///
/// # Safety
/// As for [`register`].
unsafe fn add(
    object: *const Object,
    start: *const RelativeEntry,
    stop: *const RelativeEntry,
) -> Result<(bool, Result<(), Error>), Error> {
    let mut held = runtime::enter(Wait::Yes)?;
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
    // SAFETY: it was added just now.
    Ok((true, unsafe { bring_up_to_date(state, object) }))
}

/// Takes the table of `object` out; a batch under way is waited for.
///
/// # Safety
/// `object` is valid.
pub unsafe fn unregister(object: *const Object) {
    // SAFETY: the caller's promise.
    if !unsafe { &*object }.is_listed() {
        return;
    }
    if let Ok(mut held) = runtime::enter(Wait::Yes) {
        // SAFETY: the caller's promise.
        if unsafe { held.tables.remove(object) } {
            held.mappings.forget();
        }
    }
}

/// Patches the sites of `object` that do not follow their keys.
///
/// A key may have been flipped before its object came, and in the object's file, where its
/// sites were patched too: what they were compiled for says nothing of what they hold.
///
/// # Safety
/// `object` is registered.
unsafe fn bring_up_to_date(state: &mut State, object: *const Object) -> Result<(), Error> {
    state.patches.clear();
    let State { mappings, patches, .. } = state;
    // SAFETY: the caller's promise.
    let collected = unsafe {
        Tables::for_each_site_of(object, |site| {
            let Some(to) = flipped(site) else { return Ok(()) };
            apply::needed(mappings, site, to)?
                .map_or(Ok(()), |patch| patches.push(patch).map_err(Error::NoMemory))
        })
    };
    let result = collected.and_then(|()| apply::apply_patches(state, Allowed::in_process()).map(drop));
    if result.is_err() {
        let State { mappings, record, .. } = state;
        // SAFETY: the caller's promise.
        let _ = unsafe {
            Tables::for_each_site_of(object, |site| {
                let Some(to) = flipped(site) else { return Ok(()) };
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

/// What a site must hold, where that is not what it was compiled to.
fn flipped(site: Site) -> Option<JumpLabelType> {
    let key = core::ptr::with_exposed_provenance::<Key>(site.key);
    // SAFETY: an entry's key is a key of the object, by `register`'s promise.
    let key = unsafe { &*key };
    let (defined, now) = (key.is_initially_enabled(), StaticKey::is_on(key.count()));
    (defined != now).then(|| JumpLabelType::wanted(now, site.branch))
}
