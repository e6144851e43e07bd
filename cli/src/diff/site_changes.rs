//! Changes of sites by function, and names of changes, as text and JSON show them.

use super::comparison::Comparison;
use jlctl_analyzer::jump_table::diff::stable_name::without_numbering;
use jlctl_analyzer::jump_table::diff::{KeyMatch, KeyPair, SitePair, StorageKind, TableModel};
use std::collections::BTreeMap;

/// The number of sites in each function.
pub(super) type ByFunction<'a> = Vec<(Option<&'a str>, usize)>;

/// The function of a site, without the suffix that compilers append.
pub(super) fn function<'a>(model: &'a TableModel<'_>, site: usize) -> Option<&'a str> {
    model.sites[site].function.as_deref().map(without_numbering)
}

/// The number of occurrences of each item, the most frequent first.
fn counted<T: Ord>(things: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    things.for_each(|thing| *counts.entry(thing).or_default() += 1);
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    // Stable: equal counts stay in the order of names.
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// Sites by function, most first.
pub(super) fn by_function<'a>(
    model: &'a TableModel<'_>,
    sites: impl Iterator<Item = usize>,
) -> ByFunction<'a> {
    counted(sites.map(|site| function(model, site)))
}

/// The two functions between which sites moved: from, to.
pub(super) type Move<'a> = (Option<&'a str>, Option<&'a str>);

/// The changes of the sites of a key, by function.
pub(super) struct SiteChanges<'a> {
    /// The two functions, and the number of sites.
    pub(super) moved: Vec<(Move<'a>, usize)>,
    /// The function, whether its sites are likely now, and their number.
    pub(super) turned: Vec<((Option<&'a str>, bool), usize)>,
    pub(super) removed: ByFunction<'a>,
    pub(super) added: ByFunction<'a>,
}

impl<'a> SiteChanges<'a> {
    pub(super) fn new(comparison: &Comparison<'a>, pair: &KeyPair) -> Self {
        let (a, b) = (comparison.a.model, comparison.b.model);
        let sites = &pair.sites;
        let pairs = |is: fn(&&SitePair) -> bool| sites.pairs.iter().filter(is);
        let moved = pairs(|site| site.is_moved);
        let turned = pairs(|site| site.is_turned);
        Self {
            moved: counted(moved.map(|site| (function(a, site.a), function(b, site.b)))),
            turned: counted(turned.map(|site| (function(b, site.b), b.sites[site.b].branch))),
            removed: by_function(a, sites.removed.iter().copied()),
            added: by_function(b, sites.added.iter().copied()),
        }
    }
}

pub(super) const fn identity_name(identity: KeyMatch) -> &'static str {
    match identity {
        KeyMatch::Name => "name",
        KeyMatch::Sites => "sites",
        KeyMatch::Position => "place",
        KeyMatch::RenamedByAddress => "renamed-by-address",
        KeyMatch::RenamedBySites => "renamed-by-sites",
    }
}

pub(super) const fn storage_name(storage: StorageKind) -> &'static str {
    match storage {
        StorageKind::File => "file",
        StorageKind::ZeroFilled => "zero-filled",
        StorageKind::Elsewhere => "elsewhere",
        StorageKind::Unreadable => "unreadable",
    }
}

/// "on", "off" or "?".
pub(super) const fn state(on: Option<bool>) -> &'static str {
    match on {
        Some(true) => "on",
        Some(false) => "off",
        None => "?",
    }
}
