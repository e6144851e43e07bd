//! What the control socket was asked.

use core::sync::atomic::{AtomicU64, Ordering};

/// A count, with its name in the report.
pub(super) struct Count {
    name: &'static str,
    value: AtomicU64,
}

impl Count {
    const fn new(name: &'static str) -> Self {
        Self { name, value: AtomicU64::new(0) }
    }

    /// Counts one more.
    pub(super) fn add(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
    }
}

/// Requests, of whatever kind and outcome.
pub(super) static REQUESTS: Count = Count::new("control_requests");
/// Batches that were applied.
pub(super) static BATCHES: Count = Count::new("control_batches");
/// Connections of users who may not.
pub(super) static REFUSED: Count = Count::new("control_refused");

/// All counts, with their names.
pub(crate) fn counts() -> [(&'static str, u64); 3] {
    [&REQUESTS, &BATCHES, &REFUSED].map(|count| (count.name, count.value.load(Ordering::Relaxed)))
}
