//! One batch from its changes of counts to code that all threads execute.

#![allow(unsafe_code, reason = "writes code")]

use crate::abi::{JumpLabelType, StaticKey};
use crate::patching::changes::Change;
use crate::patching::mappings::Mappings;
use crate::patching::code::{self, Patch};
use crate::error::Error;
use crate::patching::record::{Uncovered, UncoveredPatch};
use crate::patching::runtime::State;
use crate::sync::Allowed;
use crate::sync::{self, SyncLevel};
use crate::sys::memory;
use crate::patching::table::Site;
use crate::patching::window;
use crate::patching::write;

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Sites that were patched.
    pub sites: usize,
    /// Runs of pages that were made writable for it; 0 where /proc/self/mem was used.
    pub page_runs: usize,
    /// How the other threads were synchronised; none where nothing was patched.
    pub sync: Option<SyncLevel>,
}

/// What a site with the sense `branch` holds while its key has `count`.
const fn wanted(count: i32, branch: bool) -> JumpLabelType {
    JumpLabelType::wanted(StaticKey::is_on(count), branch)
}

/// Applies `changes`: verifies, writes, synchronises once, publishes.
///
/// # Errors
/// Why nothing was changed.
pub(crate) fn changes(
    state: &mut State,
    changes: &[Change],
    allowed: Allowed,
) -> Result<Applied, Error> {
    changes.iter().filter(|change| change.before != change.count).try_for_each(check_count)?;
    state.patches.clear();
    for change in changes.iter().filter(|change| change.flips()) {
        collect(state, change)?;
    }
    let applied = patches(state, allowed)?;
    for change in changes {
        // Unchanged counts are left alone: their pages may be read-only.
        if change.before != change.count {
            change.key.publish(change.count);
        }
        state.has_flipped |= change.flips();
    }
    Ok(applied)
}

/// A count that could not be published would leave a key that its sites do not follow.
fn check_count(change: &Change) -> Result<(), Error> {
    let key = core::ptr::from_ref(change.key).addr();
    memory::probe_writable(change.key.word()).map_err(|errno| Error::KeyNotWritable { key, errno })
}

/// Adds the patches of one key to the state's.
fn collect(state: &mut State, change: &Change) -> Result<(), Error> {
    let State { tables, mappings, patches, .. } = state;
    let key = core::ptr::from_ref(change.key).addr();
    tables.for_each_site(key, Error::NoMemory, |site| {
        let (from, to) = (wanted(change.before, site.branch), wanted(change.count, site.branch));
        patches.push(verified(mappings, site, from, to)?).map_err(Error::NoMemory)
    })
}

/// The patch of one site, whose code is there and is what it must be.
fn verified(
    mappings: &mut Mappings,
    site: Site,
    from: JumpLabelType,
    to: JumpLabelType,
) -> Result<Patch, Error> {
    // All of the unit around a site lies in the site's page.
    if mappings.code_at(site.code)?.is_none() {
        return Err(Error::NotCode { site: site.code, key: site.key });
    }
    // SAFETY: the page can be read.
    unsafe { code::patch(site, from, to) }
}

/// The patch after which a site executes `to`; none where it does already.
///
/// # Errors
/// Where the code is neither a NOP nor the site's jump, or cannot be patched.
pub(crate) fn needed(
    mappings: &mut Mappings,
    site: Site,
    to: JumpLabelType,
) -> Result<Option<Patch>, Error> {
    let from = match to {
        JumpLabelType::Nop => JumpLabelType::Jmp,
        JumpLabelType::Jmp => JumpLabelType::Nop,
    };
    match verified(mappings, site, from, to) {
        Ok(patch) => Ok(Some(patch)),
        Err(error @ Error::UnexpectedCode { .. }) => {
            verified(mappings, site, to, from).map(|_| None).map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// Writes the state's patches and synchronises; all or nothing.
pub(crate) fn patches(state: &mut State, allowed: Allowed) -> Result<Applied, Error> {
    if state.patches.as_slice().is_empty() {
        return Ok(Applied { sites: 0, page_runs: 0, sync: None });
    }
    put_in_order(state)?;
    let level = sync::choose(allowed).map_err(Error::NoSync)?;
    let (patches, runs) = (state.patches.as_slice(), &mut state.runs);
    window::plan(patches, &mut state.mappings, runs)?;
    let writer = write::all(patches, runs.as_slice(), level, allowed, &mut state.record)?;
    if let Err(errno) = sync::synchronise(level) {
        take_back(state, level, allowed);
        return Err(Error::SyncFailed(errno));
    }
    state.record.counts.batches += 1;
    state.record.counts.patches += patches.len() as u64;
    note(state, level);
    let page_runs = if writer.opens_windows() { state.runs.as_slice().len() } else { 0 };
    Ok(Applied { sites: state.patches.as_slice().len(), page_runs, sync: Some(level) })
}

/// Sites in order of address, so that pages and lines come once.  One site of two entries
/// that agree is one patch.
fn put_in_order(state: &mut State) -> Result<(), Error> {
    let patches = state.patches.as_mut_slice();
    patches.sort_unstable_by_key(|patch| patch.site);
    let mut kept = 0;
    for index in 1..patches.len() {
        let (last, patch) = (patches[kept], patches[index]);
        if last.site != patch.site {
            kept += 1;
            patches[kept] = patch;
        } else if last.new != patch.new || last.key != patch.key {
            return Err(Error::Conflict { site: last.site, key: last.key, other: patch.key });
        }
    }
    state.patches.truncate(kept + 1);
    Ok(())
}

/// Records what covers the state's patches.
fn note(state: &mut State, level: SyncLevel) {
    if !level.is_strict() {
        for patch in state.patches.as_slice() {
            let Patch { site, key, .. } = *patch;
            state.record.uncovered(UncoveredPatch { site, key, why: Uncovered::BestEffort });
        }
    }
    state.record.synced(level);
}

/// Writes the old code again after a sync that failed.  Other threads may have seen the new.
fn take_back(state: &mut State, level: SyncLevel, allowed: Allowed) {
    state.record.sync_failed();
    for patch in state.patches.as_mut_slice() {
        *patch = patch.reversed();
    }
    let patches = state.patches.as_slice();
    for patch in patches {
        let Patch { site, key, .. } = *patch;
        state.record.uncovered(UncoveredPatch { site, key, why: Uncovered::SyncFailed });
    }
    let runs = state.runs.as_slice();
    if write::all(patches, runs, level, allowed, &mut state.record).is_ok()
        && sync::synchronise(level).is_ok()
    {
        state.record.synced(level);
    }
    code::make_visible(state.patches.as_slice());
}
