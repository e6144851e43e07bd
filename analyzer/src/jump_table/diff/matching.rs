//! Pairs items of two sides, best pairs first.

use super::stable_name::permille;
use foldhash::{HashMap, HashMapExt as _};
use std::collections::VecDeque;
use std::hash::Hash;

/// Most pairs that one function may suggest.  Beyond this number items of one function are
/// paired only in order, so that damaged tables cannot make the work quadratic.
const MAX_PAIRS: usize = 256;

/// A possible pair, by rank on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PairCandidate {
    pub(super) score: u32,
    pub(super) a: usize,
    pub(super) b: usize,
}

/// Selects pairs by score, and ties by rank; each item is used once.
///
/// The order of two pairs with a common item does not depend on which side is called a, so
/// neither does the result.
pub(super) fn best_pairs(mut candidates: Vec<PairCandidate>) -> Vec<(usize, usize)> {
    candidates.sort_unstable_by_key(|pair| (std::cmp::Reverse(pair.score), pair.a, pair.b));
    let size = |of: fn(&PairCandidate) -> usize| candidates.iter().map(|pair| of(pair) + 1).max();
    let mut used_a = vec![false; size(|pair| pair.a).unwrap_or(0)];
    let mut used_b = vec![false; size(|pair| pair.b).unwrap_or(0)];
    let mut pairs = Vec::new();
    for PairCandidate { a, b, .. } in candidates {
        if !used_a[a] && !used_b[b] {
            (used_a[a], used_b[b]) = (true, true);
            pairs.push((a, b));
        }
    }
    pairs
}

/// Pairs items with equal properties, those of one property in order.  Items without the
/// property stay unpaired.
pub(super) fn equal_pairs<T: Hash + Eq>(
    a: &[usize],
    b: &[usize],
    property_a: impl Fn(usize) -> Option<T>,
    property_b: impl Fn(usize) -> Option<T>,
) -> Vec<(usize, usize)> {
    let mut waiting: HashMap<T, VecDeque<usize>> = HashMap::new();
    for &item in b {
        if let Some(property) = property_b(item) {
            waiting.entry(property).or_default().push_back(item);
        }
    }
    let mut partner = |item: usize| waiting.get_mut(&property_a(item)?)?.pop_front();
    a.iter().filter_map(|&item| Some((item, partner(item)?))).collect()
}

/// Removes the items of `gone` from a list.
pub(super) fn remove(from: &mut Vec<usize>, gone: impl Iterator<Item = usize>) {
    let mut gone: Vec<usize> = gone.collect();
    gone.sort_unstable();
    from.retain(|item| gone.binary_search(item).is_err());
}

/// Number of sites of an item in each function, sorted by function.
pub(super) type FunctionCounts = Vec<(u32, usize)>;

/// Pairs that have functions in common, each with the number of sites in common functions. `a`
/// and `b` are the counts of each item, by rank.
pub(super) fn sharing(a: &[&FunctionCounts], b: &[&FunctionCounts]) -> Vec<(usize, usize, usize)> {
    let (of_a, of_b) = (by_function(a), by_function(b));
    let mut shared: Vec<(usize, usize, usize)> = Vec::new();
    for (function, in_a) in &of_a {
        let at = of_b.binary_search_by_key(function, |(function, _)| *function);
        let Some((_, in_b)) = at.ok().map(|at| &of_b[at]) else { continue };
        if in_a.len().saturating_mul(in_b.len()) <= MAX_PAIRS {
            for (a, sites_a) in in_a {
                shared.extend(in_b.iter().map(|(b, sites)| (*a, *b, *sites.min(sites_a))));
            }
        } else {
            let in_order = in_a.iter().zip(in_b);
            shared.extend(in_order.map(|((a, in_a), (b, in_b))| (*a, *b, *in_a.min(in_b))));
        }
    }
    shared.sort_unstable();
    shared
        .chunk_by(|x, y| (x.0, x.1) == (y.0, y.1))
        .map(|same| (same[0].0, same[0].1, same.iter().map(|pair| pair.2).sum()))
        .collect()
}

fn by_function(things: &[&FunctionCounts]) -> Vec<(u32, Vec<(usize, usize)>)> {
    let mut all: Vec<(u32, usize, usize)> = Vec::new();
    for (rank, counts) in things.iter().enumerate() {
        all.extend(counts.iter().map(|(function, sites)| (*function, rank, *sites)));
    }
    all.sort_unstable();
    all.chunk_by(|x, y| x.0 == y.0)
        .map(|same| (same[0].0, same.iter().map(|(_, rank, sites)| (*rank, *sites)).collect()))
        .collect()
}

/// The share of sites in common functions, in thousandths (Dice's coefficient).
pub(super) fn overlap(shared: usize, a: &FunctionCounts, b: &FunctionCounts) -> u32 {
    let total = |counts: &FunctionCounts| counts.iter().map(|(_, sites)| sites).sum::<usize>();
    permille(2 * shared, total(a) + total(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_pairs_go_first_and_ties_in_order() {
        let pair = |score, a, b| PairCandidate { score, a, b };
        let found = best_pairs(vec![pair(1, 0, 0), pair(2, 0, 1), pair(1, 1, 1), pair(1, 1, 0)]);
        assert_eq!(found, [(0, 1), (1, 0)]);
        let found = best_pairs(vec![pair(1, 1, 0), pair(1, 0, 0), pair(1, 1, 1), pair(1, 0, 1)]);
        assert_eq!(found, [(0, 0), (1, 1)]);
    }

    #[test]
    fn equal_things_are_paired_in_order() {
        let of = |names: &'static [&str]| move |at: usize| Some(names[at]).filter(|n| *n != "-");
        let (a, b) = (of(&["x", "y", "x", "-"]), of(&["-", "x", "x", "x"]));
        assert_eq!(equal_pairs(&[0, 1, 2, 3], &[0, 1, 2, 3], a, b), [(0, 1), (2, 2)]);
    }

    #[test]
    fn sharing_is_bounded() {
        let one: FunctionCounts = vec![(7, 2)];
        let (a, b) = (vec![&one; 1000], vec![&one; 900]);
        let found = sharing(&a, &b);
        assert_eq!(found.len(), 900);
        assert!(found.iter().all(|(a, b, shared)| a == b && *shared == 2));
        assert_eq!(sharing(&a[..3], &b[..5]).len(), 15);
        assert_eq!(overlap(2, &one, &vec![(7, 2), (9, 4)]), 500);
    }
}
