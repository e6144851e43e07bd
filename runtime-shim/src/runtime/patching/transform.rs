//! The two steps of a patch, for programs that batch patches themselves: [`queue`] writes one
//! site, and one [`apply`] synchronises all threads with every queued site.
//!
//! They correspond to the kernel's `arch_jump_label_transform_queue` and `_apply` (Linux 6.12
//! `kernel/jump_label.c`).  They do not change the counts of keys.  The
//! [report](crate::report()) lists patches that are queued and not yet applied.

#![allow(unsafe_code, reason = "entries by address")]

use crate::abi::{JumpLabelType, RelativeEntry};
use crate::runtime::error::Error;
use crate::runtime::patching::record::{Uncovered, UncoveredPatch};
use crate::runtime::patching::state::{self, State, Wait};
use crate::runtime::patching::table::Tables;
use crate::runtime::patching::{apply, window, write};
use crate::runtime::sync::{self, Allowed, SyncLevel};

/// Writes the site of `entry` so that it executes `to`.  Returns whether the site changed.
///
/// From now on this thread executes the new code.  Other threads execute the old or the new code
/// until [`apply`] returns.  A site that executes `to` already is not written.
///
/// # Errors
/// [`Error::NotAnEntry`] if no registered table contains `entry`; otherwise the reason why
/// nothing was written.
pub fn queue(entry: &RelativeEntry, to: JumpLabelType) -> Result<bool, Error> {
    state::handle_forks();
    let mut held = state::enter(Wait::Yes)?;
    let state = &mut *held;
    let address = core::ptr::from_ref(entry);
    if !state.tables.holds(address) {
        return Err(Error::NotAnEntry { entry: address.addr() });
    }
    // SAFETY: a table holds the entry.
    let site = unsafe { Tables::resolve(address) };
    let Some(patch) = apply::needed(&mut state.mappings, site, to)? else { return Ok(false) };
    state.patches.clear();
    state.patches.push(patch).map_err(Error::NoMemory)?;
    write_unsynced(state)?;
    let patch = UncoveredPatch { site: site.code, key: site.key, why: Uncovered::Queued };
    state.record.counts.patches += 1;
    state.record.uncovered(patch);
    Ok(true)
}

/// Writes without a synchronisation, provided that one is possible later.
fn write_unsynced(state: &mut State) -> Result<(), Error> {
    let allowed = Allowed::in_process();
    let level = sync::choose(allowed).map_err(Error::NoSync)?;
    let (patches, runs) = (state.patches.as_slice(), &mut state.runs);
    window::plan(patches, &mut state.mappings, runs)?;
    write::write_all(patches, runs.as_slice(), level, allowed, &mut state.record).map(drop)
}

/// Synchronises all threads with every site that was queued before.
///
/// # Errors
/// [`Error::NoSync`], [`Error::SyncFailed`]; queued sites stay written and uncovered.
pub fn apply() -> Result<SyncLevel, Error> {
    let mut held = state::enter(Wait::Yes)?;
    let level = sync::choose(Allowed::in_process()).map_err(Error::NoSync)?;
    if let Err(errno) = sync::synchronise(level) {
        held.record.sync_failed();
        return Err(Error::SyncFailed(errno));
    }
    held.record.synced(level);
    Ok(level)
}
