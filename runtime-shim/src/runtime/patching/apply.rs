//! The steps of a batch, from changes of counts to code that all threads execute.
//!
//! A batch is all or nothing, by the order of its steps:
//!
//! 1. Verify and encode the patch of every site, and probe the pages of the counts (a futex
//!    operation that adds 0).
//! 2. Choose the method of the final synchronisation.
//! 3. Open all windows.
//! 4. Write all sites, and synchronise once.  A failure here undoes the writes.
//! 5. Publish the counts, so that no thread learns of the flip before the synchronisation.

#![allow(unsafe_code, reason = "writes code")]

use crate::abi::{JumpLabelType, StaticKey};
use crate::runtime::error::Error;
use crate::runtime::patching::changes::Change;
use crate::runtime::patching::code::{self, Patch};
use crate::runtime::patching::mappings::Mappings;
use crate::runtime::patching::record::{Uncovered, UncoveredPatch};
use crate::runtime::patching::state::State;
use crate::runtime::patching::table::Site;
use crate::runtime::patching::{window, write};
use crate::runtime::sync::{self, Allowed, SyncLevel};
use crate::runtime::sys::memory;

/// The result of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Number of sites that were patched.
    pub sites: usize,
    /// Number of runs of pages that were made writable; 0 if /proc/self/mem was used.
    pub page_runs: usize,
    /// The synchronisation of the other threads; `None` if no site was patched.
    pub sync: Option<SyncLevel>,
}

/// The instruction that a site with the sense `branch` holds while its key has `count`.
const fn wanted(count: i32, branch: bool) -> JumpLabelType {
    JumpLabelType::wanted(StaticKey::is_on(count), branch)
}

/// Applies `changes`: verifies, writes, synchronises once, and publishes the counts.
///
/// # Errors
/// The reason why nothing was changed.
pub(crate) fn apply_changes(
    state: &mut State,
    changes: &[Change],
    allowed: Allowed,
) -> Result<Applied, Error> {
    changes.iter().filter(|change| change.before != change.count).try_for_each(check_count)?;
    state.patches.clear();
    for change in changes.iter().filter(|change| change.flips()) {
        collect(state, change)?;
    }
    let applied = apply_patches(state, allowed)?;
    for change in changes {
        // An unchanged count is not written: its page may be read-only.
        if change.before != change.count {
            change.key.publish(change.count);
        }
        state.has_flipped |= change.flips();
    }
    Ok(applied)
}

/// Checks that a count can be published: otherwise the sites would not agree with their key.
fn check_count(change: &Change) -> Result<(), Error> {
    let key = core::ptr::from_ref(change.key).addr();
    memory::probe_writable(change.key.word()).map_err(|errno| Error::KeyNotWritable { key, errno })
}

/// Adds the patches of one key to the patches of `state`.
fn collect(state: &mut State, change: &Change) -> Result<(), Error> {
    let State { tables, mappings, patches, .. } = state;
    let key = core::ptr::from_ref(change.key).addr();
    tables.for_each_site(key, Error::NoMemory, |site| {
        let (from, to) = (wanted(change.before, site.branch), wanted(change.count, site.branch));
        patches.push(verify(mappings, site, from, to)?).map_err(Error::NoMemory)
    })
}

/// The patch of one site, after a check that the site lies in code and holds `from`.
fn verify(
    mappings: &mut Mappings,
    site: Site,
    from: JumpLabelType,
    to: JumpLabelType,
) -> Result<Patch, Error> {
    // The whole unit around a site lies in the page of the site.
    if mappings.code_at(site.code)?.is_none() {
        return Err(Error::NotCode { site: site.code, key: site.key });
    }
    // SAFETY: the page is readable.
    unsafe { code::patch(site, from, to) }
}

/// The patch after which a site executes `to`, or `None` if it does so already.
///
/// # Errors
/// If the code is neither a NOP nor the jump of the site, or cannot be patched.
pub(crate) fn needed(
    mappings: &mut Mappings,
    site: Site,
    to: JumpLabelType,
) -> Result<Option<Patch>, Error> {
    let from = match to {
        JumpLabelType::Nop => JumpLabelType::Jmp,
        JumpLabelType::Jmp => JumpLabelType::Nop,
    };
    match verify(mappings, site, from, to) {
        Ok(patch) => Ok(Some(patch)),
        Err(error @ Error::UnexpectedCode { .. }) => {
            verify(mappings, site, to, from).map(|_| None).map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// Writes the patches of `state` and synchronises; all or nothing.
pub(crate) fn apply_patches(state: &mut State, allowed: Allowed) -> Result<Applied, Error> {
    if state.patches.as_slice().is_empty() {
        return Ok(Applied { sites: 0, page_runs: 0, sync: None });
    }
    sort_and_merge(state)?;
    let level = sync::choose(allowed).map_err(Error::NoSync)?;
    let (patches, runs) = (state.patches.as_slice(), &mut state.runs);
    window::plan(patches, &mut state.mappings, runs)?;
    let writer = write::write_all(patches, runs.as_slice(), level, allowed, &mut state.record)?;
    if let Err(errno) = sync::synchronise(level) {
        roll_back(state, level, allowed);
        return Err(Error::SyncFailed(errno));
    }
    state.record.counts.batches += 1;
    state.record.counts.patches += patches.len() as u64;
    record_cover(state, level);
    let page_runs = if writer.opens_windows() { state.runs.as_slice().len() } else { 0 };
    Ok(Applied { sites: state.patches.as_slice().len(), page_runs, sync: Some(level) })
}

/// Sorts the patches by address, so that each page and cache line is visited once, and merges
/// the patches of entries that agree about a site.
fn sort_and_merge(state: &mut State) -> Result<(), Error> {
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

/// Records how the patches of `state` are covered.
fn record_cover(state: &mut State, level: SyncLevel) {
    if !level.is_strict() {
        for patch in state.patches.as_slice() {
            let Patch { site, key, .. } = *patch;
            state.record.uncovered(UncoveredPatch { site, key, why: Uncovered::BestEffort });
        }
    }
    state.record.synced(level);
}

/// Writes the old code back after a failed synchronisation.  Other threads may have executed the
/// new code.
fn roll_back(state: &mut State, level: SyncLevel, allowed: Allowed) {
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
    if write::write_all(patches, runs, level, allowed, &mut state.record).is_ok()
        && sync::synchronise(level).is_ok()
    {
        state.record.synced(level);
    }
    code::make_visible(state.patches.as_slice());
}
