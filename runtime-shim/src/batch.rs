//! Batches: any number of keys, flipped together, with one final synchronisation.
//!
//! Everything is verified and encoded before the first byte is written.  What fails later is
//! taken back.

use crate::patching::apply::{self, Applied};
use crate::patching::changes::Changes;
use crate::error::Error;
use crate::key::{Key, TypedKey};
use crate::key::Op;
use crate::sys::page_vec::PageVec;
use crate::process;
use crate::patching::runtime::{self, Wait};
use crate::sync::{self, Allowed, Refusal, SyncLevel};
use crate::sys::errno::Errno;

/// Changes of keys that take effect together, or not at all.
///
/// Other threads execute the old or the new code of each site until [`apply`](Self::apply)
/// returns: a batch is no cut in time across sites.
///
/// ```
/// use jlctl_shim::{Batch, define_static_key_false, define_static_key_true};
/// define_static_key_false!(static TRACE);
/// define_static_key_true!(static CHECKS);
/// let applied = Batch::new().enable(&TRACE).disable(&CHECKS).apply()?;
/// assert!(TRACE.is_enabled() && !CHECKS.is_enabled());
/// # Ok::<(), jlctl_shim::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before `apply`"]
pub struct Batch {
    inline: [Option<Queued>; Self::INLINE],
    len: usize,
    more: PageVec<Queued>,
    no_memory: Option<Errno>,
    allowed: Allowed,
}

type Queued = (&'static Key, Op);

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Operations that need no memory of their own.
    const INLINE: usize = 8;

    /// An empty batch.
    pub const fn new() -> Self {
        Self {
            inline: [None; Self::INLINE],
            len: 0,
            more: PageVec::new(),
            no_memory: None,
            allowed: Allowed { best_effort: false, proc_mem: false },
        }
    }

    /// Adds `key`'s enabling.
    pub fn enable(self, key: &'static impl TypedKey) -> Self {
        self.with(key.key(), Op::Enable)
    }

    /// Adds `key`'s disabling.
    pub fn disable(self, key: &'static impl TypedKey) -> Self {
        self.with(key.key(), Op::Disable)
    }

    /// Adds an increment of `key`.
    pub fn increment(self, key: &'static impl TypedKey) -> Self {
        self.with(key.key(), Op::Increment)
    }

    /// Adds a decrement of `key`.
    pub fn decrement(self, key: &'static impl TypedKey) -> Self {
        self.with(key.key(), Op::Decrement)
    }

    /// Adds `op` on `key`.
    pub fn with(mut self, key: &'static Key, op: Op) -> Self {
        self.push(key, op);
        self
    }

    /// Adds `op` on `key`.
    pub fn push(&mut self, key: &'static Key, op: Op) {
        if let Some(slot) = self.inline.get_mut(self.len) {
            *slot = Some((key, op));
            self.len += 1;
        } else if let Err(errno) = self.more.push((key, op)) {
            self.no_memory = Some(errno);
        }
    }

    /// Allows this batch what is not sound on every machine; it adds to what the process
    /// [allows](crate::allow).
    pub const fn allow(mut self, allowed: Allowed) -> Self {
        self.allowed = self.allowed.or(allowed);
        self
    }

    /// Does it, waiting for the batch of another thread.
    ///
    /// # Errors
    /// Why nothing was changed; see [`Error`].
    pub fn apply(&self) -> Result<Applied, Error> {
        self.run(Wait::Yes)
    }

    /// Does it, unless another thread's batch is under way: for signal handlers.
    ///
    /// # Errors
    /// The same, and [`Error::Busy`].
    pub fn try_apply(&self) -> Result<Applied, Error> {
        self.run(Wait::No)
    }

    fn ops(&self) -> impl Iterator<Item = Queued> + '_ {
        self.inline.iter().flatten().chain(self.more.as_slice()).copied()
    }

    fn run(&self, wait: Wait) -> Result<Applied, Error> {
        if let Some(errno) = self.no_memory {
            return Err(Error::NoMemory(errno));
        }
        let allowed = self.allowed.or(Allowed::in_process());
        apply_ops(self.ops(), allowed, wait)
    }
}

/// A batch of one.
impl Key {
    /// Enables the key: its count becomes 1 if it is 0.  When it returns, no thread that has
    /// been told so executes the old code any more.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn enable(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Enable)
    }

    /// Disables the key: its count becomes 0 if it is 1.
    ///
    /// # Errors
    /// Why nothing was changed; [`Error::Counted`] where it is enabled several times.
    pub fn disable(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Disable)
    }

    /// Adds 1 to the count; from 0 to 1 it is enabled.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn increment(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Increment)
    }

    /// Takes 1 from the count; from 1 to 0 it is disabled.
    ///
    /// # Errors
    /// Why nothing was changed; [`Error::Underflow`] where it is off.
    pub fn decrement(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Decrement)
    }

    fn apply(&'static self, op: Op) -> Result<Applied, Error> {
        apply_ops(core::iter::once((self, op)), Allowed::in_process(), Wait::Yes)
    }
}

/// Applies `ops` in their order, together.
///
/// # Errors
/// Why nothing was changed.
pub(crate) fn apply_ops(
    mut ops: impl Iterator<Item = Queued>,
    allowed: Allowed,
    wait: Wait,
) -> Result<Applied, Error> {
    process::ensure_started();
    if wait == Wait::Yes {
        runtime::handle_forks();
    }
    let mut held = runtime::enter(wait)?;
    let mut changes = Changes::new();
    let result = ops
        .try_for_each(|(key, op)| changes.add(key, op))
        .and_then(|()| apply::changes(&mut held, changes.as_slice(), allowed));
    if result.is_err() {
        held.record.counts.failed_batches += 1;
    }
    result
}

/// The synchronisation that a batch would get now.
///
/// # Errors
/// Why a batch would be refused.
pub fn sync_level() -> Result<SyncLevel, Refusal> {
    process::ensure_started();
    sync::choose(Allowed::in_process())
}
