//! The state that a refused batch must not change.

use super::memory::{code, sum_of_code};
use jlctl_shim::{Counts, report};
use std::ops::Range;

/// Code, its protections, and the counts of the report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    counts: Counts,
    protections: Vec<(Range<usize>, String)>,
    sum: u64,
}

impl Snapshot {
    /// The current state, in a process without other activity.
    pub(crate) fn take() -> Self {
        let counts = report().expect("a report");
        Self { counts, protections: protections(), sum: sum_of_code() }
    }

    /// Asserts that nothing has changed except the count of failed batches, by `failed`.
    pub(crate) fn assert_unchanged(&self, failed: u64) {
        let now = Self::take();
        let mut counts = self.counts;
        counts.failed_batches += failed;
        assert_eq!(now.counts, counts);
        assert_eq!(now.protections, self.protections);
        assert_eq!(now.sum, self.sum, "code has changed");
    }
}

/// The protections of code, independent of how the kernel splits mappings.
fn protections() -> Vec<(Range<usize>, String)> {
    let mut all: Vec<(Range<usize>, String)> = Vec::new();
    for mapping in code() {
        match all.last_mut() {
            Some((range, permissions))
                if range.end == mapping.range.start && *permissions == mapping.permissions =>
            {
                range.end = mapping.range.end;
            }
            _ => all.push((mapping.range, mapping.permissions)),
        }
    }
    all
}
