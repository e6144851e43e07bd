//! The bounded queue: ops are queued until it is full, applied as one batch, and queuing goes on
//! (`kernel/jump_label.c`, Linux 6.12, __jump_label_update).

use super::model::Batch;
use std::num::NonZeroUsize;

/// The ops that wait for their batch.
#[derive(Debug)]
pub(super) struct Queue {
    bound: Option<NonZeroUsize>,
    /// Index of the first waiting op.
    first: usize,
    waiting: usize,
}

/// The queue is full: apply it, and retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Queue {
    pub(super) fn new(bound: Option<NonZeroUsize>) -> Self {
        Self { bound, first: 0, waiting: 0 }
    }

    /// Queues the next op.
    pub(super) fn queue(&mut self) -> Result<(), Full> {
        if self.bound.is_some_and(|bound| self.waiting >= bound.get()) {
            return Err(Full);
        }
        self.waiting += 1;
        Ok(())
    }

    /// Makes a batch of all waiting ops; `None` if there are none.
    pub(super) fn apply(&mut self) -> Option<Batch> {
        let batch = Batch { first: self.first, ops: self.waiting };
        self.first += std::mem::take(&mut self.waiting);
        (batch.ops > 0).then_some(batch)
    }
}

/// Splits `ops` ops, in order, into batches.
pub(super) fn batches(ops: usize, bound: Option<NonZeroUsize>) -> Vec<Batch> {
    let mut queue = Queue::new(bound);
    let mut batches = Vec::new();
    for _ in 0..ops {
        while queue.queue() == Err(Full) {
            batches.extend(queue.apply());
        }
    }
    batches.extend(queue.apply());
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn full_apply_retry() {
        let sizes = |ops, bound| -> Vec<usize> {
            batches(ops, NonZeroUsize::new(bound)).iter().map(|batch| batch.ops).collect()
        };
        assert_eq!(sizes(0, 3), [0; 0]);
        assert_eq!(sizes(3, 3), [3]);
        assert_eq!(sizes(7, 3), [3, 3, 1]);
        assert_eq!(sizes(7, 0), [7], "no bound");
    }

    proptest! {
        #[test]
        fn batches_cover_all_ops_and_never_exceed_the_queue(ops in 0usize..5000, bound in 1usize..300) {
            let batches = batches(ops, NonZeroUsize::new(bound));
            let mut next = 0;
            for batch in &batches {
                prop_assert_eq!(batch.first, next);
                prop_assert!(batch.ops >= 1 && batch.ops <= bound);
                next += batch.ops;
            }
            prop_assert_eq!(next, ops);
        }
    }
}
