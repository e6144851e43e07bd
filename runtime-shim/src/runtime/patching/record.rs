//! The record of patches, and of the synchronisations that cover them.

use crate::runtime::sync::SyncLevel;
use crate::runtime::sys::page_vec::PageVec;

/// The reason why a patch may not have reached all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Uncovered {
    /// [`transform::queue`](crate::transform::queue) wrote the patch, and no apply has followed.
    Queued,
    /// The synchronisation that would have covered the patch failed.
    SyncFailed,
    /// Only a best-effort synchronisation has covered the patch.
    BestEffort,
    /// The site does not follow its key: its object was loaded after the key was flipped, and
    /// the site could not be patched.
    Stale,
}

impl Uncovered {
    /// The name of the reason in reports.
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

/// A patch that may not have reached all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UncoveredPatch {
    /// Address of the site.
    pub site: usize,
    /// Address of its key.
    pub key: usize,
    /// The reason.
    pub why: Uncovered,
}

/// Counts of what the runtime has done in this process so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Counts {
    /// Batches that patched at least one site.
    pub batches: u64,
    /// Batches that were refused or rolled back.
    pub failed_batches: u64,
    /// Sites that were written, without those that were rolled back.
    pub patches: u64,
    /// Strict synchronisations.
    pub strict_syncs: u64,
    /// Best-effort synchronisations.
    pub best_effort_syncs: u64,
    /// Synchronisations that failed.
    pub failed_syncs: u64,
    /// Patches that no strict synchronisation has covered yet.
    pub uncovered: u64,
    /// Of the uncovered patches, those that the list does not contain for lack of room.
    pub forgotten: u64,
    /// Runs of pages whose protection could not be restored.
    pub open_pages: u64,
}

/// The record of the runtime.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) counts: Counts,
    uncovered: PageVec<UncoveredPatch>,
}

impl Record {
    /// The most uncovered patches that are listed.
    const CAPACITY: usize = 1 << 16;

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

    /// Records a synchronisation, which covers all patches before it at its level.
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

    /// Removes all covered patches.  A stale site stays: it has not been written.
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

    /// Records a synchronisation that failed.
    pub(crate) fn sync_failed(&mut self) {
        self.counts.failed_syncs += 1;
    }

    /// Records a patch that is not covered.
    pub(crate) fn uncovered(&mut self, patch: UncoveredPatch) {
        self.counts.uncovered += 1;
        let has_room = self.uncovered.as_slice().len() < Self::CAPACITY;
        if !has_room || self.uncovered.push(patch).is_err() {
            self.counts.forgotten += 1;
        }
    }

    /// The uncovered patches, as far as they are listed.
    pub(crate) fn patches(&self) -> &[UncoveredPatch] {
        self.uncovered.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::sync::Method;

    fn patch(site: usize, why: Uncovered) -> UncoveredPatch {
        UncoveredPatch { site, key: 1, why }
    }

    #[test]
    fn a_strict_sync_covers_all_written_sites() {
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
    fn patches_without_room_are_counted() {
        let mut record = Record::new();
        for site in 0..Record::CAPACITY + 5 {
            record.uncovered(patch(site, Uncovered::Queued));
        }
        assert_eq!(record.counts.uncovered, Record::CAPACITY as u64 + 5);
        assert_eq!(record.counts.forgotten, 5);
    }
}
