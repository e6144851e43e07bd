//! Objects with tables come and go: the program at its start, libraries with dlopen(3) and
//! dlclose(3).

#![allow(unsafe_code, reason = "tables by address")]

use crate::abi::{JumpLabelType, RelativeEntry, StaticKey};
use crate::change;
use crate::error::Error;
use crate::key::Key;
use crate::report::{Uncovered, UncoveredPatch};
use crate::runtime::{self, State, Wait};
use crate::settings::Allowed;
use crate::table::{NotAdded, Object, Site, Tables};

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
    let mut held = runtime::enter(Wait::Yes)?;
    let state = &mut *held;
    // SAFETY: the caller's promise.
    match unsafe { state.tables.add(object, start, stop) } {
        Ok(()) => {}
        Err(NotAdded::Known) => return Ok(()),
        Err(NotAdded::NotATable { start, len }) => return Err(Error::NotATable { start, len }),
    }
    state.mappings.forget();
    if !state.has_flipped {
        return Ok(());
    }
    // SAFETY: it was added just now.
    unsafe { bring_up_to_date(state, object) }
}

/// Takes the table of `object` out; a batch under way is waited for.
///
/// # Safety
/// `object` is valid.
pub unsafe fn unregister(object: *const Object) {
    if let Ok(mut held) = runtime::enter(Wait::Yes) {
        // SAFETY: the caller's promise.
        if unsafe { held.tables.remove(object) } {
            held.mappings.forget();
        }
    }
}

/// Patches the sites of `object` whose keys are no more what they were compiled for.
///
/// # Safety
/// `object` is registered.
unsafe fn bring_up_to_date(state: &mut State, object: *const Object) -> Result<(), Error> {
    state.patches.clear();
    let State { mappings, patches, .. } = state;
    // SAFETY: the caller's promise.
    let collected = unsafe {
        Tables::for_each_site_of(object, |site| {
            let Some((from, to)) = behind(site) else { return Ok(()) };
            patches.push(change::verified(mappings, site, from, to)?).map_err(Error::NoMemory)
        })
    };
    let result = collected.and_then(|()| change::patch(state, Allowed::in_process()).map(drop));
    if result.is_err() {
        // SAFETY: the caller's promise.
        let _ = unsafe {
            Tables::for_each_site_of(object, |site| {
                if behind(site).is_some() {
                    let (why, key) = (Uncovered::Stale, site.key);
                    state.record.uncovered(UncoveredPatch { site: site.code, key, why });
                }
                Ok::<(), Error>(())
            })
        };
    }
    result
}

/// What a site was compiled to and what its key demands now, where they differ.
fn behind(site: Site) -> Option<(JumpLabelType, JumpLabelType)> {
    let key = core::ptr::with_exposed_provenance::<Key>(site.key);
    // SAFETY: an entry's key is a key of the object, by `register`'s promise.
    let key = unsafe { &*key };
    let (defined, now) = (key.is_initially_enabled(), StaticKey::is_on(key.count()));
    let type_of = |is_on| JumpLabelType::wanted(is_on, site.branch);
    (defined != now).then(|| (type_of(defined), type_of(now)))
}
