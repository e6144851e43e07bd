//! Matches the keys of two tables.
//!
//! 1. Keys whose holders have the same name, compared without numbering and file, form a
//!    family.  A family of one key on each side is a match.
//! 2. In larger families (repeated names and arrays) keys are distinguished by their sites.
//!    Keys that are equal in everything, including numbering and address, match first; then
//!    those with the same functions and branch senses; then those with the most sites in common
//!    functions, where the same offset in the holder counts in favour.
//! 3. An array element whose sites do not decide matches the element at the same index, unless
//!    other elements of that array changed theirs.
//! 4. A key without a match was renamed if a key of another name has its address, in builds
//!    with the same layout, or has its sites.

use super::matching::{
    FunctionCounts, PairCandidate, best_pairs, equal_pairs, overlap, remove, sharing,
};
use super::prepared::Prepared;
use super::stable_name::similarity;
use foldhash::{HashMap, HashMapExt as _};

/// The evidence that two keys are the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyMatch {
    /// The name without numbering.
    Name,
    /// The holder's name and the functions of the sites.
    Sites,
    /// The holder's name and the offset in it; the sites have no function in common.
    Position,
    /// The same address under another name.
    RenamedByAddress,
    /// The same sites under another name, or most of them under a similar name.
    RenamedBySites,
}

impl KeyMatch {
    /// Whether the key has another name.
    #[must_use]
    pub const fn is_renamed(self) -> bool {
        matches!(self, Self::RenamedByAddress | Self::RenamedBySites)
    }
}

/// Least overlap, in thousandths, of keys at different offsets in a holder.
const SHIFTED: u32 = 400;
/// Added to an overlap for the same offset in the holder, and for the same file.
const SAME_POSITION: u32 = 250;
/// Least similarity, in thousandths, of the names of a renamed key.
const SIMILAR_NAME: u32 = 500;
/// Least overlap of keys with similar names, and least sum of overlap and similarity.
const SOME_SITES: u32 = 300;
const SITES_AND_NAME: u32 = 900;
/// Overlap, in thousandths, that suffices without a similar name if several functions show it.
const SAME_SITES: u32 = 750;

pub(super) type Pair = (usize, usize, KeyMatch);

/// All pairs of keys, sorted by the first.
pub(super) fn key_pairs(a: &Prepared<'_>, b: &Prepared<'_>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (in_a, in_b) in families(a, b) {
        let is_same_shape = (in_a.len() > 1) == (in_b.len() > 1);
        KeyFamily { a, b, in_a, in_b, pairs: Vec::new(), is_same_shape }.finish(&mut pairs);
    }
    let is_same_layout = is_same_layout(a, b, &pairs);
    renamed_by_address(a, b, is_same_layout, &mut pairs);
    renamed_by_sites(a, b, &mut pairs);
    pairs.sort_unstable();
    pairs
}

/// Keys of each holder that both tables have, in the order of the first table.
fn families(a: &Prepared<'_>, b: &Prepared<'_>) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut of_holder: HashMap<&str, usize> = HashMap::new();
    let mut families: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for (key, name) in a.names.iter().enumerate() {
        let family = *of_holder.entry(name.holder).or_insert_with(|| {
            families.push((Vec::new(), Vec::new()));
            families.len() - 1
        });
        families[family].0.push(key);
    }
    for (key, name) in b.names.iter().enumerate() {
        if let Some(family) = of_holder.get(name.holder) {
            families[*family].1.push(key);
        }
    }
    families.retain(|(_, in_b)| !in_b.is_empty());
    families
}

struct KeyFamily<'a> {
    a: &'a Prepared<'a>,
    b: &'a Prepared<'a>,
    /// Keys without a partner so far.
    in_a: Vec<usize>,
    in_b: Vec<usize>,
    pairs: Vec<Pair>,
    /// Whether both sides have one key, or both have several.
    is_same_shape: bool,
}

impl KeyFamily<'_> {
    fn finish(mut self, pairs: &mut Vec<Pair>) {
        let is_one = self.in_a.len() == 1 && self.in_b.len() == 1;
        let has_name = !self.a.names[self.in_a[0]].holder.is_empty();
        if is_one && has_name && self.is_same_position(self.in_a[0], self.in_b[0]) {
            self.take(&[(self.in_a[0], self.in_b[0])], KeyMatch::Name);
        } else {
            self.by_everything();
            self.by_signature();
            self.by_functions();
            self.by_position();
        }
        pairs.append(&mut self.pairs);
    }

    fn take(&mut self, found: &[(usize, usize)], identity: KeyMatch) {
        self.pairs.extend(found.iter().map(|(a, b)| (*a, *b, identity)));
        remove(&mut self.in_a, found.iter().map(|pair| pair.0));
        remove(&mut self.in_b, found.iter().map(|pair| pair.1));
    }

    fn is_same_position(&self, a: usize, b: usize) -> bool {
        self.a.names[a].path == self.b.names[b].path
    }

    /// Matches keys that did not change at all, including numbering and address.
    fn by_everything(&mut self) {
        let all = |side: &'_ Prepared<'_>, key: usize| {
            let model = &side.model.keys[key];
            Some((model.name.to_string(), model.address.clone(), side.counts[key].clone()))
        };
        let (a, b) = (self.a, self.b);
        let found = equal_pairs(&self.in_a, &self.in_b, |key| all(a, key), |key| all(b, key));
        self.take(&found, KeyMatch::Name);
    }

    fn by_signature(&mut self) {
        let (a, b) = (self.a, self.b);
        let placed = |side: &Prepared<'_>, key: usize| {
            Some((side.names[key].path.to_owned(), side.names[key].file?.to_owned()))
                .zip(side.signature(key))
        };
        let found = equal_pairs(&self.in_a, &self.in_b, |key| placed(a, key), |key| placed(b, key));
        self.take(&found, KeyMatch::Sites);
        let at_position = |side: &Prepared<'_>, key: usize| {
            Some((side.names[key].path.to_owned(), side.signature(key)?))
        };
        let found = equal_pairs(
            &self.in_a,
            &self.in_b,
            |key| at_position(a, key),
            |key| at_position(b, key),
        );
        self.take(&found, KeyMatch::Sites);
        let found =
            equal_pairs(&self.in_a, &self.in_b, |key| a.signature(key), |key| b.signature(key));
        self.take(&found, KeyMatch::Sites);
    }

    fn by_functions(&mut self) {
        let counts = |side: &'_ Prepared<'_>, keys: &[usize]| -> Vec<FunctionCounts> {
            keys.iter().map(|key| side.counts[*key].clone()).collect()
        };
        let (of_a, of_b) = (counts(self.a, &self.in_a), counts(self.b, &self.in_b));
        // One key against several was split or merged: the parts are other keys.
        let is_same_shape = self.is_same_shape;
        let (of_a, of_b): (Vec<_>, Vec<_>) = (of_a.iter().collect(), of_b.iter().collect());
        let candidate = |(a, b, shared): (usize, usize, usize)| {
            let (key_a, key_b) = (self.in_a[a], self.in_b[b]);
            let (name_a, name_b) = (self.a.names[key_a], self.b.names[key_b]);
            let overlap = overlap(shared, of_a[a], of_b[b]);
            let is_same_position = name_a.path == name_b.path;
            let is_same_file = name_a.file.is_some() && name_a.file == name_b.file;
            let bonus = SAME_POSITION * (u32::from(is_same_position) + u32::from(is_same_file));
            // The same offset alone is no evidence for a repeated name.
            let is_numbered = name_a.is_numbered || name_b.is_numbered;
            let is_shifted = overlap >= SHIFTED && (is_same_position || is_same_shape);
            let is_likely = is_shifted || (is_same_position && !is_numbered);
            is_likely.then_some(PairCandidate { score: overlap + bonus, a, b })
        };
        let candidates = sharing(&of_a, &of_b).into_iter().filter_map(candidate).collect();
        let found: Vec<(usize, usize)> =
            best_pairs(candidates).into_iter().map(|(a, b)| (self.in_a[a], self.in_b[b])).collect();
        self.take(&found, KeyMatch::Sites);
    }

    fn by_position(&mut self) {
        if self.pairs.iter().any(|(a, b, _)| !self.is_same_position(*a, *b)) {
            return;
        }
        let (a, b) = (self.a, self.b);
        let is_unique = |side: &Prepared<'_>, keys: &[usize]| {
            let mut seen: HashMap<&str, usize> = HashMap::new();
            for key in keys {
                *seen.entry(side.names[*key].path).or_default() += 1;
            }
            let unique = |key: usize| seen.get(side.names[key].path) == Some(&1);
            keys.iter().copied().filter(|key| unique(*key)).collect::<Vec<usize>>()
        };
        let has_name = |side: &Prepared<'_>, key: usize| !side.names[key].is_numbered;
        let in_a: Vec<usize> = is_unique(a, &self.in_a);
        let in_b: Vec<usize> = is_unique(b, &self.in_b);
        let position = |side: &Prepared<'_>, key: usize| {
            has_name(side, key)
                .then(|| (side.names[key].path.to_owned(), side.names[key].file.map(str::to_owned)))
        };
        let found = equal_pairs(&in_a, &in_b, |key| position(a, key), |key| position(b, key));
        self.take(&found, KeyMatch::Position);
    }
}

/// Whether nearly all keys have the same addresses in both tables.
fn is_same_layout(a: &Prepared<'_>, b: &Prepared<'_>, pairs: &[Pair]) -> bool {
    let stays = |pair: &&Pair| a.model.keys[pair.0].address == b.model.keys[pair.1].address;
    let staying = pairs.iter().filter(stays).count();
    !pairs.is_empty() && staying.saturating_mul(10) >= pairs.len().saturating_mul(9)
}

/// Keys without a partner.
pub(super) fn alone(keys: usize, partnered: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut has_partner = vec![false; keys];
    partnered.for_each(|key| has_partner[key] = true);
    (0..keys).filter(|key| !has_partner[*key]).collect()
}

fn both_alone(a: &Prepared<'_>, b: &Prepared<'_>, pairs: &[Pair]) -> (Vec<usize>, Vec<usize>) {
    let of_a = alone(a.names.len(), pairs.iter().map(|pair| pair.0));
    (of_a, alone(b.names.len(), pairs.iter().map(|pair| pair.1)))
}

fn renamed_by_address(
    a: &Prepared<'_>,
    b: &Prepared<'_>,
    is_same_layout: bool,
    pairs: &mut Vec<Pair>,
) {
    let (in_a, in_b) = both_alone(a, b, pairs);
    let address = |side: &Prepared<'_>, key: usize| {
        let model = &side.model.keys[key];
        // Numbered names change without a reason, and a key in another image has no address of
        // its own.
        let known = !side.names[key].is_numbered && model.section.is_some();
        known.then(|| (model.address.clone(), model.section.map(str::to_owned)))
    };
    let found = equal_pairs(&in_a, &in_b, |key| address(a, key), |key| address(b, key));
    let has_evidence = |pair: &&(usize, usize)| {
        let same_sites =
            || a.signature(pair.0).is_some() && a.signature(pair.0) == b.signature(pair.1);
        is_same_layout || same_sites()
    };
    pairs.extend(
        found.iter().filter(has_evidence).map(|(a, b)| (*a, *b, KeyMatch::RenamedByAddress)),
    );
}

fn renamed_by_sites(a: &Prepared<'_>, b: &Prepared<'_>, pairs: &mut Vec<Pair>) {
    let (mut in_a, mut in_b) = both_alone(a, b, pairs);
    in_a.retain(|key| !a.names[*key].is_numbered);
    in_b.retain(|key| !b.names[*key].is_numbered);
    let of_a: Vec<&FunctionCounts> = in_a.iter().map(|key| &a.counts[*key]).collect();
    let of_b: Vec<&FunctionCounts> = in_b.iter().map(|key| &b.counts[*key]).collect();
    let candidate = |(rank_a, rank_b, shared): (usize, usize, usize)| {
        let (name_a, name_b) = (a.names[in_a[rank_a]], b.names[in_b[rank_b]]);
        let overlap = overlap(shared, of_a[rank_a], of_b[rank_b]);
        // An element that left its array did not become another element of it.
        let other_name = name_a.holder != name_b.holder;
        if !other_name || overlap < SOME_SITES {
            return None;
        }
        let similarity = similarity(name_a.holder, name_b.holder);
        let several = of_a[rank_a].len() > 1 && of_b[rank_b].len() > 1;
        let has_name = similarity >= SIMILAR_NAME && overlap + similarity >= SITES_AND_NAME;
        let has_sites = several && overlap >= SAME_SITES;
        (has_name || has_sites).then_some(PairCandidate {
            score: overlap + similarity,
            a: rank_a,
            b: rank_b,
        })
    };
    let candidates = sharing(&of_a, &of_b).into_iter().filter_map(candidate).collect();
    let found = best_pairs(candidates).into_iter();
    pairs.extend(
        found.map(|(rank_a, rank_b)| (in_a[rank_a], in_b[rank_b], KeyMatch::RenamedBySites)),
    );
}
