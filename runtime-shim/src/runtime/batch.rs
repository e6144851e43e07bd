//! Batches: any number of keys, flipped together, with one final synchronisation.
//!
//! A batch is all or nothing, by the order of its steps (`patching::apply`).

use crate::runtime::error::Error;
use crate::runtime::key::{Key, Op, TypedKey};
use crate::runtime::patching::apply::{self, Applied};
use crate::runtime::patching::changes::Changes;
use crate::runtime::patching::state::{self, Wait};
use crate::runtime::process;
use crate::runtime::sync::{self, Allowed, Refusal, SyncLevel};
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::page_vec::PageVec;

/// Operations on keys that take effect together, or not at all.
///
/// Until [`apply`](Self::apply) returns, other threads execute the old or the new code of each
/// site, independently for each site: a batch is not atomic across sites.
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
#[must_use = "a batch has no effect before `apply`"]
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
    /// Number of operations that need no memory outside the batch.
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

    /// Adds an enable of `key`; see [`Op::Enable`].
    pub fn enable(self, key: &'static impl TypedKey) -> Self {
        self.with(key.key(), Op::Enable)
    }

    /// Adds a disable of `key`; see [`Op::Disable`].
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

    /// Allows this batch the methods in `allowed`, which are not sound on every machine, in
    /// addition to those that the process [allows](crate::allow).
    pub const fn allow(mut self, allowed: Allowed) -> Self {
        self.allowed = self.allowed.or(allowed);
        self
    }

    /// Applies the batch.  It waits while another thread applies one.
    ///
    /// # Errors
    /// The reason why nothing was changed; see [`Error`].
    pub fn apply(&self) -> Result<Applied, Error> {
        self.run(Wait::Yes)
    }

    /// Applies the batch, unless another batch is in progress: for signal handlers.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), and [`Error::Busy`].
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

/// Batches of one operation.
impl Key {
    /// Enables the key: a count of 0 becomes 1.  After it has returned, no thread that learns
    /// of the flip executes the old code.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub fn enable(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Enable)
    }

    /// Disables the key: a count of 1 becomes 0.
    ///
    /// # Errors
    /// The reason why nothing was changed; [`Error::Counted`] if the count is higher than 1.
    pub fn disable(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Disable)
    }

    /// Adds 1 to the count; the step from 0 to 1 enables the key.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub fn increment(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Increment)
    }

    /// Subtracts 1 from the count; the step from 1 to 0 disables the key.
    ///
    /// # Errors
    /// The reason why nothing was changed; [`Error::Underflow`] if the key is off.
    pub fn decrement(&'static self) -> Result<Applied, Error> {
        self.apply(Op::Decrement)
    }

    fn apply(&'static self, op: Op) -> Result<Applied, Error> {
        apply_ops(core::iter::once((self, op)), Allowed::in_process(), Wait::Yes)
    }
}

/// Applies `ops` together, in their order.
///
/// # Errors
/// The reason why nothing was changed.
pub(crate) fn apply_ops(
    mut ops: impl Iterator<Item = Queued>,
    allowed: Allowed,
    wait: Wait,
) -> Result<Applied, Error> {
    process::ensure_started();
    if wait == Wait::Yes {
        state::handle_forks();
    }
    let mut held = state::enter(wait)?;
    let mut changes = Changes::new();
    let result = ops
        .try_for_each(|(key, op)| changes.add(key, op))
        .and_then(|()| apply::apply_changes(&mut held, changes.as_slice(), allowed));
    if result.is_err() {
        held.record.counts.failed_batches += 1;
    }
    result
}

/// The synchronisation that a batch would use now.
///
/// # Errors
/// The reason why a batch would be refused now.
pub fn sync_level() -> Result<SyncLevel, Refusal> {
    process::ensure_started();
    sync::choose(Allowed::in_process())
}
