//! Threads that each work on one file at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `work` on each item and its index in `threads` threads; the results are in the order of the
/// items. The threads are not part of the pool that works inside a file: a thread of the pool that
/// waits would start another file, and another inside that one, with all of them in memory.
pub(crate) fn one_by_one<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some((at, item)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|at| Some((at, items.get(at)?)))
                {
                    let result = work(at, item);
                    if let Ok(mut results) = results.lock() {
                        results.push((at, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// As many threads as there are cores.
pub(crate) fn of_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        let twice = |at: usize, item: &usize| at + item;
        let expected: Vec<usize> = (0..100).map(|at| 2 * at).collect();
        for threads in [1, 3, 200] {
            assert_eq!(one_by_one(threads, &items, twice), expected);
        }
        assert!(one_by_one(4, &[], twice).is_empty());
    }
}
