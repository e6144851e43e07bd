//! Matches the sites of a key.
//!
//! Sites of one function are paired in order: first those with the same branch sense, then the
//! others.  The remaining sites moved to another function if the key has as many sites as
//! before and a single function of one side accounts for all of them, or if the functions have
//! similar names.  Otherwise they were removed or added.

use super::matching::{PairCandidate, best_pairs, equal_pairs, remove};
use super::prepared::{FunctionId, FunctionNames, Prepared};
use super::stable_name::{similarity_of_words, words};
use std::collections::BTreeMap;
use std::hash::Hash;

/// Least similarity, in thousandths, of the names of functions between which sites move.
const SIMILAR: u32 = 600;
/// Most pairs of functions whose names are compared, per site of the key.  The measured kernels
/// need at most 15; the bound keeps the work linear.
const MAX_PAIRS_PER_SITE: usize = 32;

/// A site that both tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SitePair {
    /// Index in [`super::TableModel::sites`] of the first table.
    pub a: usize,
    /// Index in those of the second table.
    pub b: usize,
    /// Whether it is in another function.
    pub is_moved: bool,
    /// Whether the branch changed between likely and unlikely.
    pub is_turned: bool,
    /// Whether a NOP became a branch, or the reverse.
    pub is_rewritten: bool,
}

/// The differences of the sites of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SitesDiff {
    /// Sites of both tables, sorted by the first.
    pub pairs: Vec<SitePair>,
    /// Sites of the first table only.
    pub removed: Vec<usize>,
    /// Sites of the second table only.
    pub added: Vec<usize>,
}

impl SitesDiff {
    /// Whether any site was added, removed, moved, turned or rewritten.
    #[must_use]
    pub fn is_different(&self) -> bool {
        let differs = |pair: &SitePair| pair.is_moved || pair.is_turned || pair.is_rewritten;
        !self.removed.is_empty() || !self.added.is_empty() || self.pairs.iter().any(differs)
    }
}

/// Sites without a partner, by function.
type ByFunction = BTreeMap<Option<FunctionId>, Vec<usize>>;

pub(super) fn site_pairs(
    (a, key_a): (&Prepared<'_>, usize),
    (b, key_b): (&Prepared<'_>, usize),
    functions: &FunctionNames<'_>,
) -> SitesDiff {
    let mut pairs = Vec::new();
    let (mut in_a, mut in_b) = (by_function(a, key_a), by_function(b, key_b));
    for (function, of_a) in &mut in_a {
        let Some(of_b) = in_b.get_mut(function) else { continue };
        let sense = |side: &Prepared<'_>, site: usize| side.model.sites[site].branch;
        take_in_order(of_a, of_b, &mut pairs, |site| sense(a, site), |site| sense(b, site));
        take_in_order(of_a, of_b, &mut pairs, |_| (), |_| ());
    }
    in_a.retain(|_, sites| !sites.is_empty());
    in_b.retain(|_, sites| !sites.is_empty());
    let max_pairs = MAX_PAIRS_PER_SITE * (a.sites[key_a].len() + b.sites[key_b].len());
    let mut moved = Vec::new();
    for (from, to) in functions_moved_between(&in_a, &in_b, max_pairs, functions) {
        if let (Some(of_a), Some(of_b)) = (in_a.get_mut(&Some(from)), in_b.get_mut(&Some(to))) {
            take_in_order(of_a, of_b, &mut moved, |_| (), |_| ());
        }
    }
    let (mut removed, mut added) = (in_order(in_a), in_order(in_b));
    let is_one = |side: &Prepared<'_>, sites: &[usize]| {
        sites.iter().all(|site| side.function_of[*site] == side.function_of[sites[0]])
    };
    let all_known = |side: &Prepared<'_>, sites: &[usize]| {
        sites.iter().all(|site| side.function_of[*site].is_some())
    };
    if removed.len() == added.len()
        && all_known(a, &removed)
        && all_known(b, &added)
        && (is_one(a, &removed) || is_one(b, &added))
    {
        moved.extend(removed.drain(..).zip(added.drain(..)));
    }
    let site_pair = |is_moved: bool| {
        move |(at_a, at_b): (usize, usize)| {
            let (x, y) = (&a.model.sites[at_a], &b.model.sites[at_b]);
            let (is_turned, is_rewritten) = (x.branch != y.branch, x.insn != y.insn);
            SitePair { a: at_a, b: at_b, is_moved, is_turned, is_rewritten }
        }
    };
    let mut pairs: Vec<SitePair> = pairs.into_iter().map(site_pair(false)).collect();
    pairs.extend(moved.into_iter().map(site_pair(true)));
    pairs.sort_unstable();
    SitesDiff { pairs, removed, added }
}

fn by_function(side: &Prepared<'_>, key: usize) -> ByFunction {
    let mut sites = ByFunction::new();
    for site in &side.sites[key] {
        sites.entry(side.function_of[*site]).or_default().push(*site);
    }
    sites
}

fn in_order(sites: ByFunction) -> Vec<usize> {
    let mut sites: Vec<usize> = sites.into_values().flatten().collect();
    sites.sort_unstable();
    sites
}

/// Pairs sites of one class in order, and removes them from both lists.
fn take_in_order<T: Hash + Eq>(
    of_a: &mut Vec<usize>,
    of_b: &mut Vec<usize>,
    pairs: &mut Vec<(usize, usize)>,
    class_a: impl Fn(usize) -> T,
    class_b: impl Fn(usize) -> T,
) {
    let found = equal_pairs(of_a, of_b, |site| Some(class_a(site)), |site| Some(class_b(site)));
    remove(of_a, found.iter().map(|pair| pair.0));
    remove(of_b, found.iter().map(|pair| pair.1));
    pairs.extend(found);
}

/// Functions with similar names, most similar first.  Two functions that both have sites in
/// both tables are not paired: neither replaced the other.
fn functions_moved_between(
    in_a: &ByFunction,
    in_b: &ByFunction,
    max_pairs: usize,
    functions: &FunctionNames<'_>,
) -> Vec<(FunctionId, FunctionId)> {
    let known = |sites: &ByFunction| {
        let mut known: Vec<FunctionId> = sites.keys().copied().flatten().collect();
        // Sorted by name: the numbers depend on which table was read first.
        known.sort_unstable_by_key(|id| functions.name(*id));
        known
    };
    let (of_a, of_b) = (known(in_a), known(in_b));
    if of_a.len().saturating_mul(of_b.len()) > max_pairs {
        return Vec::new();
    }
    let words_of =
        |of: &[FunctionId]| -> Vec<_> { of.iter().map(|id| words(functions.name(*id))).collect() };
    let (words_a, words_b) = (words_of(&of_a), words_of(&of_b));
    let mut candidates = Vec::new();
    for (a, from) in of_a.iter().enumerate() {
        for (b, to) in of_b.iter().enumerate() {
            let score = similarity_of_words(&words_a[a], &words_b[b]);
            let both_stay = functions.is_in_both(*from) && functions.is_in_both(*to);
            if score >= SIMILAR && !both_stay {
                candidates.push(PairCandidate { score, a, b });
            }
        }
    }
    best_pairs(candidates).into_iter().map(|(a, b)| (of_a[a], of_b[b])).collect()
}
