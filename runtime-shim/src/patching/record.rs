//! What was patched, and by what synchronisation it is covered.

use crate::sys::page_vec::PageVec;
use crate::sync::SyncLevel;

/// Why a patch is not known to have reached all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Uncovered {
    /// It was written by the low-level queue, and no apply has followed.
    Queued,
    /// The synchronisation that would have covered it failed.
    SyncFailed,
    /// Only a best-effort synchronisation has covered it.
    BestEffort,
    /// The site does not follow its key: its object came after the key was flipped, and it
    /// could not be brought up to date.
    Stale,
}

impl Uncovered {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::SyncFailed => "sync-failed",
            Self::BestEffort => "best-effort",
            Self::Stale => "stale",
        }
    }
}

/// A patch that is not known to have reached all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UncoveredPatch {
    /// Address of the site.
    pub site: usize,
    /// Address of its key.
    pub key: usize,
    /// Why.
    pub why: Uncovered,
}

/// What the runtime has done in this process so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Counts {
    /// Batches that were applied; those that found nothing to flip are none.
    pub batches: u64,
    /// Batches that were refused or taken back.
    pub failed_batches: u64,
    /// Sites written, those taken back not counted.
    pub patches: u64,
    /// Strict synchronisations.
    pub strict_syncs: u64,
    /// Best-effort synchronisations.
    pub best_effort_syncs: u64,
    /// Synchronisations that failed.
    pub failed_syncs: u64,
    /// Patches that no strict synchronisation has covered yet.
    pub uncovered: u64,
    /// Of those, the ones that there was no room to remember.
    pub forgotten: u64,
    /// Runs of pages that could not be given back their protection.
    pub open_pages: u64,
}

/// The record that the runtime keeps.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) counts: Counts,
    uncovered: PageVec<UncoveredPatch>,
}

impl Record {
    /// Patches that are remembered one by one, at most.
    const ROOM: usize = 1 << 16;

    pub(crate) const fn new() -> Self {
        let counts = Counts {
            batches: 0,
            failed_batches: 0,
            patches: 0,
            strict_syncs: 0,
            best_effort_syncs: 0,
            failed_syncs: 0,
            uncovered: 0,
            forgotten: 0,
            open_pages: 0,
        };
        Self { counts, uncovered: PageVec::new() }
    }

    /// A synchronisation took place: everything before it is covered, or at its level.
    pub(crate) fn synced(&mut self, level: SyncLevel) {
        if level.is_strict() {
            self.counts.strict_syncs += 1;
            self.cover();
        } else {
            self.counts.best_effort_syncs += 1;
            for patch in self.uncovered.as_mut_slice() {
                if patch.why != Uncovered::Stale {
                    patch.why = Uncovered::BestEffort;
                }
            }
        }
    }

    /// A stale site is not: it has not been written at all.
    fn cover(&mut self) {
        let mut kept = 0;
        let patches = self.uncovered.as_mut_slice();
        for index in 0..patches.len() {
            if patches[index].why == Uncovered::Stale {
                patches.swap(kept, index);
                kept += 1;
            }
        }
        self.uncovered.truncate(kept);
        self.counts.uncovered = kept as u64;
        self.counts.forgotten = 0;
    }

    /// A synchronisation failed.
    pub(crate) fn sync_failed(&mut self) {
        self.counts.failed_syncs += 1;
    }

    /// A patch that is not covered.
    pub(crate) fn uncovered(&mut self, patch: UncoveredPatch) {
        self.counts.uncovered += 1;
        let has_room = self.uncovered.as_slice().len() < Self::ROOM;
        if !has_room || self.uncovered.push(patch).is_err() {
            self.counts.forgotten += 1;
        }
    }

    /// The patches that are not covered, as far as they are remembered.
    pub(crate) fn patches(&self) -> &[UncoveredPatch] {
        self.uncovered.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Method;

    fn patch(site: usize, why: Uncovered) -> UncoveredPatch {
        UncoveredPatch { site, key: 1, why }
    }

    #[test]
    fn a_strict_sync_covers_all_that_was_written() {
        let mut record = Record::new();
        record.uncovered(patch(1, Uncovered::Queued));
        record.uncovered(patch(2, Uncovered::Stale));
        record.uncovered(patch(3, Uncovered::SyncFailed));
        assert_eq!((record.counts.uncovered, record.patches().len()), (3, 3));
        record.synced(SyncLevel::BestEffort(Method::GlobalMembarrier));
        let why = |record: &Record, index: usize| record.patches()[index].why;
        assert_eq!(why(&record, 0), Uncovered::BestEffort);
        assert_eq!(why(&record, 1), Uncovered::Stale);
        assert_eq!(record.counts.uncovered, 3);
        record.synced(SyncLevel::Strict(Method::SyncCore));
        assert_eq!(record.patches(), [patch(2, Uncovered::Stale)]);
        assert_eq!(record.counts.uncovered, 1);
        assert_eq!((record.counts.strict_syncs, record.counts.best_effort_syncs), (1, 1));
    }

    #[test]
    #[cfg_attr(miri, ignore = "65,536 patches take minutes")]
    fn what_is_forgotten_is_counted() {
        let mut record = Record::new();
        for site in 0..Record::ROOM + 5 {
            record.uncovered(patch(site, Uncovered::Queued));
        }
        assert_eq!(record.counts.uncovered, Record::ROOM as u64 + 5);
        assert_eq!(record.counts.forgotten, 5);
    }
}
