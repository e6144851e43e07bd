//! Questions about the runtime in this process.

use crate::error::Error;
use crate::process;
use crate::report::{Counts, UncoveredPatch};
use crate::runtime::{self, Wait};
use crate::settings::Allowed;
use crate::sync::{self, Refusal, SyncLevel};

/// The synchronisation that a batch would get now.
///
/// # Errors
/// Why a batch would be refused.
pub fn sync_level() -> Result<SyncLevel, Refusal> {
    process::ensure_started();
    sync::choose(Allowed::in_process())
}

/// What was patched and synchronised so far.
///
/// # Errors
/// [`Error::ForeignProcess`], [`Error::Busy`] in a signal handler inside a fork handler.
pub fn report() -> Result<Counts, Error> {
    Ok(runtime::enter(Wait::Yes)?.record.counts)
}

/// Copies the first of the patches that no strict synchronisation has covered into `into`;
/// how many it copied.
///
/// # Errors
/// As [`report`].
pub fn uncovered(into: &mut [UncoveredPatch]) -> Result<usize, Error> {
    let held = runtime::enter(Wait::Yes)?;
    let patches = held.record.patches();
    let count = patches.len().min(into.len());
    into.iter_mut().zip(patches).for_each(|(to, from)| *to = *from);
    Ok(count)
}
